"""How often somebody looks who is only told that something happened."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

from resolvers.bells import Bell

AT_LEAST_EVERY = 1.0
"""Seconds after which is looked though nobody rang: a notification may be lost, and time alone changes things, as when a soak ends."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How much of the time is spent on looking."""

    apart: float
    """Seconds between two looks at the least, so that a burst is looked at as one."""
    rests: int
    """After a look so many times as long as it took, at the least."""


class Looking:
    """Looks when the bell rings, once a second anyway, and as often as its pace allows."""

    def __init__(self, bell: Bell, pace: Pace) -> None:
        self._bell = bell
        self._pace = pace
        self._may_at = self._must_at = 0.0

    @contextmanager
    def look(self) -> Iterator[None]:
        """To be held while looking."""
        began = monotonic()
        try:
            yield
        finally:
            ended = monotonic()
            self._may_at = max(began + self._pace.apart, ended + self._pace.rests * (ended - began))
            self._must_at = max(self._may_at, began + AT_LEAST_EVERY)

    async def again(self) -> None:
        """Wait until it is time to look again, or the bell is closed."""
        await self._bell.rest(self._may_at - monotonic())
        await self._bell.heard(self._must_at - monotonic())
