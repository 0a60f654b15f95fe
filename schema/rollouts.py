"""Rollouts, as a client sees them."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry

from domain import rollouts as domain
from domain.checks import Verdict
from domain.events import Cursor, EventType
from domain.ids import DeviceId, PolicyId, RolloutId
from domain.members import Member
from domain.progress import Count, tally
from domain.rollouts import PastMove
from resolvers import devices, events, policies, rollouts
from resolvers.rollouts import Explanation, Snapshot
from schema.enums import DeviceStatus, On, State, Status
from schema.events import Event
from schema.paging import DEFAULT, Connection, Edge, checked, paged
from schema.session import Info

if TYPE_CHECKING:
    from schema.devices import Device
    from schema.policies import Policy

LAST_RANK = 2**31 - 1  # PostgreSQL's integer; a cursor of another list may count further


@strawberry.type(description="How many devices are where.")
class DeviceCounts:
    pending: int = strawberry.field(description="Not offered the image yet.")
    scheduled: int = strawberry.field(description="Offered, and not polled since.")
    updating: int = strawberry.field(description="Took the image and said nothing conclusive.")
    updated: int = strawberry.field(description="Run the image; with health checks on, the soak time is not over.")
    healthy: int = strawberry.field(description="Ran the image, healthy, for the soak time.")
    deferred: int = strawberry.field(
        description="Their turn came, but their window is closed, they were silent, or one that shares their label had failed."
    )
    failed: int = strawberry.field(description="Could not pull or start it, or the container stopped.")
    unhealthy: int = strawberry.field(description="Run it, and it does not work.")
    refused: int = strawberry.field(description="Would not take it.")
    retrying: int = strawberry.field(description="Failed and were taken back; they will be offered the image again.")
    timed_out: int = strawberry.field(description="Took the image and stayed silent past the deadline.")
    rolling_back: int = strawberry.field(description="Told to return, and have not reported it.")
    rolled_back: int = strawberry.field(description="Back on their previous image.")
    skipped: int = strawberry.field(description="Taken out: an operator gave them another image.")


@strawberry.type(description="A rollout at one moment.")
class RolloutProgress:
    rollout_id: strawberry.ID = strawberry.field(description="Whose progress this is.")
    status: Status = strawberry.field(description="Where the rollout is in its life.")
    reason: str | None = strawberry.field(description="Why it stopped, if it did.")
    revision: int = strawberry.field(description="How many moves were made.")
    current_batch: int = strawberry.field(description="The open batch, from 1; 0 before the first.")
    total_batches: int = strawberry.field(description="How many batches there are.")
    total_devices: int = strawberry.field(description="How many devices take part.")
    offered_devices: int = strawberry.field(description="How many are offered the image now.")
    devices: DeviceCounts = strawberry.field(description="How many devices are where.")
    failure_rate: float = strawberry.field(description="Failed / (running + failed) of the devices that have shown anything; 0 to 1.")
    at: datetime = strawberry.field(description="When this was so.")

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        rollout, counts = snapshot.rollout, snapshot.counts
        return cls(
            rollout_id=strawberry.ID(str(rollout.id)),
            status=rollout.status,
            reason=rollout.reason,
            revision=rollout.revision,
            current_batch=rollout.stage + 1,
            total_batches=len(rollout.stages),
            total_devices=rollout.size,
            offered_devices=rollout.frontier,
            devices=DeviceCounts(**{status.value: counts.get(status, 0) for status in DeviceStatus}),
            failure_rate=tally(Count(status, None, devices, in_batch=False) for status, devices in counts.items()).rate,
            at=snapshot.at,
        )


@strawberry.type(description="Why a rollout is where it is.")
class RolloutExplanation:
    waits_for: On = strawberry.field(description="Who or what it waits for.")
    sentence: str = strawberry.field(description="The same for people.")
    until: datetime | None = strawberry.field(description="When it ends at the latest, where the clock alone decides that.")
    cause: str = strawberry.field(
        description="What it came of: an operator, or what was decided of a push. It says why if devices are told the tag and no digest."
    )

    @classmethod
    def of(cls, explained: Explanation) -> Self:
        step = explained.next
        if isinstance(step, domain.Move):
            return cls(waits_for=On.ENGINE, sentence=f"it is about to move: {step.event}", until=None, cause=explained.cause)
        return cls(waits_for=step.on, sentence=step.sentence, until=step.until, cause=explained.cause)


@strawberry.type(description="Where a check stands.")
class CheckVerdict:
    state: State = strawberry.field(description="Running, or how it was decided.")
    reason: str = strawberry.field(description="Why, beginning with the check's name.")

    @classmethod
    def of(cls, verdict: Verdict) -> Self:
        return cls(state=verdict.state, reason=verdict.reason)


@strawberry.type(description="Devices that are offered the image together.")
class Batch:
    number: int = strawberry.field(description="From 1.")
    planned_devices: int = strawberry.field(description="How many devices it is meant to test.")
    offered_devices: int = strawberry.field(description="How many were offered the image in it; silent ones are replaced.")
    started_at: datetime | None = strawberry.field(description="When it opened.")
    completed_at: datetime | None = strawberry.field(description="When it had proved itself.")

    @classmethod
    def all_of(cls, rollout: domain.Rollout, history: Sequence[PastMove]) -> list[Self]:
        return [cls._one(rollout, stage, [move for move in history if move.stage == stage]) for stage in range(len(rollout.stages))]

    @classmethod
    def _one(cls, rollout: domain.Rollout, stage: int, moves: Sequence[PastMove]) -> Self:
        opened = [move for move in moves if move.event in (EventType.BATCH_STARTED, EventType.BATCH_WIDENED)]
        settled = [move.at for move in moves if move.event is EventType.BATCH_COMPLETED]
        planned = rollout.stages[stage - 1] if stage else 0
        began = rollout.ends[stage - 1] if 0 < stage <= len(rollout.ends) else 0
        return cls(
            number=stage + 1,
            planned_devices=rollout.stages[stage] - planned,
            offered_devices=opened[-1].frontier - began if opened else 0,
            started_at=opened[0].at if opened else None,
            completed_at=settled[-1] if settled else None,
        )


@strawberry.type(description="One step of a rollout, as history keeps it.")
class Move:
    revision: int = strawberry.field(description="The n-th move is n.")
    at: datetime = strawberry.field(description="When.")
    event: str = strawberry.field(description="What it is called.")
    actor: str = strawberry.field(description="Who made it: an operator, or rollwave itself.")
    reason: str | None = strawberry.field(description="Why, where there is something to say.")
    status: Status = strawberry.field(description="What the rollout became.")

    @classmethod
    def of(cls, move: PastMove) -> Self:
        return cls(revision=move.revision, at=move.at, event=move.event.value, actor=move.actor, reason=move.reason, status=move.status)


@strawberry.type(description="A device's place in a rollout.")
class RolloutDevice:
    device_uuid: strawberry.ID = strawberry.field(description="Which device.")
    rollout_id: strawberry.ID = strawberry.field(description="Which rollout.")
    batch_number: int | None = strawberry.field(description="The batch it was offered the image in, from 1.")
    status: DeviceStatus = strawberry.field(description="Where it is.")
    scheduled_at: datetime | None = strawberry.field(description="When it was offered the image.")
    taken_at: datetime | None = strawberry.field(description="When it first polled after that.")
    outcome_at: datetime | None = strawberry.field(description="Since when it shows what it shows.")
    returned_at: datetime | None = strawberry.field(description="When it reported its previous image after a rollback.")
    retries: int = strawberry.field(description="How often it was offered the image again after a failure.")
    retry_at: datetime | None = strawberry.field(description="When it will be offered it again.")
    reason: str | None = strawberry.field(description="What it said of a failure.")
    device_id: strawberry.Private[DeviceId]

    @classmethod
    def of(cls, member: Member) -> Self:
        return cls(
            device_uuid=strawberry.ID(member.device_uuid),
            rollout_id=strawberry.ID(str(member.rollout_id)),
            batch_number=member.batch_number,
            status=member.status,
            scheduled_at=member.scheduled_at,
            taken_at=member.taken_at,
            outcome_at=member.outcome_at,
            returned_at=member.returned_at,
            retries=member.retries,
            retry_at=member.retry_at,
            reason=member.reason,
            device_id=member.device_id,
        )

    @strawberry.field(description="The device itself.")
    async def device(self, info: Info) -> Annotated["Device", strawberry.lazy("schema.devices")]:
        from schema.devices import Device

        found = await devices.by_id(info.context.ctx, self.device_id)
        assert found is not None, "a member's device exists"
        return Device.of(found)

    @strawberry.field(description="The rollout itself.")
    async def rollout(self, info: Info) -> Annotated["Rollout", strawberry.lazy("schema.rollouts")]:
        found = await rollouts.one(info.context.ctx, RolloutId(int(self.rollout_id)))
        assert found is not None, "a member's rollout exists"
        return Rollout.of(found)


@strawberry.type(description="One release on its way to the devices that one policy governs.")
class Rollout:
    id: strawberry.ID = strawberry.field(description="Names this rollout in every other call.")
    image: str = strawberry.field(description="The image as devices are told it, pinned to a digest when one is known.")
    images: list[str] = strawberry.field(description="Everything it brings: the image, and those that move together with it.")
    image_name: str = strawberry.field(description="Its repository.")
    tag: str | None = strawberry.field(description="Its tag.")
    digest: str | None = strawberry.field(description="Its digest, when known.")
    status: Status = strawberry.field(description="Where the rollout is in its life.")
    reason: str | None = strawberry.field(description="Why it stopped, if it did.")
    revision: int = strawberry.field(description="How many moves were made.")
    current_batch: int = strawberry.field(description="The open batch, from 1; 0 before the first.")
    total_batches: int = strawberry.field(description="How many batches there are; 0 until the devices are ranked.")
    total_devices: int = strawberry.field(description="How many devices take part.")
    offered_devices: int = strawberry.field(description="How many are offered the image now.")
    selector: str | None = strawberry.field(
        description="Only devices with such labels take part, as the policy said when it was created; null is all."
    )
    checksum: str = strawberry.field(description="Stands for this release under this plan: what an approval is given for.")
    approvals_required: int = strawberry.field(description="How many operators must approve it before it starts.")
    approved_by: list[str] = strawberry.field(description="Who did.")
    created_at: datetime = strawberry.field(description="When it was created.")
    started_at: datetime | None = strawberry.field(description="When it started.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")
    source: strawberry.Private[domain.Rollout]

    @classmethod
    def of(cls, rollout: domain.Rollout) -> Self:
        return cls(
            id=strawberry.ID(str(rollout.id)),
            image=str(rollout.image),
            images=list(map(str, rollout.images)),
            image_name=rollout.image.name,
            tag=rollout.image.tag,
            digest=rollout.image.digest,
            status=rollout.status,
            reason=rollout.reason,
            revision=rollout.revision,
            current_batch=rollout.stage + 1,
            total_batches=len(rollout.stages),
            total_devices=rollout.size,
            offered_devices=rollout.frontier,
            selector=None if rollout.selector is None else str(rollout.selector),
            checksum=rollout.checksum,
            approvals_required=rollout.plan.approvals,
            approved_by=list(rollout.approved_by),
            created_at=rollout.created_at,
            started_at=rollout.started_at,
            finished_at=rollout.finished_at,
            source=rollout,
        )

    @strawberry.field(description="The policy it follows.")
    async def policy(self, info: Info) -> Annotated["Policy", strawberry.lazy("schema.policies")]:
        from schema.policies import Policy

        found = await policies.one(info.context.ctx, PolicyId(self.source.policy_id))
        assert found is not None, "a rollout's policy keeps its row"
        return Policy.of(found)

    @strawberry.field(description="Where its devices are now.")
    async def progress(self, info: Info) -> RolloutProgress:
        return RolloutProgress.of(await rollouts.snapshot(info.context.ctx, self.source.id))

    @strawberry.field(description="What it waits for, and what would make it move: the engine's own decision.")
    async def explain(self, info: Info) -> RolloutExplanation:
        return RolloutExplanation.of(await rollouts.explain(info.context.ctx, self.source.id))

    @strawberry.field(description="Where the checks of the open batch as a whole stand.")
    async def checks(self, info: Info) -> list[CheckVerdict]:
        return [CheckVerdict.of(verdict) for verdict in (await rollouts.explain(info.context.ctx, self.source.id)).progress.checks]

    @strawberry.field(description="Its batches, first to last.")
    async def batches(self, info: Info) -> list[Batch]:
        return Batch.all_of(self.source, await rollouts.history(info.context.ctx, self.source.id))

    @strawberry.field(description="Every move it made, first to last.")
    async def moves(self, info: Info) -> list[Move]:
        return [Move.of(move) for move in await rollouts.history(info.context.ctx, self.source.id)]

    @strawberry.field(description="Its devices, in the order in which they are offered the image.")
    async def devices(
        self, info: Info, first: int = DEFAULT, after: str | None = None, status: list[DeviceStatus] | None = None
    ) -> Connection[RolloutDevice]:
        async def read(rank: int, limit: int) -> list[Member]:
            return await rollouts.devices(info.context.ctx, self.source.id, min(rank, LAST_RANK), limit, status)

        return await paged(first, after, -1, read, lambda member: member.rank, RolloutDevice.of)

    @strawberry.field(description="What happened, oldest first; a cursor from here continues in `rolloutEvents`.")
    async def events(self, info: Info, first: int = DEFAULT, after: str | None = None) -> Connection[Event]:
        start = Cursor() if after is None else Cursor.parse(after)
        found = await events.page(info.context.ctx, self.source.id, start, checked(first) + 1)
        return Connection.of([Edge(cursor=str(event.cursor), node=Event.of(event)) for event in found], first)
