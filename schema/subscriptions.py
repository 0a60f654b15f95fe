"""What can be followed."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

import strawberry

from domain.events import Cursor
from domain.ids import RolloutId
from resolvers import events
from schema.events import Event
from schema.paging import number
from schema.rollouts import RolloutProgress
from schema.session import Info


@strawberry.type(description="What can be followed.")
class Subscription:
    @strawberry.subscription(description="A rollout's progress, now and whenever it changes; ends with the rollout.")
    async def rollout_progress(self, info: Info, id: strawberry.ID) -> AsyncGenerator[RolloutProgress, None]:  # noqa: A002
        async with aclosing(events.progress(info.context.ctx, RolloutId(number(id, "rollout")))) as snapshots:
            async for snapshot in snapshots:
                yield RolloutProgress.of(snapshot)

    @strawberry.subscription(
        description="Everything that happens to a rollout, in order: from its beginning, or from where a cursor left off. "
        "At least once; after a reconnect, pass the last cursor."
    )
    async def rollout_events(self, info: Info, id: strawberry.ID, after: str | None = None) -> AsyncGenerator[Event, None]:  # noqa: A002
        start = Cursor() if after is None else Cursor.parse(after)
        async with aclosing(events.watch(info.context.ctx, RolloutId(number(id, "rollout")), start)) as happening:
            async for event in happening:
                yield Event.of(event)
