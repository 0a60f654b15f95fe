"""Rollouts, as a client sees them."""

from collections.abc import AsyncIterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry

from domain import events as of_events
from domain import rollouts as domain
from domain.audit import Subject
from domain.checks import Verdict
from domain.events import Cursor
from domain.ids import PolicyId, PushId, RolloutId
from domain.members import Member
from domain.progress import Count, tally
from domain.rollouts import PastMove
from resolvers import devices, events, policies, pushes, rollouts, watching
from resolvers.rollouts import Explanation, Snapshot
from schema.arguments import WHICH, ById, ByNumber, each_once
from schema.audit import AuditEntry, trail
from schema.enums import DeviceStatus, EventType, On, State, Status, SubjectKind
from schema.events import Event
from schema.following import Following
from schema.images import Image
from schema.nodes import Node, node_id, number_asked, number_of
from schema.paging import DEFAULT, LAST, After, Connection, First, Key, numbered, paged
from schema.plans import Plan
from schema.resuming import SO_FAR
from schema.scalars import UUID
from schema.session import Info

if TYPE_CHECKING:
    from schema.devices import Device
    from schema.fleets import Fleet
    from schema.policies import Policy
    from schema.pushes import Push

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
    cursor: str = strawberry.field(description=SO_FAR)
    source: strawberry.Private[domain.Rollout]

    @classmethod
    def of(cls, snapshot: Snapshot) -> Self:
        rollout, counts = snapshot.rollout, snapshot.counts
        return cls(
            source=rollout,
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
            cursor=str(snapshot.cursor),
        )

    @strawberry.field(description="Whose progress this is, at that moment.")
    def rollout(self) -> Annotated["Rollout", strawberry.lazy("schema.rollouts")]:
        return Rollout.of(self.source)


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
    event: EventType = strawberry.field(description="What it is called.")
    actor: str = strawberry.field(description="Who made it: an operator, or rollwave itself.")
    reason: str | None = strawberry.field(description="Why, where there is something to say.")
    status: Status = strawberry.field(description="What the rollout became.")

    @classmethod
    def of(cls, move: PastMove) -> Self:
        return cls(revision=move.revision, at=move.at, event=move.event, actor=move.actor, reason=move.reason, status=move.status)


@strawberry.type(description="A device's place in a rollout.")
class RolloutDevice(Node):
    device_uuid: UUID = strawberry.field(description="Which device.")
    batch_number: int | None = strawberry.field(description="The batch it was offered the image in, from 1.")
    status: DeviceStatus = strawberry.field(description="Where it is.")
    scheduled_at: datetime | None = strawberry.field(description="When it was offered the image.")
    taken_at: datetime | None = strawberry.field(description="When it first polled after that.")
    outcome_at: datetime | None = strawberry.field(description="Since when it shows what it shows.")
    returned_at: datetime | None = strawberry.field(description="When it reported its previous image after a rollback.")
    retries: int = strawberry.field(description="How often it was offered the image again after a failure.")
    retry_at: datetime | None = strawberry.field(description="When it will be offered it again.")
    reason: str | None = strawberry.field(description="What it said of a failure.")
    source: strawberry.Private[Member]

    @classmethod
    def of(cls, member: Member) -> Self:
        return cls(
            id=node_id("RolloutDevice", f"{member.rollout_id}:{member.device_uuid}"),
            device_uuid=UUID(member.device_uuid),
            batch_number=member.batch_number,
            status=member.status,
            scheduled_at=member.scheduled_at,
            taken_at=member.taken_at,
            outcome_at=member.outcome_at,
            returned_at=member.returned_at,
            retries=member.retries,
            retry_at=member.retry_at,
            reason=member.reason,
            source=member,
        )

    @strawberry.field(description="The device itself.")
    async def device(self, info: Info) -> Annotated["Device", strawberry.lazy("schema.devices")]:
        from schema.devices import Device

        found = await info.context.load(devices.many, self.source.device_id)
        assert found is not None, "a member's device exists"
        return Device.of(found)

    @strawberry.field(description="The rollout itself.")
    async def rollout(self, info: Info) -> Annotated["Rollout", strawberry.lazy("schema.rollouts")]:
        found = await info.context.load(rollouts.many, self.source.rollout_id)
        assert found is not None, "a member's rollout exists"
        return Rollout.of(found)


@strawberry.type(description="One release on its way to the devices that one policy governs.")
class Rollout(Node):
    number: int = strawberry.field(description="What people call it by, also in sentences and in the log: rollouts are counted from 1.")
    image: Image = strawberry.field(description="The image as devices are told it, pinned to a digest when one is known.")
    images: list[Image] = strawberry.field(description="Everything it brings: the image, and those that move together with it.")
    status: Status = strawberry.field(description="Where the rollout is in its life.")
    reason: str | None = strawberry.field(description="Why it stopped, if it did.")
    revision: int = strawberry.field(description="How many moves were made; `expectedVersion` is compared with it.")
    current_batch: int = strawberry.field(description="The open batch, from 1; 0 before the first.")
    total_batches: int = strawberry.field(description="How many batches there are; 0 until the devices are ranked.")
    total_devices: int = strawberry.field(description="How many devices take part.")
    offered_devices: int = strawberry.field(description="How many are offered the image now.")
    by_hand: bool = strawberry.field(description="Whether an operator created it, and not a push.")
    selector: str | None = strawberry.field(
        description="Only devices with such labels take part, as the policy said when it was created; null is all."
    )
    except_fleets: list[str] = strawberry.field(description="Of a rollout for all fleets those that had a policy of their own.")
    checksum: str = strawberry.field(description="Stands for this release under this plan: what an approval is given for.")
    approvals_required: int = strawberry.field(description="How many operators must approve it before it starts.")
    approved_by: list[str] = strawberry.field(description="Who did.")
    created_at: datetime = strawberry.field(description="When it was created.")
    moved_at: datetime = strawberry.field(description="When it last moved.")
    started_at: datetime | None = strawberry.field(description="When it started.")
    finished_at: datetime | None = strawberry.field(description="When it ended.")
    source: strawberry.Private[domain.Rollout]

    @classmethod
    def of(cls, rollout: domain.Rollout) -> Self:
        return cls(
            id=node_id("Rollout", rollout.id),
            number=rollout.id,
            image=Image.of(rollout.image),
            images=list(map(Image.of, rollout.images)),
            status=rollout.status,
            reason=rollout.reason,
            revision=rollout.revision,
            current_batch=rollout.stage + 1,
            total_batches=len(rollout.stages),
            total_devices=rollout.size,
            offered_devices=rollout.frontier,
            by_hand=rollout.by_hand,
            selector=None if rollout.selector is None else str(rollout.selector),
            except_fleets=list(rollout.except_fleets),
            checksum=rollout.checksum,
            approvals_required=rollout.plan.approvals,
            approved_by=list(rollout.approved_by),
            created_at=rollout.created_at,
            moved_at=rollout.moved_at,
            started_at=rollout.started_at,
            finished_at=rollout.finished_at,
            source=rollout,
        )

    @strawberry.field(description="The policy it follows.")
    async def policy(self, info: Info) -> Annotated["Policy", strawberry.lazy("schema.policies")]:
        from schema.policies import Policy

        found = await info.context.load(policies.many, self.source.policy_id)
        assert found is not None, "a rollout's policy keeps its row"
        return Policy.of(found)

    @strawberry.field(description="Only devices of this fleet take part; null is all.")
    def fleet(self) -> Annotated["Fleet", strawberry.lazy("schema.fleets")] | None:
        from schema.fleets import Fleet

        return None if self.source.fleet is None else Fleet.of(self.source.fleet)

    @strawberry.field(description="The plan that it keeps.")
    def plan(self) -> Plan:
        return Plan.of(self.source.plan)

    @strawberry.field(description="Where its devices are now.", metadata={"cost": 20})
    async def progress(self, info: Info) -> RolloutProgress:
        found = await info.context.load(rollouts.snapshots, self.source.id)
        assert found is not None, "rollouts are never deleted"
        return RolloutProgress.of(found)

    @strawberry.field(description="What it waits for, and what would make it move: the engine's own decision.", metadata={"cost": 20})
    async def explain(self, info: Info) -> RolloutExplanation:
        return RolloutExplanation.of(await _explained(info, self.source.id))

    @strawberry.field(description="Where the checks of the open batch as a whole stand.", metadata={"cost": 20})
    async def checks(self, info: Info) -> list[CheckVerdict]:
        return [CheckVerdict.of(verdict) for verdict in (await _explained(info, self.source.id)).progress.checks]

    @strawberry.field(description="Its batches, first to last.")
    async def batches(self, info: Info) -> list[Batch]:
        return Batch.all_of(self.source, await info.context.load(rollouts.histories, self.source.id) or ())

    @strawberry.field(description="Every move it made, first to last.")
    async def moves(self, info: Info) -> list[Move]:
        return [Move.of(move) for move in await info.context.load(rollouts.histories, self.source.id) or ()]

    @strawberry.field(description="Its devices, in the order in which they are offered the image.")
    async def devices(
        self,
        info: Info,
        first: First = DEFAULT,
        after: After = None,
        status: Annotated[list[DeviceStatus] | None, strawberry.argument(description="Only those that are there; null is all.")] = None,
    ) -> Connection[RolloutDevice]:
        statuses = each_once(DeviceStatus, status)

        async def read(rank: int, limit: int) -> Any:
            return await info.context.load(rollouts.members_of, self.source.id, min(rank, LAST_RANK), limit, statuses)

        async def count() -> int:
            return await info.context.load(rollouts.member_counts, self.source.id, statuses) or 0

        return await paged(first, after, BY_RANK, read, RolloutDevice.of, count)

    @strawberry.field(description="What happened, oldest first; a cursor from here continues in `rolloutEvents`.")
    async def events(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[Event]:
        async def read(place: Cursor, limit: int) -> Any:
            return await info.context.load(events.pages, self.source.id, place, limit)

        async def count() -> int:
            return await info.context.load(events.counts, self.source.id) or 0

        return await paged(first, after, IN_EVENT_ORDER, read, Event.of, count)

    @strawberry.field(description="The pushes that started it, or came while it was under way, newest first.")
    async def pushes(
        self, info: Info, first: First = DEFAULT, after: After = None
    ) -> Connection[Annotated["Push", strawberry.lazy("schema.pushes")]]:
        from schema.pushes import NEWEST, Push

        async def read(before: int, limit: int) -> Any:
            return await info.context.load(pushes.of_rollouts, self.source.id, PushId(before), limit)

        async def count() -> int:
            return await info.context.load(pushes.count_of_rollouts, self.source.id) or 0

        return await paged(first, after, NEWEST, read, Push.of, count)

    @strawberry.field(description="What operators did with it, newest first. For administrators.")
    async def audit(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[AuditEntry]:
        return await trail(info, Subject(SubjectKind.ROLLOUT, str(self.source.id)), first, after)


BY_NUMBER: Key[domain.Rollout, int] = numbered(LAST, lambda rollout: rollout.id)
BY_RANK: Key[Member, int] = numbered(-1, lambda member: member.rank)
IN_EVENT_ORDER: Key[of_events.Event, Cursor] = Key(Cursor(), lambda event: str(event.cursor), Cursor.parse)


async def _explained(info: Info, rollout: RolloutId) -> Explanation:
    found = await info.context.load(rollouts.explanations, rollout)
    assert found is not None, "rollouts are never deleted"
    return found


@strawberry.input(description="Which rollouts are meant; what is left out asks nothing.")
class RolloutFilterInput:
    status: list[Status] | None = strawberry.field(description="In one of these states.", default=None)
    policy: strawberry.ID | None = strawberry.field(description="Of this policy.", default=None)
    fleet: str | None = strawberry.field(description="For this fleet alone.", default=None)
    search: str | None = strawberry.field(description="With this in the name of their image.", default=None)
    created_since: datetime | None = strawberry.field(description="Not created before.", default=None)
    created_until: datetime | None = strawberry.field(description="Created before.", default=None)

    def wanted(self) -> domain.RolloutFilter:
        return domain.RolloutFilter(
            statuses=each_once(Status, self.status),
            policy=None if self.policy is None else PolicyId(number_asked("Policy", self.policy, None)),
            fleet=self.fleet,
            search=self.search,
            since=self.created_since,
            until=self.created_until,
        )


@strawberry.type
class RolloutQuery:
    @strawberry.field(description="One rollout, by its id or its number.")
    async def rollout(self, info: Info, id: ById = None, number: ByNumber = None) -> Rollout | None:  # noqa: A002 – GraphQL's word
        found = await info.context.load(rollouts.many, RolloutId(number_asked("Rollout", id, number)))
        return None if found is None else Rollout.of(found)

    @strawberry.field(description="Rollouts, newest first.")
    async def rollouts(
        self,
        info: Info,
        first: First = DEFAULT,
        after: After = None,
        filter: Annotated[RolloutFilterInput | None, WHICH] = None,  # noqa: A002
    ) -> Connection[Rollout]:
        wanted = (filter or RolloutFilterInput()).wanted()

        async def read(before: int, limit: int) -> Any:
            return await rollouts.page(info.context.ctx, RolloutId(before), limit, wanted)

        async def count() -> int:
            return await rollouts.count(info.context.ctx, wanted)

        return await paged(first, after, BY_NUMBER, read, Rollout.of, count)


@strawberry.type
class RolloutSubscription:
    @strawberry.subscription(description="A rollout's progress, now and whenever it changes; ends with the rollout.")
    async def rollout_progress(
        self,
        info: Info,
        id: Annotated[strawberry.ID, strawberry.argument(description="The id of a rollout.")],  # noqa: A002 – GraphQL's word
    ) -> AsyncIterable[RolloutProgress]:
        stream = await watching.progress(info.context.ctx, RolloutId(number_of(id, "Rollout")))
        return Following(stream, RolloutProgress.of)
