"""What a field knows of its caller."""

from dataclasses import dataclass

import strawberry

from resolvers.context import Context


@dataclass(slots=True)
class Session:
    """One operation."""

    ctx: Context
    request_id: str = ""
    """What lines in the log name it by."""


Info = strawberry.Info[Session, None]
