"""A batch that opened is one row among the events, and means one event for each device in it: part n of its cursor is the n-th."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator
from dataclasses import replace

from domain.events import Cursor, Event, EventType
from storage import members
from storage.database import Database
from storage.members import Reached

PAGE = 500
_BATCHES = frozenset({EventType.BATCH_STARTED, EventType.BATCH_WIDENED})


def is_batch(event: Event) -> bool:
    """Whether it stands for one event for each device that it reaches."""
    return event.type in _BATCHES


def told(batch: Event, after: Cursor) -> int:
    """Of how many of a batch's devices whoever is at this cursor has been told."""
    return after.part if (batch.cursor.xid, batch.cursor.seq) == (after.xid, after.seq) else 0


def reached(batch: Event, but_first: int) -> Reached:
    """The devices that a batch reached, without the first so many."""
    assert batch.rollout_id is not None, "a batch is a rollout's"
    first, end = batch.data["first_rank"], batch.data["end_rank"]
    return Reached(batch.rollout_id, min(first + but_first, end), end, batch.at)


def scheduled(batch: Event, rank: int, device: str) -> Event:
    """What a batch means for a device."""
    part = rank - batch.data["first_rank"] + 1
    return Event(
        Cursor(batch.cursor.xid, batch.cursor.seq, part), batch.at, EventType.DEVICE_SCHEDULED, batch.rollout_id, batch.revision, device,
        {"batch_number": batch.data["batch_number"], "image": batch.data["image"]}, batch.policy_id, batch.fleet, batch.status,
    )  # fmt: skip


class Batches:
    """What was last read of batches in one process: when one opens, or everybody comes back after it did, all want the same devices."""

    ROOM = 20
    """Pages that are kept: some five megabytes."""

    def __init__(self) -> None:
        self._pages: OrderedDict[tuple[Cursor, int], list[Event]] = OrderedDict()
        # One page at a time: whoever waits finds what the one before him read, and batches take one connection from everybody else.
        self._turn = asyncio.Lock()

    async def derived(self, db: Database, batch: Event, after: Cursor) -> AsyncGenerator[Event, None]:
        """What a batch means for each of its devices, but for what lies before a cursor."""
        whole = reached(batch, 0)
        for first in range(whole.first + told(batch, after) // PAGE * PAGE, whole.end, PAGE):
            for event in await self._page(db, batch, replace(whole, first=first, end=min(first + PAGE, whole.end))):
                if event.cursor > after:
                    yield event

    async def _page(self, db: Database, batch: Event, part: Reached) -> list[Event]:
        place = (batch.cursor, part.first)
        async with self._turn:
            if place not in self._pages:
                async with db.reading() as conn:
                    [devices] = await members.ranked(conn, [part], PAGE)
                self._pages[place] = [scheduled(batch, *device) for device in devices]
            self._pages.move_to_end(place)
            while len(self._pages) > self.ROOM:
                self._pages.popitem(last=False)
            return self._pages[place]
