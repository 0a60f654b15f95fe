"""Keeps what a process remembers of its devices true, and writes down who was heard of."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from time import monotonic

from domain.ids import DeviceId, RolloutId
from monitor.loop import keep_running
from resolvers.polls import Polls
from storage import answers, changes
from storage.changes import KEPT, Changes
from storage.connection import Connection

PAGE = 100
"""Devices read at once in the background: 7 ms, for some of which no poll is answered."""
IDLE = 30.0
"""Seconds after which changes are read though nobody polled, long before they are deleted."""
log = logging.getLogger(__name__)


class Follower:
    """Reads what changed whenever somebody wants to be certain, over a connection of its own; it needs no notification."""

    def __init__(self, polls: Polls) -> None:
        self._db = polls.db
        self._memory = polls.memory
        self._freshness = polls.freshness
        self._polls = polls
        self._last: Changes | None = None
        self._looked_at = float("-inf")
        self.begun = asyncio.Event()
        """Set when everything was forgotten, also at the start."""
        self.enrolled = asyncio.Event()

    async def run(self) -> None:
        """Follow for ever, over one connection after another."""
        while True:
            try:
                async with self._db.apart() as conn:
                    while True:
                        await self.look(conn)
                        await self._freshness.wanted(IDLE)
            except (OSError, TimeoutError, *self._db.errors):
                log.warning("changes cannot be read; polls are told to come again until they can")
            except Exception:
                log.exception("reading changes failed; it will be tried again")
            self._freshness.lose()
            await asyncio.sleep(0.2)

    async def look(self, conn: Connection) -> None:
        """Learn what changed since the last look."""
        with self._freshness.look():
            began = monotonic()
            found = await changes.since(conn, None if self._last is None else self._last.snapshot)
            if self._last is None or found.server != self._last.server or began - self._looked_at > KEPT.total_seconds() / 2:
                self._memory.forget()
                self.begun.set()
            else:
                await self._learn(conn, found)
            self._last, self._looked_at = found, began

    async def _learn(self, conn: Connection, found: Changes) -> None:
        reaches = await changes.reaches(conn, found.rollouts) if found.rollouts else []
        self._memory.drop(found.devices)
        for reach in reaches:
            (self._memory.ranked if reach.rollout_id in found.enrolled else self._memory.moved)(reach)
        if found.enrolled:
            self.enrolled.set()


class Reader:
    """Reads in the background what polls are about to ask for: after a start everything, after a ranking who its members are."""

    def __init__(self, polls: Polls) -> None:
        self._polls = polls
        self._memory = polls.memory
        self._times_read = 0

    async def read_devices(self) -> None:
        """Remember every device, page by page, at half speed: those that poll meanwhile come first. Once, until they are forgotten."""
        times_forgotten, after = self._memory.times_forgotten, DeviceId(0)
        while self._times_read != times_forgotten:
            began = monotonic()
            last = await self._page(after)
            after, self._times_read = last or after, self._times_read if last else times_forgotten
            await asyncio.sleep(monotonic() - began)

    async def _page(self, after: DeviceId) -> DeviceId | None:
        with self._memory.watching() as watch:
            async with self._polls.db.reading() as conn:
                page = await answers.page(conn, after, PAGE, await self._polls.db.now(conn))
            for known in page:
                self._polls.remember(known, watch)
        return page[-1].identity.device if page else None

    async def read_members(self) -> None:
        """Note in what is remembered who became a member of the rollouts that were ranked."""
        while (rollout := self._memory.unread) is not None:
            rank = -1
            while ranks := await self._ranks(rollout, rank):
                self._memory.join(rollout, ranks)
                rank = ranks[-1][1]
            self._memory.all_joined(rollout)

    async def _ranks(self, rollout: RolloutId, after: int) -> list[tuple[bytes, int]]:
        async with self._polls.db.reading() as conn:
            return await changes.ranks(conn, rollout, after, 2 * PAGE)


@asynccontextmanager
async def remembering(polls: Polls) -> AsyncIterator[None]:
    """Keep memory true while the block runs."""
    follower, reader = Follower(polls), Reader(polls)
    polls.db.notifier.committed = polls.freshness.expire
    polls.db.notifier.heard = polls.freshness.hint
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(follower.run(), name="follower"),
            group.create_task(keep_running("reading devices", reader.read_devices, follower.begun, 1.0), name="devices"),
            group.create_task(keep_running("reading members", reader.read_members, follower.enrolled, 1.0), name="members"),
            group.create_task(
                keep_running("noting who was seen", lambda: polls.sightings.write(polls.db), asyncio.Event(), 2.0), name="sightings"
            ),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            with suppress(Exception):
                await polls.sightings.write(polls.db)
