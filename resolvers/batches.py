"""A batch that opened is one row among the events, and means one event for each device in it: part n of its cursor is the n-th."""

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


async def derived(db: Database, batch: Event, after: Cursor) -> AsyncGenerator[Event, None]:
    """What a batch means for each of its devices, but for what lies before a cursor."""
    left = reached(batch, told(batch, after))
    while left.first < left.end:
        async with db.reading() as conn:
            [page] = await members.ranked(conn, [left], PAGE)
        for rank, device in page:
            yield scheduled(batch, rank, device)
        left = replace(left, first=page[-1][0] + 1 if len(page) == PAGE else left.end)


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
    return replace(
        batch,
        cursor=replace(batch.cursor, part=rank - batch.data["first_rank"] + 1),
        type=EventType.DEVICE_SCHEDULED,
        device_uuid=device,
        data={"batch_number": batch.data["batch_number"], "image": batch.data["image"]},
    )
