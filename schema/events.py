"""What happened, as a client sees it."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry
from strawberry.scalars import JSON

from domain import events as domain
from domain.actors import Permission
from resolvers import devices, rollouts
from schema.enums import EventType
from schema.nodes import Node, node_id
from schema.scalars import UUID
from schema.session import Info

if TYPE_CHECKING:
    from schema.devices import Device
    from schema.rollouts import Rollout

_KNOWN = {kind.value: kind for kind in EventType}


@strawberry.type(description="Something that happened to a rollout or to a device in it.")
class Event(Node):
    cursor: str = strawberry.field(description="Where it stands in the one order of events; pass it as `after` to read on.")
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
