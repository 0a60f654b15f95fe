"""What happened, as a client sees it."""

from datetime import datetime
from typing import Self

import strawberry
from strawberry.scalars import JSON

from domain import events as domain


@strawberry.type(description="Something that happened to a rollout or to a device in it.")
class Event:
    cursor: str = strawberry.field(description="Where it stands in the one order of events; pass it as `after` to read on.")
    at: datetime = strawberry.field(description="When.")
    type: str = strawberry.field(description="What: `image.batch_started`, `image.device_updated`, …")
    rollout_id: strawberry.ID | None = strawberry.field(description="To which rollout.")
    revision: int | None = strawberry.field(description="How many moves the rollout had made by then.")
    device_uuid: strawberry.ID | None = strawberry.field(description="To which device, if to one.")
    data: JSON = strawberry.field(description="The particulars.")

    @classmethod
    def of(cls, event: domain.Event) -> Self:
        return cls(
            cursor=str(event.cursor),
            at=event.at,
            type=str(event.type),
            rollout_id=None if event.rollout_id is None else strawberry.ID(str(event.rollout_id)),
            revision=event.revision,
            device_uuid=None if event.device_uuid is None else strawberry.ID(event.device_uuid),
            data=JSON(event.data),
        )
