"""Tells other processes, after a commit, that there is something to read. A hint: the table is the truth."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg

CHANNEL = "rollwave"
log = logging.getLogger(__name__)


class Notifier:
    """Folds the wake-ups of many transactions into one NOTIFY."""

    # A NOTIFY inside each transaction takes a database-wide lock at commit and cost four fifths of the writes
    # per second; one after commit, every 20 ms at most, costs next to nothing.
    PAUSE = 0.02

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._pool = pool
        self._woken = asyncio.Event()
        self.committed: Callable[[], None] = lambda: None
        """Called at once when this process has committed something."""
        self.heard: Callable[[], None] = lambda: None
        """Called when any process says that it has."""

    def wake(self) -> None:
        """Something was committed."""
        self.committed()
        self._woken.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Send while the block runs."""
        task = asyncio.create_task(self._send_for_ever(), name="notifier")
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _send_for_ever(self) -> None:
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                await self._pool.execute("select pg_notify($1, '')", CHANNEL)
            except Exception:  # whatever it was, whoever commits next must be heard
                log.warning("could not notify; readers find the events within a second all the same", exc_info=True)
            await asyncio.sleep(self.PAUSE)
