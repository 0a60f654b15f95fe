"""Following events within one process, as those who subscribe are told them."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from domain.events import Cursor, Event, EventFilter
from domain.ids import RolloutId
from resolvers import events
from resolvers.context import Context


async def watch(ctx: Context, rollout: RolloutId, after: Cursor) -> AsyncGenerator[Event, None]:
    """A rollout's events after a cursor, for as long as somebody listens."""
    async with aclosing(events.watch(ctx, await events.stream(ctx, EventFilter(rollout=rollout), after))) as happening:
        async for event in happening:
            yield event


async def replay(ctx: Context, wanted: EventFilter, after: Cursor) -> list[Event]:
    """What the table tells after a cursor."""
    return [told.value async for told in (await events.stream(ctx, wanted, after)).replay(after)]
