"""What can be followed: things that happen, each of which is told, and things that are so, of which the newest is."""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import aclosing
from copy import copy
from dataclasses import dataclass
from typing import Generic, Self, TypeVar

from domain.events import Cursor, Event
from domain.ids import RolloutId
from resolvers import replaying
from resolvers.context import Context

T = TypeVar("T")
V = TypeVar("V", covariant=True)


@dataclass(frozen=True, slots=True)
class Told(Generic[V]):
    """One thing that a stream tells, and its place in the order of events: whoever has it has everything up to there."""

    cursor: Cursor
    value: V


class Stream(ABC, Generic[T]):
    """Something that can be followed by whoever asked for it."""

    def __init__(self, ctx: Context, key: Hashable) -> None:
        self._ctx = ctx
        self.key = key
        """Streams of the same key tell the same, but for where they begin."""

    def read_by(self, ctx: Context) -> Self:
        """The same, read by somebody else."""
        stream = copy(self)
        stream._ctx = ctx
        return stream


class Replayed(Stream[T]):
    """Each thing that happens, once and in the one order: none is left out, and whoever is too slow reads on in the table."""

    def __init__(self, ctx: Context, key: Hashable, after: Cursor, rollout: RolloutId | None = None) -> None:
        super().__init__(ctx, key)
        self.after = after
        """Where whoever asked for it wants to begin."""
        self.rollout = rollout
        """Whose events are looked at; None: everybody's."""

    @abstractmethod
    def meant(self, events: Sequence[Event], after: Cursor) -> AsyncGenerator[Told[T], None]:
        """What these events tell whoever follows this and has everything up to a cursor: some nothing, some a thing for each device."""

    async def replay(self, after: Cursor) -> AsyncGenerator[Told[T], None]:
        """What the table tells after a cursor, up to what is settled by now. Raises CursorExpired."""
        async with aclosing(replaying.pages(self._ctx, after, self.rollout)) as pages:
            async for page in pages:
                async for told in self.meant(page, after):
                    yield told


class Latest(Stream[T]):
    """What is so now, and again when it has changed; ends when it cannot change any more."""

    @abstractmethod
    def values(self) -> AsyncGenerator[Told[T], None]:
        """The values as they come; none is told while the one before is still being told, and the next is the newest by then."""


class Once(Latest[T]):
    """One value, and nothing after it."""

    def __init__(self, ctx: Context, cursor: Cursor, value: T) -> None:
        super().__init__(ctx, (Once, id(self)))
        self._told = Told(cursor, value)

    async def values(self) -> AsyncGenerator[Told[T], None]:
        yield self._told
