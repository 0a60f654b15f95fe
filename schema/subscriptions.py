"""What can be followed."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated

import strawberry

from domain.ids import RolloutId
from resolvers import events
from schema.audit import AuditSubscription
from schema.events import EventSubscription
from schema.nodes import number_of
from schema.pushes import PushSubscription
from schema.rollouts import RolloutProgress
from schema.session import Info

_Id = Annotated[strawberry.ID, strawberry.argument(description="The id of a rollout.")]


@strawberry.type(description="What can be followed.")
class Subscription(EventSubscription, PushSubscription, AuditSubscription):
    @strawberry.subscription(description="A rollout's progress, now and whenever it changes; ends with the rollout.")
    async def rollout_progress(self, info: Info, id: _Id) -> AsyncGenerator[RolloutProgress, None]:  # noqa: A002
        async with aclosing(events.progress(info.context.ctx, RolloutId(number_of(id, "Rollout")))) as snapshots:
            async for snapshot in snapshots:
                yield RolloutProgress.of(snapshot)
