"""Lists that are longer than a page."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from rollwave.output import complain

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
# As many as the server gives at once.
LARGEST = 100


class PageInfo(Protocol):
    """Whether there is more."""

    @property
    def has_next_page(self) -> bool: ...
    @property
    def end_cursor(self) -> str | None: ...


class Page(Protocol[T_co]):
    """A part of a list."""

    @property
    def nodes(self) -> Sequence[T_co]: ...
    @property
    def page_info(self) -> PageInfo: ...


async def collected(ask: Callable[[int, str | None], Awaitable[Page[T]]], limit: int) -> list[T]:
    """The first of a list, however many pages that takes; says so when there are more."""
    rows, cursor = list[T](), None
    while True:
        page = await ask(min(LARGEST, limit - len(rows)), cursor)
        rows += page.nodes
        cursor = page.page_info.end_cursor
        if not page.page_info.has_next_page:
            return rows
        if len(rows) >= limit:
            complain(f"there are more than {limit}: --limit shows more of them")
            return rows
