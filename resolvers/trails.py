"""Following what is kept beside the events: each event that leads to a thing is told with the thing as it is by now."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from domain.events import Cursor, Event
from domain.trails import Trace
from resolvers.context import Context
from resolvers.streams import Replayed, Told

Key = TypeVar("Key", bound=Hashable)
Thing = TypeVar("Thing")
Meant = TypeVar("Meant", contravariant=True)

# A webhook has a body of up to a megabyte, and a page of events may lead to a thousand.
AT_ONCE = 100


class Wanted(Protocol[Meant]):
    """What things must have in common; hashable."""

    def matches(self, thing: Meant, /) -> bool:
        """Whether a thing is meant."""


class Trail(Replayed[Trace[Thing]], Generic[Key, Thing]):
    """What happens to things of one kind, as far as they are meant; those that are not there any more are passed over."""

    def __init__(
        self,
        ctx: Context,
        after: Cursor,
        wanted: Wanted[Thing],
        leads_to: Callable[[Event], Key | None],
        many: Callable[[Context, Sequence[Key]], Awaitable[Mapping[Key, Thing]]],
    ) -> None:
        super().__init__(ctx, (many, wanted), after)
        self._wanted = wanted
        self._leads_to = leads_to
        self._many = many

    async def meant(self, events: Sequence[Event], after: Cursor) -> AsyncGenerator[Told[Trace[Thing]], None]:
        leading = [(event, key) for event in events if event.cursor > after and (key := self._leads_to(event)) is not None]
        for first in range(0, len(leading), AT_ONCE):
            some = leading[first : first + AT_ONCE]
            found = await self._many(self._ctx, list({key for _, key in some}))
            for event, key in some:
                if (thing := found.get(key)) is not None and self._wanted.matches(thing):
                    yield Told(event.cursor, Trace(event.cursor, event.at, thing))
