"""Questions that several callers share, so that a hundred policies on one image ask its registry once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from registries.oci.memory import Memory

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True, eq=False)
class _Flight(Generic[V]):
    """A question on its way."""

    task: asyncio.Task[V]
    asked_at: float
    aboard: int = 0


@dataclass(frozen=True, slots=True)
class _Landed(Generic[V]):
    """An answer, and when it was asked for."""

    value: V
    asked_at: float


class Flights(Generic[K, V]):
    """At most one question a key is on its way; whoever may not share it waits, and shares the next with all who wait."""

    def __init__(self, clock: Callable[[], float], most_remembered: int) -> None:
        self._clock = clock
        self._flying: dict[K, _Flight[V]] = {}
        self._landed: Memory[K, _Landed[V]] = Memory(most_remembered)

    async def answer(self, key: K, at_most_old: float, ask: Callable[[], Awaitable[V]]) -> V:
        """The answer to a question that was asked at most so many seconds before this call; failures are shared, and not remembered."""
        oldest = self._clock() - at_most_old
        landed = self._landed.get(key) if at_most_old > 0 else None
        if landed is not None and landed.asked_at >= oldest:
            return landed.value
        while (flight := self._flying.get(key)) is not None and flight.asked_at < oldest:
            await asyncio.wait([flight.task])
        return await self._aboard(key, flight or self._depart(key, ask))

    def _depart(self, key: K, ask: Callable[[], Awaitable[V]]) -> _Flight[V]:
        async def fly() -> V:
            value = await ask()
            self._landed.keep(key, _Landed(value, asked_at))
            return value

        asked_at = self._clock()
        flight = self._flying[key] = _Flight(asyncio.create_task(fly()), asked_at)
        # Before anybody waits for it, so that whoever wakes finds it gone.
        flight.task.add_done_callback(lambda _: self._gone(key, flight))
        return flight

    async def _aboard(self, key: K, flight: _Flight[V]) -> V:
        """Wait for the answer; the last one to lose patience takes the question back."""
        flight.aboard += 1
        try:
            return await asyncio.shield(flight.task)
        finally:
            flight.aboard -= 1
            if not flight.aboard and not flight.task.done():
                self._gone(key, flight)
                flight.task.cancel()

    def _gone(self, key: K, flight: _Flight[V]) -> None:
        if self._flying.get(key) is flight:
            del self._flying[key]
