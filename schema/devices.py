"""Devices, as a client sees them."""

from datetime import datetime
from typing import Any, Self

import strawberry
from strawberry.scalars import JSON

from domain import aside as set_aside
from domain import devices as domain
from domain import differences, targets
from domain.ids import DeviceId, RolloutId
from resolvers import aside, devices, explanations, fleet
from schema.enums import AsideKind, DifferenceKind
from schema.explanations import DeviceExplanation
from schema.paging import DEFAULT, Connection, paged
from schema.rollouts import RolloutDevice
from schema.session import Info


@strawberry.type(description="What a device should run, rollouts included: what its next poll will say.")
class TargetState:
    apps: JSON = strawberry.field(description="By app id; each service has its image in `imageName` and `config.image`.")
    config: JSON = strawberry.field(description="Settings passed through to the agent.")
    version: int = strawberry.field(description="Rises by one at every change the device can see.")

    @classmethod
    def of(cls, target: targets.Target) -> Self:
        return cls(apps=JSON(target.apps), config=JSON(target.config), version=target.version)


@strawberry.type(description="What a device last reported.")
class CurrentState:
    apps: JSON = strawberry.field(description="By app id, as the device sent it.")
    version: int | None = strawberry.field(description="The target version it had polled; no proof that it runs it.")
    info: JSON = strawberry.field(description="What else it said of itself.")
    reported_at: datetime = strawberry.field(description="When.")

    @classmethod
    def of(cls, state: domain.CurrentState) -> Self:
        return cls(apps=JSON(state.apps), version=state.version, info=JSON(state.info), reported_at=state.reported_at)


@strawberry.type(description="That a device joins no rollout.")
class Aside:
    kind: AsideKind = strawberry.field(description="Whether it is pinned, held or quarantined.")
    until: datetime | None = strawberry.field(description="When that ends by itself; null: when somebody releases it.")
    at: datetime = strawberry.field(description="Since when.")
    by: str = strawberry.field(description="Who set it aside: an operator, or rollwave itself.")
    reason: str | None = strawberry.field(description="Why.")

    @classmethod
    def of(cls, aside: set_aside.Aside) -> Self:
        return cls(kind=aside.kind, until=aside.until, at=aside.at, by=aside.by, reason=aside.reason)


@strawberry.type(description="One service of a device that is not as it should be.")
class Difference:
    app: str = strawberry.field(description="The id of its app.")
    service: str = strawberry.field(description="Its name.")
    kind: DifferenceKind = strawberry.field(description="In what it differs.")
    wanted: str | None = strawberry.field(description="The image it should run; null: none.")
    running: str | None = strawberry.field(description="The image that the device last reported; null: it did not name the service.")
    status: str | None = strawberry.field(description="What it said of the container: running, exited, …")

    @classmethod
    def of(cls, found: differences.Difference) -> Self:
        return cls(
            app=found.app,
            service=found.service,
            kind=found.kind,
            wanted=None if found.wanted is None else str(found.wanted),
            running=found.running,
            status=found.status,
        )


@strawberry.type(description="One machine in the field.")
class Device:
    uuid: strawberry.ID = strawberry.field(description="The name it gave itself when it registered.")
    name: str = strawberry.field(description="What people call it.")
    type: str = strawberry.field(description="What kind of machine it is.")
    fleet: str | None = strawberry.field(description="The fleet its provisioning key belongs to.")
    created_at: datetime = strawberry.field(description="When it registered.")
    last_seen_at: datetime | None = strawberry.field(description="When it last polled or reported, to half a minute.")
    labels: JSON = strawberry.field(
        description="What operators wrote on it, strings by name. A rollout reads them when it ranks its devices and not again: "
        "the time zone whose window a device waits for, and the value of a label of which only so many may be on their way."
    )
    is_waiting: bool = strawberry.field(description="Whether it gets nothing until `acceptDevice`, as its provisioning key wants it.")
    revoked_at: datetime | None = strawberry.field(description="Since when it is let in no more; null if it is.")
    device_id: strawberry.Private[DeviceId]
    source: strawberry.Private[domain.Device]

    @classmethod
    def of(cls, device: domain.Device) -> Self:
        return cls(
            uuid=strawberry.ID(device.uuid),
            name=device.name,
            type=device.type,
            fleet=device.fleet,
            created_at=device.created_at,
            last_seen_at=device.last_seen_at,
            labels=JSON(device.labels),
            is_waiting=device.is_waiting,
            revoked_at=device.revoked_at,
            device_id=device.id,
            source=device,
        )

    @strawberry.field(description="Whether it was heard of within the last eight minutes.")
    async def online(self, info: Info) -> bool:
        return await fleet.is_online(info.context.ctx, self.source)

    @strawberry.field(description="Every service whose last report is not what the device should run now; all, if it never reported.")
    async def differences(self, info: Info) -> list[Difference]:
        return [Difference.of(found) for found in await fleet.differences_of(info.context.ctx, self.device_id)]

    @strawberry.field(description="Whether there are none.")
    async def in_sync(self, info: Info) -> bool:
        return not await fleet.differences_of(info.context.ctx, self.device_id)

    @strawberry.field(description="Whether and why it joins no rollout now; null if it does.")
    async def aside(self, info: Info) -> Aside | None:
        found = await aside.of_device(info.context.ctx, self.device_id)
        return None if found is None else Aside.of(found)

    @strawberry.field(description="What it should run, rollouts included.")
    async def target_state(self, info: Info) -> TargetState:
        return TargetState.of(await devices.target(info.context.ctx, self.device_id))

    @strawberry.field(description="What it last reported.")
    async def current_state(self, info: Info) -> CurrentState | None:
        state = await devices.current_state(info.context.ctx, self.device_id)
        return None if state is None else CurrentState.of(state)

    @strawberry.field(
        description="Why it is on its images: what it is told to run, since when and because of what, what it said of that, and what "
        "would change it. For a device in a rollout under way that rollout's devices are counted: ask it of one device, not of pages."
    )
    async def explain(self, info: Info) -> DeviceExplanation:
        return DeviceExplanation.of(await explanations.of_device(info.context.ctx, self.device_id))

    @strawberry.field(description="Its places in rollouts, newest first.")
    async def rollouts(self, info: Info, first: int = DEFAULT, after: str | None = None) -> Connection[RolloutDevice]:
        async def read(before: int, limit: int) -> Any:
            return await devices.places(info.context.ctx, self.device_id, RolloutId(before), limit)

        return await paged(first, after, 2**62, read, lambda member: member.rollout_id, RolloutDevice.of)
