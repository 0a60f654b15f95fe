"""Reads settled events in their order and hands them to this process's subscribers.

NOTIFY is a hint and may be lost; the table is read from the feed's position, so nothing else can be.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Self

from resolvers.feed import Feed
from storage import events
from storage.database import Database
from storage.listener import listening

PAGE = 1000
log = logging.getLogger(__name__)


class Relay:
    """One per process, with a LISTEN connection of its own; several processes need nothing but the same database."""

    def __init__(self, db: Database, feed: Feed, woken: Callable[[], None]) -> None:
        self._db = db
        self._feed = feed
        self._woken = woken
        self._wake = asyncio.Event()

    @classmethod
    async def beginning(cls, db: Database, feed: Feed, woken: Callable[[], None]) -> Self:
        """A relay of whatever settles from now on: to be made before the first subscriber reads, or it would miss what lies between."""
        async with db.reading() as conn:
            feed.begin(await events.horizon(conn))
        return cls(db, feed, woken)

    async def run(self) -> None:
        """Relay for ever: a lost connection is made again, and what happened meanwhile is read from where it was."""
        while True:
            try:
                await self._listen()
            except (OSError, TimeoutError, *self._db.errors):
                log.warning("the event listener lost its connection; it will reconnect")
            except Exception:
                log.exception("the relay failed; it will try again")
            await asyncio.sleep(0.2)

    async def _listen(self) -> None:
        async with listening(self._db.url, self._hear) as lost:
            while not lost.is_set():
                self._wake.clear()
                await self.catch_up()
                await self._wait(1.0)

    async def catch_up(self) -> None:
        """Publish everything settled since the feed's position."""
        while True:
            async with self._db.reading() as conn:
                page, age = await events.settled(conn, self._feed.position, PAGE)
            if page:
                self._feed.lag.observe(age)
                await self._feed.publish(page)
            if len(page) < PAGE:
                return

    def _hear(self) -> None:
        self._wake.set()
        self._woken()

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
