"""What happened, as a client sees it."""

from collections.abc import AsyncIterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry
from strawberry.scalars import JSON

from domain import events as domain
from domain.actors import Permission
from domain.ids import PolicyId, RolloutId
from resolvers import devices, events, rollouts
from schema.arguments import WHICH, each_once
from schema.enums import EventType, Status
from schema.following import Following
from schema.nodes import Node, node_id, number_of
from schema.resuming import PLACE, Since, or_expired, resume
from schema.scalars import UUID
from schema.session import Info

if TYPE_CHECKING:
    from schema.devices import Device
    from schema.rollouts import Rollout

_KNOWN = {kind.value: kind for kind in EventType}


@strawberry.type(description="Something that happened to a rollout, to a device, or to an image.")
class Event(Node):
    cursor: str = strawberry.field(description=PLACE)
    at: datetime = strawberry.field(description="When.")
    type: EventType | None = strawberry.field(
        description="What; null for what a newer server, running beside this one, calls something new."
    )
    name: str = strawberry.field(description="The same as text, also of what is new: `image.batch_started`, `image.device_updated`, …")
    revision: int | None = strawberry.field(description="How many moves the rollout had made by then.")
    device_uuid: UUID | None = strawberry.field(description="To which device, if to one.")
    data: JSON = strawberry.field(description="The particulars.")
    source: strawberry.Private[domain.Event]

    @classmethod
    def of(cls, event: domain.Event) -> Self:
        return cls(
            id=node_id("Event", event.cursor),
            cursor=str(event.cursor),
            at=event.at,
            type=_KNOWN.get(event.type),
            name=str(event.type),
            revision=event.revision,
            device_uuid=None if event.device_uuid is None else UUID(event.device_uuid),
            data=JSON(event.data),
            source=event,
        )

    @strawberry.field(description="To which rollout.")
    async def rollout(self, info: Info) -> Annotated["Rollout", strawberry.lazy("schema.rollouts")] | None:
        from schema.rollouts import Rollout

        found = await info.context.follow(rollouts.many, self.source.rollout_id)
        return Rollout.of(found) if found else None

    @strawberry.field(description="To which device, if to one.")
    async def device(self, info: Info) -> Annotated["Device", strawberry.lazy("schema.devices")] | None:
        from schema.devices import Device

        found = await info.context.follow(devices.by_uuids, self.source.device_uuid)
        return Device.of(found) if found else None


@strawberry.type
class EventQuery:
    @strawberry.field(
        description="Where the one order of events stood before anything else of the answer was read. Read, then follow: ask for it "
        "together with what you show, `{ eventCursor rollouts { … } }`, and pass it as `after` to what you then follow. What happened up "
        "to there is in what you read, and what happened since is told: nothing is missed, and some of it you may have read already."
    )
    async def event_cursor(self, info: Info) -> str:
        info.context.ctx.actor.must(Permission.READ)
        return str(info.context.cursor)


@strawberry.input(description="Which events are meant; what is left out asks nothing.")
class EventFilterInput:
    rollout: strawberry.ID | None = strawberry.field(description="Of this rollout.", default=None)
    policy: strawberry.ID | None = strawberry.field(description="Of rollouts of this policy.", default=None)
    fleet: str | None = strawberry.field(description="Of rollouts for this fleet alone.", default=None)
    statuses: list[Status] | None = strawberry.field(description="Of rollouts that had come to one of these states by then.", default=None)
    types: list[EventType] | None = strawberry.field(
        description="Of one of these types; null is all. But `DEVICE_SCHEDULED`, for each device of a batch, is told only to those who "
        "name it, or follow one rollout.",
        default=None,
    )

    def wanted(self) -> domain.EventFilter:
        return domain.EventFilter(
            rollout=None if self.rollout is None else RolloutId(number_of(self.rollout, "Rollout", "filter.rollout")),
            policy=None if self.policy is None else PolicyId(number_of(self.policy, "Policy", "filter.policy")),
            fleet=self.fleet,
            statuses=each_once(Status, self.statuses),
            types=each_once(EventType, self.types),
        )


@strawberry.type
class EventSubscription:
    @strawberry.subscription(
        description="Everything that happens to rollouts, images and devices, in one order: from now on, or from where a cursor left off. "
        "At least once; after a reconnect, pass the last cursor."
    )
    async def events(
        self,
        info: Info,
        filter: Annotated[EventFilterInput | None, WHICH] = None,  # noqa: A002 – GraphQL's word
        after: Since = None,
    ) -> AsyncIterable[or_expired(Event, "EventsResult")]:  # type: ignore[valid-type]
        wanted = (filter or EventFilterInput()).wanted()
        return await resume(info, events.stream, wanted, after, Event.of)

    @strawberry.subscription(
        description="Everything that happens to a rollout, in order: from its beginning, or from where a cursor left off. "
        "At least once; after a reconnect, pass the last cursor. One that is too old is an error with the code `CURSOR_EXPIRED`."
    )
    async def rollout_events(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The id of a rollout.")],  # noqa: A002 – GraphQL's word
        after: Annotated[str | None, strawberry.argument(description="A cursor of an event; null is the beginning.")] = None,
    ) -> AsyncIterable[Event]:
        wanted = domain.EventFilter(rollout=RolloutId(number_of(id, "Rollout")))
        return Following(await events.stream(info.context.ctx, wanted, info.context.after(after) or domain.Cursor()), Event.of)
