"""How old a process's knowledge is, by its own clock: what is told from memory was true a tenth of a second ago at most.

Whoever asks makes the process look at the database again, once for all who ask meanwhile; if it cannot, nothing is told from memory.
Notifications make it look sooner, and are not relied on.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic

FRESH = 0.1
"""Seconds for which a look counts."""
AHEAD = 0.05
"""Seconds after which the next look is taken, so that nobody has to wait for it."""
HINTED = 0.02
"""Seconds for which hints are ignored after a look."""
MOST_WAITING = 10_000
_MARGIN = 0.01
"""Seconds added where a whole FRESH must have passed: timers may fire a millisecond early."""


class Freshness:
    """When the database was last looked at, and who waits for the next time."""

    def __init__(self) -> None:
        self._looked_at = self._expired_at = float("-inf")
        self._wanted = asyncio.Event()
        self._waiting: list[asyncio.Future[None]] = []
        self._is_lost = True

    def is_fresh(self) -> bool:
        """Whether what is remembered may be told; if it will not be for long, the next look is taken meanwhile."""
        age = monotonic() - self._looked_at
        if age > AHEAD:
            self._wanted.set()
        return age <= FRESH and self._looked_at > self._expired_at

    def expire(self) -> None:
        """This process committed something: it is not to tell anything older than what it wrote itself."""
        self._expired_at = monotonic()

    def hint(self) -> None:
        """Another process committed something. Nobody waits for the next look for that: with many processes nothing else would be done."""
        if monotonic() - self._looked_at > HINTED:
            self._wanted.set()

    async def certain(self) -> None:
        """Wait until everything committed before this call is known; raises TimeoutError if the database does not answer a look in time."""
        self._wanted.set()
        if len(self._waiting) >= MOST_WAITING or (self._is_lost and self._waiting):
            raise TimeoutError("changes cannot be read")
        looked = asyncio.get_running_loop().create_future()
        self._waiting.append(looked)
        await looked  # looks have a time limit of their own: one for each poll would cost as much as the rest of it

    async def wanted(self, within: float) -> None:
        """Wait until somebody wants to know, and no longer than so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._wanted.wait()
        self._wanted.clear()

    def lose(self) -> None:
        """The database cannot be looked at."""
        waiting, self._waiting, self._is_lost = self._waiting, [], True
        _answer(waiting, TimeoutError("changes cannot be read"))

    @contextmanager
    def look(self) -> Iterator[None]:
        """To be entered before the database is looked at, and left when what it said is remembered."""
        began, waiting = monotonic(), self._waiting
        self._waiting = []
        try:
            yield
        except BaseException:
            self._waiting += waiting
            self.lose()
            raise
        self._looked_at, self._is_lost = began, False
        _answer(waiting, None)


async def known_everywhere() -> None:
    """Wait until no process tells anything older than what was committed before this call."""
    await asyncio.sleep(FRESH + _MARGIN)


def _answer(waiting: list[asyncio.Future[None]], error: Exception | None) -> None:
    for looked in waiting:
        if looked.done():
            continue
        if error is None:
            looked.set_result(None)
        else:
            looked.set_exception(error)
