"""Devices, as a client sees them."""

from collections.abc import AsyncIterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry
from strawberry.scalars import JSON

from domain import aside as set_aside
from domain import devices as domain
from domain import differences, targets
from domain.audit import Subject
from domain.ids import DeviceId, RolloutId
from domain.members import Member
from resolvers import aside, devices, explanations, fleet, provisioning, watching
from resolvers.watching import Watched
from schema.audit import AuditEntry, trail
from schema.enums import AsideKind, DeviceStanding, DifferenceKind, SubjectKind
from schema.explanations import DeviceExplanation
from schema.following import Following
from schema.nodes import Node, node_id
from schema.paging import DEFAULT, LAST, After, Connection, First, Key, numbered, paged
from schema.resuming import SO_FAR
from schema.rollouts import RolloutDevice
from schema.scalars import UUID, ImageReference
from schema.session import Info

if TYPE_CHECKING:
    from schema.fleets import Fleet
    from schema.provisioning import ProvisioningKey


@strawberry.type(description="What a device should run, rollouts included: what its next poll will say.")
class TargetState:
    apps: JSON = strawberry.field(
        description="By app id; each service has its image in `imageName` and `config.image`.", metadata={"cost": 10}
    )
    config: JSON = strawberry.field(description="Settings passed through to the agent.", metadata={"cost": 10})
    version: int = strawberry.field(description="Rises by one at every change the device can see.")

    @classmethod
    def of(cls, target: targets.Target) -> Self:
        return cls(apps=JSON(target.apps), config=JSON(target.config), version=target.version)


@strawberry.type(description="What a device last reported.")
class CurrentState:
    apps: JSON = strawberry.field(description="By app id, as the device sent it.", metadata={"cost": 10})
    version: int | None = strawberry.field(description="The target version it had polled; no proof that it runs it.")
    info: JSON = strawberry.field(description="What else it said of itself.", metadata={"cost": 10})
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
    wanted: ImageReference | None = strawberry.field(description="The image it should run; null: none.")
    running: str | None = strawberry.field(description="The image that the device last reported; null: it did not name the service.")
    status: str | None = strawberry.field(description="What it said of the container: running, exited, …")

    @classmethod
    def of(cls, found: differences.Difference) -> Self:
        return cls(
            app=found.app,
            service=found.service,
            kind=found.kind,
            wanted=None if found.wanted is None else ImageReference(str(found.wanted)),
            running=found.running,
            status=found.status,
        )


@strawberry.type(description="One machine in the field.")
class Device(Node):
    uuid: UUID = strawberry.field(description="The name it gave itself when it registered.")
    version: int = strawberry.field(
        description="Rises when operators change what is written here of it: labels, standing, being set aside, keys; not with reports."
    )
    name: str = strawberry.field(description="What people call it.")
    type: str = strawberry.field(description="What kind of machine it is.")
    created_at: datetime = strawberry.field(description="When it registered.")
    last_seen_at: datetime | None = strawberry.field(
        description="When it last polled or reported, to some three minutes: not every poll is written down."
    )
    labels: JSON = strawberry.field(
        description="What operators wrote on it, strings by name. A rollout reads them when it ranks its devices and not again: "
        "the time zone whose window a device waits for, and the value of a label of which only so many may be on their way."
    )
    standing: DeviceStanding = strawberry.field(description="Whether it may take part.")
    revoked_at: datetime | None = strawberry.field(description="Since when it is let in no more; null if it is.")
    source: strawberry.Private[domain.Device]

    @classmethod
    def of(cls, device: domain.Device) -> Self:
        return cls(
            id=node_id("Device", device.uuid),
            uuid=UUID(device.uuid),
            version=device.version,
            name=device.name,
            type=device.type,
            created_at=device.created_at,
            last_seen_at=device.last_seen_at,
            labels=JSON(device.labels),
            standing=_standing(device),
            revoked_at=device.revoked_at,
            source=device,
        )

    @strawberry.field(description="The fleet its provisioning key belongs to; null is none.")
    def fleet(self) -> Annotated["Fleet", strawberry.lazy("schema.fleets")] | None:
        from schema.fleets import Fleet

        return None if self.source.fleet is None else Fleet.of(self.source.fleet)

    @strawberry.field(description="Whether it was heard of within the last eight minutes.")
    async def online(self, info: Info) -> bool:
        return self.source.is_online(await info.context.now())

    @strawberry.field(
        description="Every service whose last report is not what the device should run now; all, if it never reported.",
        metadata={"cost": 5},
    )
    async def differences(self, info: Info) -> list[Difference]:
        return [Difference.of(found) for found in await _differences(info, self.source.id)]

    @strawberry.field(description="Whether there are none.", metadata={"cost": 5})
    async def in_sync(self, info: Info) -> bool:
        return not await _differences(info, self.source.id)

    @strawberry.field(description="Whether and why it joins no rollout now; null if it does.")
    async def aside(self, info: Info) -> Aside | None:
        found = await info.context.load(aside.of_devices, self.source.id)
        return None if found is None else Aside.of(found)

    @strawberry.field(description="What it should run, rollouts included.")
    async def target_state(self, info: Info) -> TargetState:
        found = await info.context.load(devices.targets_of, self.source.id)
        assert found is not None, "a device is registered together with its target"
        return TargetState.of(found)

    @strawberry.field(description="What it last reported.")
    async def current_state(self, info: Info) -> CurrentState | None:
        found = await info.context.load(devices.current_states_of, self.source.id)
        return None if found is None else CurrentState.of(found)

    @strawberry.field(
        description="Why it is on its images: what it is told to run, since when and because of what, what it said of that, and what "
        "would change it. For a device in a rollout under way that rollout's devices are counted.",
        metadata={"cost": 20},
    )
    async def explain(self, info: Info) -> DeviceExplanation:
        found = await info.context.load(explanations.of_devices, self.source.id)
        assert found is not None, "every device has one"
        return DeviceExplanation.of(found)

    @strawberry.field(description="The provisioning key that it last registered with.")
    async def provisioning_key(self, info: Info) -> Annotated["ProvisioningKey", strawberry.lazy("schema.provisioning")] | None:
        from schema.provisioning import ProvisioningKey

        found = await info.context.load(provisioning.of_devices, self.source.id)
        return None if found is None else ProvisioningKey.of(found)

    @strawberry.field(description="Its places in rollouts, newest first.")
    async def rollouts(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[RolloutDevice]:
        async def read(before: int, limit: int) -> Any:
            return await info.context.load(devices.places_of, self.source.id, RolloutId(before), limit)

        async def count() -> int:
            return await info.context.load(devices.count_places_of, self.source.id) or 0

        return await paged(first, after, _BY_ROLLOUT, read, RolloutDevice.of, count)

    @strawberry.field(description="What operators did with it, newest first. For administrators.")
    async def audit(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[AuditEntry]:
        return await trail(info, Subject(SubjectKind.DEVICE, self.source.uuid), first, after)


@strawberry.type(description="A device as it is: at once, and whenever it has changed.")
class DeviceChange:
    device: Device = strawberry.field(description="The device.")
    at: datetime = strawberry.field(description="When it was so; what is nested in it may be newer.")
    cursor: str = strawberry.field(description=SO_FAR)

    @classmethod
    def of(cls, watched: Watched) -> Self:
        return cls(device=Device.of(watched.device), at=watched.at, cursor=str(watched.cursor))


@strawberry.type
class DeviceSubscription:
    @strawberry.subscription(
        description="One device, now and whenever it changes: what is written here of it, what it should run, what it reports, where it is "
        "in its rollouts, whether it is online. What `explain` says of other devices does not count. Ends when the device is deleted."
    )
    async def device(self, info: Info, uuid: Annotated[UUID, strawberry.argument(description="Its uuid.")]) -> AsyncIterable[DeviceChange]:
        return Following(await watching.device(info.context.ctx, uuid), DeviceChange.of)


_BY_ROLLOUT: Key[Member, int] = numbered(LAST, lambda member: member.rollout_id)


def _standing(device: domain.Device) -> DeviceStanding:
    if device.revoked_at is not None:
        return DeviceStanding.REVOKED
    return DeviceStanding.WAITING if device.is_waiting else DeviceStanding.ACCEPTED


async def _differences(info: Info, device: DeviceId) -> list[differences.Difference]:
    return await info.context.load(fleet.differences_of, device) or []
