"""Arguments that many fields have, described once."""

from typing import Annotated

import strawberry

from schema.enums import Status

ById = Annotated[strawberry.ID | None, strawberry.argument(description="Its id; give this or its number.")]
ByNumber = Annotated[int | None, strawberry.argument(description="Its number; give this or its id.")]
Statuses = Annotated[list[Status] | None, strawberry.argument(description="Only those in one of these states; null is all.")]
WHICH = strawberry.argument(description="Which are meant; null is all.")
