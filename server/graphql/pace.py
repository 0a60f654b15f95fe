"""How fast somebody may go on."""

import time
from collections.abc import Callable


class Pace:
    """So many at once, and so many a second in the long run."""

    def __init__(self, at_once: int, per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._per_second, self._clock = at_once, per_second, clock
        self._left, self._counted = float(at_once), clock()

    def allows(self) -> bool:
        """Count one; False when it is one too many."""
        now = self._clock()
        self._left = min(self._most, self._left + (now - self._counted) * self._per_second) - 1
        self._counted = now
        return self._left >= 0
