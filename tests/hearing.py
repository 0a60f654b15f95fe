"""Somebody who follows a stream, and keeps what it told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise
from typing import Generic, TypeVar

from resolvers.streams import Latest, Told

T = TypeVar("T")


class Heard(Generic[T]):
    """What was told so far."""

    def __init__(self) -> None:
        self.told: list[Told[T]] = []
        self.is_over = False
        self._more = asyncio.Event()

    @property
    def values(self) -> list[T]:
        return [told.value for told in self.told]

    async def keep(self, stream: Latest[T]) -> None:
        """Follow a stream to its end."""
        async with aclosing(stream.values()) as values:
            async for told in values:
                self.told.append(told)
                self._more.set()
        self.is_over = True
        self._more.set()

    async def until(self, check: Callable[[T], object], seconds: float = 2.0) -> T:
        """The newest, as soon as it is so."""
        try:
            async with asyncio.timeout(seconds):
                while not (self.told and check(self.told[-1].value)):
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError as late:
            raise AssertionError(f"not within {seconds} s, but {self.values}") from late
        return self.told[-1].value

    async def end(self, seconds: float = 2.0) -> None:
        """Wait for the last word."""
        async with asyncio.timeout(seconds):
            while not self.is_over:
                self._more.clear()
                await self._more.wait()

    def says_nothing_twice(self) -> bool:
        """Whether each value is another than the one before, and their cursors never fall."""
        return all(a.value != b.value and a.cursor <= b.cursor for a, b in pairwise(self.told))


@asynccontextmanager
async def heard(stream: Latest[T]) -> AsyncIterator[Heard[T]]:
    """Follow a stream while the block runs."""
    heard = Heard[T]()
    task = asyncio.create_task(heard.keep(stream))
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.wait([task])
