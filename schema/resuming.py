"""Reading on after a cursor: how it is asked for, and what is answered where not everything after it is kept any more."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Self, TypeVar, Union

import strawberry

from domain.errors import CursorExpired
from domain.events import Cursor
from resolvers.context import Context
from resolvers.streams import Once, Replayed
from schema.following import Following
from schema.results import Error, ErrorCode
from schema.session import Info

Value = TypeVar("Value")
Wanted = TypeVar("Wanted")

PLACE = "Where it stands in the one order of events; pass it as `after` to read on."
SO_FAR = "What happened up to here is in it: pass it as `after` to `events`, and what happened since is told without a gap."
"""How the cursors of things that happen, and of things that are so, are described."""
Since = Annotated[
    str | None, strawberry.argument(description="The cursor of what was told last, or an `eventCursor`; null is from now on.")
]


@strawberry.type(description="Not everything that happened after the cursor is kept any more: read anew, and go on from there.")
class CursorExpiredError(Error):
    oldest: str = strawberry.field(description="From here on everything is kept.")

    @classmethod
    def of(cls, expired: CursorExpired) -> Self:
        return cls(code=ErrorCode.CURSOR_EXPIRED, message=str(expired), oldest=str(expired.oldest))


def or_expired(told: type, name: str) -> Any:
    """The union of what is told and the error, under this name."""
    union = strawberry.union(name, description=f"{told.__name__}, or why it cannot be told from there on.")
    return Annotated[Union[told, CursorExpiredError], union]  # noqa: UP007 – of values


async def resume(
    info: Info,
    stream: Callable[[Context, Wanted, Cursor | None], Awaitable[Replayed[Value]]],
    wanted: Wanted,
    after: str | None,
    shown: Callable[[Value], Any],
) -> Following[Any]:
    """A stream that goes on after a cursor; or, where that is too old, the error as all that is told."""
    ctx = info.context.ctx
    try:
        return Following(await stream(ctx, wanted, info.context.after(after)), shown)
    except CursorExpired as expired:
        return Following(Once(ctx, expired.oldest, expired), CursorExpiredError.of)
