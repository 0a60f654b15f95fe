"""What a rollout would do, as a client sees it."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from domain import previews as domain
from domain.plans import checksum
from resolvers import devices, rollouts
from schema.devices import Aside, Device
from schema.enums import AsideKind, LeftOut
from schema.images import Image
from schema.plans import Plan
from schema.rollouts import Rollout
from schema.scalars import UUID, ImageReference
from schema.session import Info

if TYPE_CHECKING:
    from schema.policies import Policy


@strawberry.type(description="A batch that a rollout would have.")
class PlannedBatch:
    number: int = strawberry.field(description="From 1.")
    devices: int = strawberry.field(description="How many devices it would offer the image to.")
    offered_devices: int = strawberry.field(description="The same with those of the batches before.")


@strawberry.type(description="A device that would not take part.")
class LeftOutDevice:
    device_uuid: UUID = strawberry.field(description="Which device.")
    name: str = strawberry.field(description="What people call it.")
    fleet: str | None = strawberry.field(description="Its fleet.")
    images: list[ImageReference] = strawberry.field(description="What it is told to run of the repositories concerned.")
    sentence: str = strawberry.field(description="Why it would not take part.")
    aside: Aside | None = strawberry.field(description="That it is pinned, held or quarantined, where that is why.")
    source: strawberry.Private[domain.LeftOutDevice]

    @classmethod
    def of(cls, why: LeftOut, device: domain.LeftOutDevice) -> Self:
        is_aside = why.value in (kind.value for kind in AsideKind)
        return cls(
            device_uuid=UUID(device.uuid),
            name=device.name,
            fleet=device.fleet,
            images=list(map(ImageReference, device.images)),
            sentence=domain.sentence(why, device),
            aside=Aside.of(device.aside) if device.aside and is_aside else None,
            source=device,
        )

    @strawberry.field(description="The device itself.")
    async def device(self, info: Info) -> Device:
        found = await info.context.load(devices.many, self.source.device_id)
        assert found is not None, "devices are never deleted"
        return Device.of(found)

    @strawberry.field(description="The other rollout it is in, where that is why.")
    async def rollout(self, info: Info) -> Rollout | None:
        found = await info.context.follow(rollouts.many, self.source.rollout_id)
        return Rollout.of(found) if found else None


@strawberry.type(description="Devices that run the image and would not take part, for one reason.")
class LeftOutDevices:
    reason: LeftOut = strawberry.field(description="Why; of several reasons the first in the order of this list.")
    devices: int = strawberry.field(description="How many.")
    first: list[LeftOutDevice] = strawberry.field(description="The first of them, in the order they registered.")

    @classmethod
    def of(cls, sample: domain.Sample) -> Self:
        return cls(reason=sample.why, devices=sample.devices, first=[LeftOutDevice.of(sample.why, device) for device in sample.first])


@strawberry.type(description="When devices of a time zone could first be offered the image.")
class WindowOpening:
    timezone: str = strawberry.field(description="An IANA name; empty where every window names its own.")
    devices: int = strawberry.field(description="How many would take part.")
    at: datetime | None = strawberry.field(description="When a window of theirs is open next; null if none ever is.")


@strawberry.type(
    description="When it would be over if all goes well, and no promise. Stage by stage it adds up: letting the devices in by the pace; "
    "what devices took until now to pick an image up and to run it; the soak; the delay, or the time for which it is watched at the end. "
    "Letting in and picking up go on in maintenance windows only. Nobody fails, and silent devices are given up after the policy's time."
)
class Forecast:
    likely: datetime | None = strawberry.field(description="If devices take as long as half of them did.")
    late: datetime | None = strawberry.field(description="If devices take as long as nine in ten of them did at the most.")
    why_not: str | None = strawberry.field(description="Why that cannot be said, or should not be relied on.")
    basis: str = strawberry.field(description="Where the time comes from that devices are taken to need.")

    @classmethod
    def of(cls, forecast: domain.Forecast) -> Self:
        return cls(likely=forecast.likely, late=forecast.late, why_not=forecast.why_not, basis=forecast.basis)


@strawberry.type(description="What createRollout would do now. Nothing was changed for it.")
class RolloutPreview:
    images: list[Image] = strawberry.field(description="The images as devices would be told them: the one, and those that move with it.")
    at: datetime = strawberry.field(description="When this was so.")
    refusal: str | None = strawberry.field(
        description="Why createRollout would refuse: a blocked release, another image than the policy is for, nobody who runs it. "
        "The rest is said as if it would not."
    )
    supersedes: list[Rollout] = strawberry.field(description="The rollouts under way that it would take over from.")
    total_devices: int = strawberry.field(description="How many devices would take part.")
    batches: list[PlannedBatch] = strawberry.field(description="In which batches; silent devices are replaced, so that they may grow.")
    left_out_devices: int = strawberry.field(description="How many run an image of the same name and would not take part.")
    left_out: list[LeftOutDevices] = strawberry.field(description="Why, and which.")
    checksum: str = strawberry.field(description="Stands for this release under the plan it would have: what approvals would be given for.")
    approvals_required: int = strawberry.field(description="How many operators would have to approve it.")
    not_before: datetime | None = strawberry.field(description="It would not start before.")
    not_after: datetime | None = strawberry.field(description="It would end there, however far it is.")
    openings: list[WindowOpening] = strawberry.field(
        description="Maintenance windows by time zone, the next one first; none without windows."
    )
    finish: Forecast = strawberry.field(description="When it would be over.")
    source: strawberry.Private[domain.Preview]

    @classmethod
    def of(cls, preview: domain.Preview) -> Self:
        proposal, totals = preview.proposal, preview.sizes
        plan = proposal.plan
        return cls(
            images=list(map(Image.of, proposal.images)),
            at=proposal.at,
            refusal=preview.refusal,
            supersedes=[Rollout.of(rollout) for rollout in proposal.supersedes],
            total_devices=totals[-1] if totals else 0,
            batches=[
                PlannedBatch(number=number, devices=end - before, offered_devices=end)
                for number, (before, end) in enumerate(zip((0, *totals), totals, strict=False), 1)
            ],
            left_out_devices=sum(sample.devices for sample in preview.left_out),
            left_out=[LeftOutDevices.of(sample) for sample in preview.left_out],
            checksum=checksum(proposal.images, plan),
            approvals_required=plan.approvals,
            not_before=plan.schedule.not_before,
            not_after=plan.schedule.not_after,
            openings=[WindowOpening(timezone=opening.zone, devices=opening.devices, at=opening.at) for opening in preview.openings],
            finish=Forecast.of(preview.forecast),
            source=preview,
        )

    @strawberry.field(description="The plan that it would keep.")
    def plan(self) -> Plan:
        return Plan.of(self.source.proposal.plan)

    @strawberry.field(description="The policy it would follow.")
    def policy(self) -> Annotated["Policy", strawberry.lazy("schema.policies")]:
        from schema.policies import Policy

        return Policy.of(self.source.proposal.scope.policy)
