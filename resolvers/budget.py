"""What somebody may ask of one process: so many points, which come back by and by."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from domain.errors import Limited

# So many callers are remembered, a few MB; beyond that those who asked longest ago are forgotten, and have all their points again.
MOST_REMEMBERED = 20_000
MINUTE = 60.0


@dataclass(frozen=True, slots=True)
class Remaining:
    """What is left to somebody."""

    limit: int
    remaining: int
    reset_seconds: int
    """Until all of it is back."""


class Budget:
    """A bucket of points for each caller, which fills again within a minute, at an even pace.

    Not with the library `limits`: there a hit and what it leaves take 11 to 25 us, here 1.4; its windows give points back all at once,
    or count what they refused, or keep an entry for each point; and it remembers as many callers as come.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._pace = limit / MINUTE
        self._clock = clock
        self._full_at: dict[str, float] = {}
        """When each bucket is full again. They stand in the order in which they were last charged; one that is not here is full."""

    def __len__(self) -> int:
        return len(self._full_at)

    def charge(self, who: str, points: int) -> Remaining:
        """Take points from somebody; raises Limited, and takes none, where too few are left.

        A full bucket lets pass also what costs more than it holds; the rest is owed.
        """
        now = self._clock()
        full_at = max(self._full_at.get(who, now), now)
        left = self._limit - (full_at - now) * self._pace
        if left < points and full_at > now:
            raise self._refusal(points, left)
        full_at += points / self._pace
        self._remember(who, full_at, now)
        return Remaining(self._limit, max(0, int(left - points)), math.ceil(full_at - now))

    def _refusal(self, points: int, left: float) -> Limited:
        seconds = math.ceil((min(points, self._limit) - left) / self._pace)
        have = f"of the {self._limit:,} of a minute {max(0, int(left)):,} are left"
        return Limited(f"this costs {points:,} points, and {have}; try again in {seconds} s", seconds)

    def _remember(self, who: str, full_at: float, now: float) -> None:
        self._full_at.pop(who, None)
        self._full_at[who] = full_at
        while (first := next(iter(self._full_at), None)) is not None and (len(self) > MOST_REMEMBERED or self._full_at[first] <= now):
            del self._full_at[first]
