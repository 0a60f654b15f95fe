"""Wakes those who look for themselves at what has changed: a bell says that something happened, and not what."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

from domain.ids import RolloutId


class Bell:
    """Of one who looks."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self._closed = asyncio.Event()

    @property
    def is_closed(self) -> bool:
        """It will not be rung again."""
        return self._closed.is_set()

    def ring(self) -> None:
        """Something happened."""
        self._rung.set()

    def close(self) -> None:
        """Nothing more is told here."""
        self._closed.set()
        self._rung.set()

    async def rest(self, seconds: float) -> None:
        """Let time pass, whatever happens, unless it is closed."""
        await _within(seconds, self._closed)

    async def heard(self, seconds: float) -> None:
        """Wait until it was rung since this was last asked, or is closed, and no longer than so many seconds."""
        await _within(seconds, self._rung)
        self._rung.clear()


class Bells:
    """All bells of one process."""

    def __init__(self) -> None:
        self._bells: dict[RolloutId | None, set[Bell]] = defaultdict(set)
        self._is_closed = False

    @property
    def count(self) -> int:
        """How many there are."""
        return sum(map(len, self._bells.values()))

    @contextmanager
    def hearing(self, rollout: RolloutId | None = None) -> Iterator[Bell]:
        """A bell that is rung for what happens to a rollout; without one, whenever anything was committed."""
        bell = Bell()
        if self._is_closed:
            bell.close()
        self._bells[rollout].add(bell)
        try:
            yield bell
        finally:
            self._bells[rollout].discard(bell)
            if not self._bells[rollout]:
                del self._bells[rollout]

    def ring(self, rollouts: Iterable[RolloutId | None] = ()) -> None:
        """Something was committed, perhaps something that happened to these rollouts."""
        for topic in {None, *rollouts}:
            for bell in self._bells.get(topic, ()):
                bell.ring()

    def close(self) -> None:
        """End whatever looks."""
        self._is_closed = True
        for bells in self._bells.values():
            for bell in bells:
                bell.close()


async def _within(seconds: float, event: asyncio.Event) -> None:
    if seconds > 0:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await event.wait()
