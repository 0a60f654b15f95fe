"""Arguments that many fields have, described once."""

from collections.abc import Iterable
from enum import Enum
from typing import Annotated, TypeVar

import strawberry

from schema.enums import Status

Kind = TypeVar("Kind", bound=Enum)
ById = Annotated[strawberry.ID | None, strawberry.argument(description="Its id; give this or its number.")]
ByNumber = Annotated[int | None, strawberry.argument(description="Its number; give this or its id.")]
Statuses = Annotated[list[Status] | None, strawberry.argument(description="Only those in one of these states; null is all.")]
WHICH = strawberry.argument(description="Which are meant; null is all.")


def each_once(kind: type[Kind], given: Iterable[Kind] | None) -> tuple[Kind, ...] | None:
    """The values of a list, in their order; a body has room for 180,000 times the same."""
    # Strawberry hands over an enum's value rather than the enum.
    return None if given is None else tuple(map(kind, dict.fromkeys(given)))
