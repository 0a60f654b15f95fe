"""What can be followed."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from domain.events import Cursor, EventFilter
from domain.ids import RolloutId
from resolvers import events
from schema.events import Event
from schema.nodes import number_of
from schema.rollouts import RolloutProgress
from schema.session import Info

_Id = Annotated[strawberry.ID, strawberry.argument(description="The id of a rollout.")]


@strawberry.type(description="What can be followed.")
class Subscription:
    @strawberry.subscription(description="A rollout's progress, now and whenever it changes; ends with the rollout.")
    async def rollout_progress(self, info: Info, id: _Id) -> AsyncGenerator[RolloutProgress, None]:  # noqa: A002
        async with aclosing(events.progress(info.context.ctx, RolloutId(number_of(id, "Rollout")))) as snapshots:
            async for snapshot in snapshots:
                yield RolloutProgress.of(snapshot)

    @strawberry.subscription(
        description="Everything that happens to a rollout, in order: from its beginning, or from where a cursor left off. "
        "At least once; after a reconnect, pass the last cursor."
    )
    async def rollout_events(
        self,
        info: Info,
        id: _Id,  # noqa: A002
        after: Annotated[str | None, strawberry.argument(description="A cursor of an event; null is the beginning.")] = None,
    ) -> AsyncGenerator[Event, None]:
        start = Cursor() if after is None else Cursor.parse(after)
        stream = await events.stream(info.context.ctx, EventFilter(rollout=RolloutId(number_of(id, "Rollout"))), start)
        async with aclosing(events.watch(info.context.ctx, stream)) as happening:
            async for event in happening:
                yield Event.of(event)
