"""What can be followed."""

from collections.abc import AsyncIterable
from typing import Annotated

import strawberry

from domain.events import Cursor, EventFilter
from domain.fleet import DeviceFilter
from domain.ids import RolloutId
from resolvers import events, watching
from schema.devices import DeviceChange
from schema.events import Event
from schema.fleets import DeviceCountsChange, Filter
from schema.following import Following
from schema.nodes import number_of
from schema.rollouts import RolloutProgress
from schema.scalars import UUID
from schema.session import Info

_Id = Annotated[strawberry.ID, strawberry.argument(description="The id of a rollout.")]


@strawberry.type(description="What can be followed.")
class Subscription:
    @strawberry.subscription(description="A rollout's progress, now and whenever it changes; ends with the rollout.")
    async def rollout_progress(self, info: Info, id: _Id) -> AsyncIterable[RolloutProgress]:  # noqa: A002
        stream = await watching.progress(info.context.ctx, RolloutId(number_of(id, "Rollout")))
        return Following(stream, RolloutProgress.of)

    @strawberry.subscription(
        description="One device, now and whenever it changes: what is written here of it, what it should run, what it reports, where it is "
        "in its rollouts, whether it is online. What `explain` says of other devices does not count. Ends when the device is deleted."
    )
    async def device(self, info: Info, uuid: Annotated[UUID, strawberry.argument(description="Its uuid.")]) -> AsyncIterable[DeviceChange]:
        return Following(await watching.device(info.context.ctx, uuid), DeviceChange.of)

    @strawberry.subscription(
        description="How many devices have something in common, and how they are, now and whenever that changes; without a filter, of all. "
        "Counted once a second at most, and less often where that takes long.",
        metadata={"cost": 20},
    )
    async def device_counts(self, info: Info, filter: Filter = None) -> AsyncIterable[DeviceCountsChange]:  # noqa: A002 – GraphQL's word
        wanted = filter.wanted() if filter else DeviceFilter()
        return Following(watching.counts(info.context.ctx, wanted), DeviceCountsChange.of)

    @strawberry.subscription(
        description="Everything that happens to a rollout, in order: from its beginning, or from where a cursor left off. "
        "At least once; after a reconnect, pass the last cursor."
    )
    async def rollout_events(
        self,
        info: Info,
        id: _Id,  # noqa: A002
        after: Annotated[str | None, strawberry.argument(description="A cursor of an event; null is the beginning.")] = None,
    ) -> AsyncIterable[Event]:
        wanted = EventFilter(rollout=RolloutId(number_of(id, "Rollout")))
        return Following(await events.stream(info.context.ctx, wanted, info.context.after(after) or Cursor()), Event.of)
