"""What happens to rollouts: each event once, in one order and without a gap, from a cursor on or as pages."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

from domain.actors import Permission
from domain.events import Cursor, Event, EventFilter
from domain.ids import RolloutId
from resolvers import replaying
from resolvers.batches import is_batch, reached, scheduled, told
from resolvers.context import Context
from resolvers.streams import Replayed, Told
from storage import events, members


async def stream(ctx: Context, wanted: EventFilter, after: Cursor | None) -> "RolloutEvents":
    """What happens to rollouts after a cursor; without one, from now on. Raises NotFound, and CursorExpired."""
    ctx.actor.must(Permission.READ)
    return RolloutEvents(ctx, wanted, await replaying.beginning(ctx, after, wanted.rollout))


class RolloutEvents(Replayed[Event]):
    """What happens to rollouts, one or all, with what a batch means for each of its devices where that is wanted."""

    def __init__(self, ctx: Context, wanted: EventFilter, after: Cursor) -> None:
        super().__init__(ctx, (RolloutEvents, wanted), after, wanted.rollout)
        self._wanted = wanted

    async def meant(self, happened: Sequence[Event], after: Cursor) -> AsyncGenerator[Told[Event], None]:
        """Those of these events that are wanted, and each device of a batch if it is."""
        for event in happened:
            if self._wanted.matches(event) and event.cursor > after:
                yield Told(event.cursor, event)
            if is_batch(event) and self._wanted.names_devices_of(event) and event.cursor.past > after:
                async for one in self._ctx.feed.batches.derived(self._ctx.db, event, after):
                    yield Told(one.cursor, one)


async def page(ctx: Context, rollout_id: RolloutId, after: Cursor, limit: int) -> list[Event]:
    """Up to `limit` events after a cursor."""
    return (await pages(ctx, [rollout_id], after, limit)).get(rollout_id, [])


async def pages(ctx: Context, rollout_ids: Sequence[RolloutId], after: Cursor, limit: int) -> dict[RolloutId, list[Event]]:
    """Up to `limit` events of each of these rollouts, as `replay` tells them; their devices are read for all batches at once."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.snapshot() as conn:
        # One more: the event at the cursor has been told, but the devices that it stands for may not.
        found = await events.pages(conn, after, limit + 1, rollout_ids)
        batches = [event for page in found.values() for event in page if is_batch(event)]
        ranked = await members.ranked(conn, [reached(batch, told(batch, after)) for batch in batches], limit)
    devices = {batch.cursor: [scheduled(batch, *one) for one in some] for batch, some in zip(batches, ranked, strict=True)}
    whole = {rollout: [one for event in page for one in (event, *devices.get(event.cursor, ()))] for rollout, page in found.items()}
    following = {rollout: [event for event in page if event.cursor > after][:limit] for rollout, page in whole.items()}
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
        parts = [place for place in places if place.part and (whole := found.get(replace(place, part=0))) and is_batch(whole)]
        wanted = [reached(found[replace(place, part=0)], place.part - 1) for place in parts]
        ranked = await members.ranked(conn, [replace(one, end=min(one.first + 1, one.end)) for one in wanted], len(parts))
    devices = {place: scheduled(found[replace(place, part=0)], *some[0]) for place, some in zip(parts, ranked, strict=True) if some}
    return {place: found[place] for place in places if place in found} | devices
