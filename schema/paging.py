"""Lists in pages: ask for the first so many after a cursor."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Self, TypeVar

import strawberry

from domain.errors import BadInput

Node = TypeVar("Node")
Row = TypeVar("Row")
DEFAULT, MOST = 50, 100


@strawberry.type(description="Whether there is more, and where it begins.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more follows.")
    end_cursor: str | None = strawberry.field(description="Pass it as `after` to read on.")


@strawberry.type(description="One of a list, with its cursor.")
class Edge(Generic[Node]):
    cursor: str = strawberry.field(description="Pass it as `after` to read on from here.")
    node: Node = strawberry.field(description="The thing itself.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[Node]):
    edges: list[Edge[Node]] = strawberry.field(description="What was found, with cursors.")
    nodes: list[Node] = strawberry.field(description="What was found.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")

    @classmethod
    def of(cls, edges: Sequence[Edge[Node]], first: int) -> Self:
        """The first so many of `edges`, which holds one more if there is one."""
        kept = list(edges[:first])
        info = PageInfo(has_next_page=len(edges) > first, end_cursor=kept[-1].cursor if kept else None)
        return cls(edges=kept, nodes=[edge.node for edge in kept], page_info=info)


async def paged(
    first: int,
    after: str | None,
    start: int,
    read: Callable[[int, int], Awaitable[Sequence[Row]]],
    place: Callable[[Row], int],
    show: Callable[[Row], Node],
) -> Connection[Node]:
    """Read one page ordered by a number: `read(place, limit)` what follows a place, `place(row)` where a row stands."""
    checked(first)
    rows = await read(start if after is None else _number(after), first + 1)
    return Connection.of([Edge(cursor=_cursor(place(row)), node=show(row)) for row in rows], first)


def checked(first: int) -> int:
    """How many may be asked for at once; raises BadInput."""
    if not 1 <= first <= MOST:
        raise BadInput(f"first: 1 to {MOST}")
    return first


def number(id: strawberry.ID, what: str) -> int:  # noqa: A002 – GraphQL's word
    """The number behind an id; raises BadInput."""
    if not (id.isascii() and id.isdigit() and len(id) <= 18):
        raise BadInput(f"“{id[:64]}” is not the id of a {what}")
    return int(id)


def _cursor(place: int) -> str:
    return base64.urlsafe_b64encode(f"1:{place}".encode()).decode()


def _number(cursor: str) -> int:
    try:
        version, place = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode().split(":")
        if version == "1" and -1 <= int(place) < 2**63:
            return int(place)
    except (ValueError, binascii.Error):
        pass
    raise BadInput("after: this is not a cursor that was handed out here")
