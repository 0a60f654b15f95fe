"""Following a rollout: everything that happened from a cursor on, then what happens next, in one order and without a gap."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from domain.actors import Permission
from domain.errors import NotFound
from domain.events import Cursor, Event, EventType
from domain.ids import RolloutId
from resolvers import rollouts
from resolvers.context import Context
from resolvers.feed import Mailbox
from storage import events, members
from storage.members import Reached

PAGE = 500
_FOR_DEVICES = (EventType.BATCH_STARTED, EventType.BATCH_WIDENED)
"""What stands for one event for each device that it reaches."""


async def watch(ctx: Context, rollout_id: RolloutId, after: Cursor) -> AsyncGenerator[Event, None]:
    """A rollout's events after a cursor, for as long as somebody listens; at least once, always in the same order."""
    await _must_exist(ctx, rollout_id)
    async with ctx.feed.follow(rollout_id) as mailbox:
        # Subscribed before reading, so an event between the two is seen twice rather than never; the cursor drops the second.
        last = after
        while not mailbox.closed:
            mailbox.overflowed = False
            async for event in replay(ctx, rollout_id, last):
                last = event.cursor
                yield event
            async for event in _live(ctx, mailbox, last):
                last = event.cursor
                yield event


async def replay(ctx: Context, rollout_id: RolloutId, after: Cursor) -> AsyncGenerator[Event, None]:
    """What the table has after a cursor; what a batch means for each of its devices is derived on the way."""
    ctx.actor.must(Permission.READ)
    while True:
        async with ctx.db.reading() as conn:
            page = await events.page_of(conn, rollout_id, after, PAGE)
        for event in page:
            if event.cursor > after:
                yield event
            async for derived in _derived(ctx, event, _told(event, after)):
                yield derived
            after = event.cursor.past
        if len(page) < PAGE:
            return


async def page(ctx: Context, rollout_id: RolloutId, after: Cursor, limit: int) -> list[Event]:
    """Up to `limit` events after a cursor."""
    return (await pages(ctx, [rollout_id], after, limit)).get(rollout_id, [])


async def pages(ctx: Context, rollout_ids: Sequence[RolloutId], after: Cursor, limit: int) -> dict[RolloutId, list[Event]]:
    """Up to `limit` events of each of these rollouts, as `replay` tells them; their devices are read for all batches at once."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.snapshot() as conn:
        # One more: the event at the cursor has been told, but the devices that it stands for may not.
        found = await events.pages(conn, after, limit + 1, rollout_ids)
        begun = [event for page in found.values() for event in page if event.type in _FOR_DEVICES]
        reached = await members.ranked(conn, [_reached(event, _told(event, after)) for event in begun], limit)
    devices = {event.cursor: [_scheduled(event, *one) for one in some] for event, some in zip(begun, reached, strict=True)}
    told = {rollout: [one for event in page for one in (event, *devices.get(event.cursor, ()))] for rollout, page in found.items()}
    following = {rollout: [event for event in page if event.cursor > after][:limit] for rollout, page in told.items()}
    return {rollout: page for rollout, page in following.items() if page}


async def counts(ctx: Context, rollout_ids: Sequence[RolloutId]) -> dict[RolloutId, int]:
    """How many events each of these rollouts has, as `replay` tells them."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await events.counts(conn, rollout_ids)


async def many(ctx: Context, places: Sequence[Cursor]) -> dict[Cursor, Event]:
    """Those of these events that there are; what a batch means for one of its devices is derived of it."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.snapshot() as conn:
        found = await events.many(conn, list({replace(place, part=0) for place in places}))
        parts = [place for place in places if place.part and _means_devices(found.get(replace(place, part=0)))]
        reached = [_reached(found[replace(place, part=0)], place.part - 1) for place in parts]
        devices = await members.ranked(conn, [replace(one, end=min(one.first + 1, one.end)) for one in reached], len(parts))
    derived = {place: _scheduled(found[replace(place, part=0)], *some[0]) for place, some in zip(parts, devices, strict=True) if some}
    return {place: found[place] for place in places if place in found} | derived


def _means_devices(event: Event | None) -> bool:
    return event is not None and event.type in _FOR_DEVICES


def _told(event: Event, after: Cursor) -> int:
    """Of how many of a batch's devices whoever is at this cursor has been told."""
    return after.part if (event.cursor.xid, event.cursor.seq) == (after.xid, after.seq) else 0


async def _live(ctx: Context, mailbox: Mailbox, last: Cursor) -> AsyncGenerator[Event, None]:
    """What the mailbox receives, until it is closed or has overflowed."""
    while not mailbox.closed and not mailbox.overflowed:
        for event in await mailbox.take():
            if event.cursor > last:
                last = event.cursor
                yield event
                async for derived in _derived(ctx, event, 0):
                    yield derived


async def _derived(ctx: Context, event: Event, after: int) -> AsyncGenerator[Event, None]:
    """A batch that started, as one event for each device in it; part n of the cursor is the n-th device."""
    while event.type in _FOR_DEVICES and (reached := _reached(event, after)).first < reached.end:
        async with ctx.db.reading() as conn:
            [page] = await members.ranked(conn, [reached], PAGE)
        for rank, device in page:
            scheduled = _scheduled(event, rank, device)
            after = scheduled.cursor.part
            yield scheduled
        if not page:
            return


def _reached(event: Event, after: int) -> Reached:
    """The devices that a batch reached, without the first so many."""
    assert event.rollout_id is not None, "a batch is a rollout's"
    first, end = event.data["first_rank"], event.data["end_rank"]
    return Reached(event.rollout_id, min(first + after, end), end, event.at)


def _scheduled(event: Event, rank: int, device: str) -> Event:
    return Event(
        Cursor(event.cursor.xid, event.cursor.seq, rank - event.data["first_rank"] + 1), event.at, EventType.DEVICE_SCHEDULED,
        event.rollout_id, event.revision, device, {"batch_number": event.data["batch_number"], "image": event.data["image"]},
    )  # fmt: skip


async def _must_exist(ctx: Context, rollout_id: RolloutId) -> None:
    if await rollouts.one(ctx, rollout_id) is None:
        raise NotFound(f"there is no rollout {rollout_id}")
