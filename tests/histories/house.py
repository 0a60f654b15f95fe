"""The database and the engines on it, which all histories share, and the clock that only they move."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any, TypeVar

from domain.actors import Actor
from resolvers.context import Context
from resolvers.feed import Feed
from storage.connection import Connection
from storage.database import Database
from tests.fuses import FusedConnection
from tests.histories.plans import START

T = TypeVar("T")


class Clock:
    """A clock that only the machine moves, so that a history is the same whenever it is told."""

    def __init__(self) -> None:
        self.now = START

    async def __call__(self, _: Connection) -> datetime:
        return self.now


class Complaints(logging.Handler):
    """What engines logged instead of raising it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(self.format(record))


IDENTIFIED = ("rollouts", "releases", "policies", "devices")
"""Ids are the same whenever a history is told: devices are ranked by a hash of theirs."""


class House:
    """The database and two engines on it, kept for all histories; each begins with empty tables."""

    def __init__(self, url: str) -> None:
        self.clock = Clock()
        self.loop = asyncio.new_event_loop()
        self.complaints = Complaints()
        self._open = AsyncExitStack()
        self._log = logging.getLogger("monitor")
        self._log.addHandler(self.complaints)
        self._log.propagate = False
        self.db, self.other = self.run(self._connected(url))
        self.operator = Context(self.db, Feed(), Actor.operator("ops"))

    async def _connected(self, url: str) -> tuple[Database, Database]:
        return (
            await self._open.enter_async_context(Database.connect(url, clock=self.clock, size=4)),
            await self._open.enter_async_context(Database.connect(url, clock=self.clock, size=2, connection_class=FusedConnection)),
        )

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(doing, 30))

    async def empty(self) -> None:
        self.clock.now = START
        self.complaints.heard.clear()
        async with self.db.transaction() as conn:
            # Truncating takes a fifth of a second, whatever is in the tables.
            for table in ("events", "pushes", "rollouts", "releases", "policies", "devices", "provisioning_keys"):
                await conn.execute(f"delete from {table}")
            await conn.execute("select setval(pg_get_serial_sequence(name, 'id'), 1, false) from unnest($1::text[]) as name", IDENTIFIED)

    def close(self) -> None:
        self._log.removeHandler(self.complaints)
        self._log.propagate = True
        self.run(self._open.aclose())
        self.loop.close()
