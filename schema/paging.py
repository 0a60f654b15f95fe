"""Lists in pages, as Relay's connections: ask for the first so many after a cursor."""

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, Self, TypeVar

import strawberry

from domain.errors import BadInput

Item = TypeVar("Item")
Row = TypeVar("Row")
Place = TypeVar("Place")
DEFAULT, MOST = 50, 100
LAST = 2**62
"""Beyond every id: where a list begins that has the newest first."""

First = Annotated[int | None, strawberry.argument(description="How many, 1 to 100; null is 50.")]
After = Annotated[str | None, strawberry.argument(description="The cursor after which to read on; null is the beginning.")]


@strawberry.type(description="Whether there is more, and where it begins.")
class PageInfo:
    has_next_page: bool = strawberry.field(description="Whether more follows.")
    has_previous_page: bool = strawberry.field(description="Whether something goes before.")
    start_cursor: str | None = strawberry.field(description="The first cursor of this page; null if it is empty.")
    end_cursor: str | None = strawberry.field(description="The last: pass it as `after` to read on.")


@strawberry.type(description="One of a list, with its cursor.")
class Edge(Generic[Item]):
    cursor: str = strawberry.field(description="Pass it as `after` to read on from here.")
    node: Item = strawberry.field(description="The thing itself.")


@strawberry.type(description="A page of a list.")
class Connection(Generic[Item]):
    edges: list[Edge[Item]] = strawberry.field(description="What was found, with cursors.")
    nodes: list[Item] = strawberry.field(description="What was found.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")
    count: strawberry.Private[Callable[[], Awaitable[int]]]

    @classmethod
    def of(cls, edges: Sequence[Edge[Item]], first: int, after: str | None, count: Callable[[], Awaitable[int]]) -> Self:
        """The first so many of `edges`, which holds one more if there is one."""
        kept = list(edges[:first])
        info = PageInfo(
            has_next_page=len(edges) > first,
            has_previous_page=after is not None,
            start_cursor=kept[0].cursor if kept else None,
            end_cursor=kept[-1].cursor if kept else None,
        )
        return cls(edges=kept, nodes=[edge.node for edge in kept], page_info=info, count=count)

    @strawberry.field(description="How many there are on all pages; counted only if asked for.", metadata={"cost": 100})
    async def total_count(self) -> int:
        return await self.count()


@dataclass(frozen=True, slots=True)
class Key(Generic[Row, Place]):
    """By what a list is ordered: where it begins, the cursor of a row, and the place behind a cursor (raises BadInput)."""

    start: Place
    cursor: Callable[[Row], str]
    place: Callable[[str], Place]


async def paged(
    first: int | None,
    after: str | None,
    key: Key[Row, Place],
    read: Callable[[Place, int], Awaitable[Sequence[Row] | None]],
    show: Callable[[Row], Item],
    count: Callable[[], Awaitable[int]],
) -> Connection[Item]:
    """One page: `read(place, limit)` gives the rows that follow a place, or None for none, `show(row)` what a client sees of one."""
    first = checked(first)
    rows = await read(key.start if after is None else key.place(after), first + 1) or ()
    return Connection.of([Edge(cursor=key.cursor(row), node=show(row)) for row in rows], first, after, count)


def numbered(start: int, of: Callable[[Row], int]) -> Key[Row, int]:
    """A list that is ordered by a number of its rows."""
    return Key(start, lambda row: written("1", of(row)), _number)


def named(of: Callable[[Row], str]) -> Key[Row, str]:
    """A list that is ordered by a name, from the first of the alphabet on."""
    return Key("", lambda row: written("3", of(row)), _name)


def listed(
    rows: Sequence[Row], of: Callable[[Row], str], first: int | None, after: str | None, show: Callable[[Row], Item]
) -> Connection[Item]:
    """A page of a short list that is there as a whole, ordered by its names."""
    first = checked(first)
    place = "" if after is None else _name(after)
    edges = [Edge(cursor=written("3", of(row)), node=show(row)) for row in rows if of(row) > place]

    async def count() -> int:
        return len(rows)

    return Connection.of(edges[: first + 1], first, after, count)


def checked(first: int | None) -> int:
    """How many are asked for at once; raises BadInput."""
    if first is None:
        return DEFAULT
    if not 1 <= first <= MOST:
        raise BadInput(f"first: 1 to {MOST}")
    return first


def written(version: str, place: object) -> str:
    """A cursor."""
    return base64.urlsafe_b64encode(f"{version}:{place}".encode()).decode()


def read(version: str, cursor: str) -> str:
    """The place in a cursor of this version; raises BadInput."""
    try:
        found, _, place = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode().partition(":")
    except (ValueError, binascii.Error) as bad:
        raise no_cursor() from bad
    if found != version or "\0" in place:
        raise no_cursor()
    return place


def no_cursor() -> BadInput:
    """What a client is told who sends another text."""
    return BadInput("after: this is not a cursor that was handed out here")


def _number(cursor: str) -> int:
    place = read("1", cursor)
    if not (place.removeprefix("-").isdecimal() and place.isascii() and -1 <= int(place) < 2**63):
        raise no_cursor()
    return int(place)


def _name(cursor: str) -> str:
    return read("3", cursor)
