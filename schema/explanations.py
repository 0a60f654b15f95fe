"""Why a device is on its images, as a client sees it."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from domain.explanations import Explained
from resolvers import explanations, rollouts
from schema.enums import DeviceStatus
from schema.scalars import ImageReference
from schema.session import Info

if TYPE_CHECKING:
    from schema.rollouts import Rollout


@strawberry.type(description="Why one service of a device is on its image.")
class ServiceExplanation:
    app: str = strawberry.field(description="The id of its app.")
    service: str = strawberry.field(description="Its name.")
    image: ImageReference = strawberry.field(description="What it is told to run.")
    status: DeviceStatus | None = strawberry.field(description="Where the device is in that rollout.")
    since: datetime = strawberry.field(description="Since when it is told so, as far as that is recorded.")
    until: datetime | None = strawberry.field(description="When time alone changes something at the latest; null if that is not known.")
    sentences: list[str] = strawberry.field(
        description="For people, from the record: what it is told and why, what the device last said of it, what would change it."
    )
    source: strawberry.Private[Explained]

    @classmethod
    def of(cls, explained: Explained) -> Self:
        return cls(
            app=explained.app,
            service=explained.service,
            image=ImageReference(str(explained.image)),
            status=explained.status,
            since=explained.since,
            until=explained.until,
            sentences=list(explained.sentences),
            source=explained,
        )

    @strawberry.field(description="The rollout that decides it now; null: it is its own image.")
    async def rollout(self, info: Info) -> Annotated["Rollout", strawberry.lazy("schema.rollouts")] | None:
        from schema.rollouts import Rollout

        found = await info.context.follow(rollouts.many, self.source.rollout_id)
        return Rollout.of(found) if found else None


@strawberry.type(description="Why a device is on its images.")
class DeviceExplanation:
    at: datetime = strawberry.field(description="When this was so.")
    services: list[ServiceExplanation] = strawberry.field(description="Service by service; empty for a device that is told to run nothing.")
    sentences: list[str] = strawberry.field(description="All of their sentences, in order.")

    @classmethod
    def of(cls, explained: explanations.DeviceExplanation) -> Self:
        services = [ServiceExplanation.of(service) for service in explained.services]
        return cls(at=explained.at, services=services, sentences=[sentence for service in services for sentence in service.sentences])
