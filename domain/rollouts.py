"""The engine's brain: what a rollout does next, or what it waits for. One row moves; the devices follow.

A member is offered the image iff its rank is below the frontier, its window is open, and it was not taken back. Opening a batch
raises the frontier, pacing raises it little by little, rolling back sets it to 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never
from zoneinfo import ZoneInfo

from domain import pacing
from domain.checks import State
from domain.errors import BadInput, Conflict, IllegalMove
from domain.events import EventType
from domain.evidence import exceeds
from domain.health import Outcome
from domain.ids import PolicyId, RolloutId
from domain.images import Image
from domain.plans import Limits, Plan, Schedule, Stage, checksum, sizes
from domain.progress import Progress, Tally
from domain.requests import LEGAL, Request
from domain.statuses import Status
from domain.waits import On, Wait
from domain.windows import is_open, next_opening, zone_named

ROLLBACK_WINDOW = timedelta(days=30)
"""For so long after its end a rollout can still be taken back in one step; then its result becomes the devices' own."""


@dataclass(frozen=True, slots=True)
class Zone:
    """The window of a time zone, as the engine last moved it."""

    name: str
    """Empty for members whose time zone does not matter."""
    is_open: bool
    since: datetime
    frontier: int
    """How far its members have been let in: it stands while the window is closed, and catches up, at the plan's pace, when it opens."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One release on its way to the devices that one policy governs."""

    id: RolloutId
    policy_id: PolicyId
    image: Image
    also: tuple[Image, ...]
    """Images of other repositories that move together with it: a device has all of them or none."""
    plan: Plan = field(hash=False)
    fleet: str | None
    except_fleets: tuple[str, ...]
    by_hand: bool
    """An operator named the image: devices on a newer version are not spared."""
    status: Status
    stages: tuple[int, ...]
    """How many members have been offered the image once each stage is open; empty until the members are ranked."""
    canaries: tuple[int, ...]
    """How many members each stage of the plan names."""
    ends: tuple[int, ...]
    """Where the frontier stood when each stage before the open one was left: between two of them lie the ranks of a batch."""
    stage: int
    """The open stage, counted from 0; -1 before the first."""
    size: int
    """How many members; devices that join late are appended."""
    frontier: int
    reached: int
    """The highest the frontier has been: members between the two had the image taken back."""
    zones: tuple[Zone, ...]
    """The time zones of its members; empty without windows."""
    revision: int
    """How many moves were made; the n-th move writes n."""
    frontier_at: datetime | None
    """When the frontier last moved."""
    paced_at: datetime | None
    """Up to when the time has been used for letting devices in, under a plan with a rate."""
    settled_at: datetime | None
    """When the open batch had proved itself; None while it has not."""
    answered_at: datetime | None
    """When the devices of the open batch had all answered and checks of it as a whole began; None before, and without such checks."""
    promoted: int
    """The last stage from which an operator said to go on; -1 if none."""
    approved_by: tuple[str, ...]
    failures_accepted_at: datetime | None
    """When an operator resumed it: what had failed by then was judged, only what fails later counts."""
    reason: str | None
    created_at: datetime
    moved_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @property
    def images(self) -> tuple[Image, ...]:
        """Everything that it brings."""
        return (self.image, *self.also)

    @property
    def repositories(self) -> tuple[str, ...]:
        """Whose images it brings."""
        return tuple(image.repository for image in self.images)

    @property
    def checksum(self) -> str:
        """What an approval is given for: this release under this plan."""
        return checksum(self.images, self.plan)

    @property
    def open_stage(self) -> Stage:
        """The plan of the batch that is open."""
        return self.plan.stages[self.stage]


@dataclass(frozen=True, slots=True)
class Move:
    """One step of one rollout: what it was, what it becomes, and the name of that."""

    event: EventType
    before: Rollout
    result: Rollout


@dataclass(frozen=True, slots=True)
class PastMove:
    """A move as history keeps it."""

    revision: int
    at: datetime
    event: EventType
    actor: str
    reason: str | None
    status: Status
    stage: int
    frontier: int


def decide(rollout: Rollout, progress: Progress, now: datetime) -> Move | Wait:
    """The next move that nobody has to ask for, or what the rollout waits for.

    Deciding again on what was decided gives a Wait or the step after; the caller repeats until it waits.
    """
    match rollout.status:
        case Status.ENROLLING:
            return Wait(On.ENGINE, "its devices are being ranked")
        case Status.PENDING:
            return _start(rollout, now)
        case Status.IN_PROGRESS:
            return _shift_windows(rollout, now) or _go_on(rollout, progress, now)
        case Status.PAUSED:
            why = f": {rollout.reason}" if rollout.reason else ""
            # Windows matter to those who were offered it; a rollout paused before anybody was is not visited.
            shifted = _shift_windows(rollout, now) if rollout.frontier else None
            return shifted or Wait(On.OPERATOR, f"it is paused{why}; resume it, roll it back or cancel it")
        case Status.ROLLING_BACK:
            return (_shift_windows(rollout, now) if rollout.frontier else None) or _go_back(rollout, progress, now)
        case Status.COMPLETED | Status.ROLLED_BACK | Status.CANCELLED | Status.SUPERSEDED:
            return _keep_windows(rollout, now) or Wait(On.NOTHING, f"it is over: {rollout.status.replace('_', ' ')}")
        case unknown:
            assert_never(unknown)


def enrolled(rollout: Rollout, size: int, canaries: Sequence[int], zones: Sequence[str], now: datetime) -> Move:
    """The members are ranked; how many each stage will hold is known, unless more join before the first opens."""
    return _move(
        rollout, EventType.ROLLOUT_ENROLLED, now, status=Status.PENDING, size=size, canaries=tuple(canaries),
        stages=sizes(rollout.plan.stages, size, canaries), zones=tuple(Zone(zone, False, now, 0) for zone in sorted(zones)),
    )  # fmt: skip


def joined(rollout: Rollout, devices: int, zones: Sequence[str], now: datetime) -> Move:
    """Devices came to run the image while it is being rolled out; they wait at the end of the queue."""
    # A new time zone has nobody below the frontier: it has nothing to catch up with.
    new = tuple(Zone(zone, False, now, rollout.frontier) for zone in sorted(set(zones) - {zone.name for zone in rollout.zones}))
    return _move(rollout, EventType.ROLLOUT_JOINED, now, size=rollout.size + devices, zones=rollout.zones + new)


def ask(
    rollout: Rollout,
    request: Request,
    now: datetime,
    reason: str | None = None,
    *,
    actor: str = "",
    decided_on: str | None = None,
    batch: int | None = None,
) -> Move:
    """The move that somebody asks for; raises IllegalMove when this rollout cannot make it, and Conflict for a decision about another."""
    allowed, becomes, event = LEGAL[request]
    if rollout.status not in allowed:
        raise IllegalMove(f"cannot {request} a rollout that is {rollout.status.replace('_', ' ')}")
    match request:
        case Request.START:
            return _start_by_hand(rollout, now, reason)
        case Request.APPROVE:
            _check_decision(rollout, decided_on)
            return _approve(rollout, actor, now, reason)
        case Request.REJECT:
            _check_decision(rollout, decided_on)
            return _move(rollout, event, now, status=becomes, reason=f"rejected by {actor}" + (f": {reason}" if reason else ""))
        case Request.PROMOTE:
            return _promote(rollout, batch, now, reason)
        case Request.RESUME:
            return _resume(rollout, now, reason)
        case Request.ROLL_BACK:
            return _roll_back_by_hand(rollout, now, reason)
        case Request.RETRY | Request.PAUSE | Request.CANCEL | Request.SUPERSEDE:
            return _move(rollout, event, now, status=becomes or rollout.status, reason=reason)
        case unknown:
            assert_never(unknown)


def replan(rollout: Rollout, plan: Plan, now: datetime) -> Move:
    """Go about it in another way, as long as nothing has begun; approvals for the old plan no longer count."""
    if rollout.status is not Status.PENDING:
        raise IllegalMove(f"cannot replan a rollout that is {rollout.status.replace('_', ' ')}")
    # Of the members only who is named and in which zone was settled with the old plan.
    if _ranking(plan) != _ranking(rollout.plan):
        raise Conflict("the devices were ranked for other canaries, windows or label limits: cancel it and create it again")
    return _move(
        rollout, EventType.ROLLOUT_REPLANNED, now, plan=plan, approved_by=(), stages=sizes(plan.stages, rollout.size, rollout.canaries),
    )  # fmt: skip


def _ranking(plan: Plan) -> object:
    """What the members were ranked by, and what was noted of each."""
    schedule, canaries = plan.schedule, [stage.canaries for stage in plan.stages if stage.canaries]
    by_device = any(window.zone is None for window in schedule.windows)
    places = (schedule.zone, schedule.zone_label) if by_device else None
    return canaries, bool(schedule.windows), places, plan.pace.per_label


def ranks_of(rollout: Rollout, batch: int) -> tuple[int, int]:
    """The ranks (first, end) of a batch that is offered the image, counted from 0; raises BadInput for any other."""
    # A rollback to the last device sets the frontier below where earlier batches ended.
    ends = [min(end, rollout.frontier) for end in (0, *rollout.ends, rollout.frontier)]
    if not 0 <= batch < len(ends) - 1 or ends[batch] >= ends[batch + 1]:
        raise BadInput(f"batch {batch + 1} has no devices that are offered the image")
    return ends[batch], ends[batch + 1]


# Before it starts


def _start(rollout: Rollout, now: datetime) -> Move | Wait:
    plan = rollout.plan
    if rollout.size == 0:
        return _move(rollout, EventType.ROLLOUT_COMPLETED, now, status=Status.COMPLETED, reason="no device needed it")
    if over := _too_late(rollout, now):
        return over
    if (missing := plan.approvals - len(rollout.approved_by)) > 0:
        return _await_approval(rollout, missing, now)
    if not plan.starts_by_itself:
        return Wait(On.OPERATOR, "it waits for an operator to start it")
    if plan.schedule.not_before and now < plan.schedule.not_before:
        return Wait(On.TIME, "it must not start before its time", plan.schedule.not_before)
    return _move(rollout, EventType.ROLLOUT_STARTED, now, status=Status.IN_PROGRESS)


def _await_approval(rollout: Rollout, missing: int, now: datetime) -> Move | Wait:
    patience = rollout.plan.approval_deadline
    deadline = None if patience is None else rollout.created_at + patience
    if deadline and now >= deadline:
        reason = f"nobody decided in time: {missing} of {rollout.plan.approvals} approvals were missing"
        return _move(rollout, EventType.ROLLOUT_CANCELLED, now, status=Status.CANCELLED, reason=reason)
    return Wait(On.APPROVAL, f"it needs {_some(missing, 'more approval')}", deadline)


def _start_by_hand(rollout: Rollout, now: datetime, reason: str | None) -> Move:
    if (missing := rollout.plan.approvals - len(rollout.approved_by)) > 0:
        raise IllegalMove(f"cannot start it: it needs {_some(missing, 'more approval')}")
    not_before = rollout.plan.schedule.not_before
    if not_before and now < not_before:
        raise IllegalMove(f"cannot start it before {not_before:%Y-%m-%d %H:%M %Z}; give the policy another schedule and replan it")
    return _move(rollout, EventType.ROLLOUT_STARTED, now, status=Status.IN_PROGRESS, reason=reason)


def _check_decision(rollout: Rollout, decided_on: str | None) -> None:
    if decided_on != rollout.checksum:
        raise Conflict("the decision is about another release or plan than the rollout has now: read it again")


def _approve(rollout: Rollout, actor: str, now: datetime, reason: str | None) -> Move:
    if not rollout.plan.approvals:
        raise IllegalMove("this rollout needs no approval")
    if actor in rollout.approved_by:
        raise Conflict(f"{actor} has approved it already; somebody else must")
    if len(rollout.approved_by) >= rollout.plan.approvals:
        raise IllegalMove("this rollout has all the approvals it needs")
    return _move(rollout, EventType.ROLLOUT_APPROVED, now, approved_by=(*rollout.approved_by, actor), reason=reason)


# On its way


def _go_on(rollout: Rollout, progress: Progress, now: datetime) -> Move | Wait:
    if rollout.stage < 0:
        return _too_late(rollout, now) or _await_window(rollout, now) or _open_first(rollout, progress, now)
    if why := _why_stop(rollout, progress):
        return _stop(rollout, why, now)
    if progress.inconclusive:
        return _pause(rollout, f"checks could not tell how {_some(progress.inconclusive, 'device')} did", now)
    if lowest(rollout) < (wanted := max(rollout.frontier, _wanted(rollout, rollout.stage, progress))):
        return _fill(rollout, progress, wanted, now)
    if progress.in_flight:
        return _await_devices(progress)
    if progress.deferred:
        return Wait(On.WINDOW, f"it waits for devices: {progress.deferred} for their window", _next_opening(rollout, now))
    if rollout.settled_at is None:
        if wait := _await_proof(rollout, progress):
            return wait
        return _check(rollout, progress, now) or _move(rollout, EventType.BATCH_COMPLETED, now, settled_at=now)
    if rollout.frontier >= rollout.size:
        return _complete(rollout, progress, now)
    waits = _await_turn(rollout, now) or _too_late(rollout, now) or _await_window(rollout, now) or _await_room(rollout, progress)
    return waits or _open_next(rollout, progress, now)


def _open_first(rollout: Rollout, progress: Progress, now: datetime) -> Move:
    """How many each stage holds is settled only now: members may have joined while an operator was awaited."""
    settled = replace(rollout, stages=sizes(rollout.plan.stages, rollout.size, rollout.canaries))
    return replace(_open_next(settled, progress, now), before=rollout)


def _open_next(rollout: Rollout, progress: Progress, now: datetime) -> Move:
    """Open the next stage that holds anybody new: replacing silent members may have run ahead of the one after this."""
    for stage in range(rollout.stage + 1, len(rollout.stages)):
        if (wanted := _wanted(rollout, stage, progress)) > rollout.frontier:
            ends = rollout.ends + (rollout.frontier,) * (stage - len(rollout.ends))
            frontier = rollout.frontier + _first_of(rollout, progress, wanted)
            return _let_in(rollout, frontier, EventType.BATCH_STARTED, now, stage=stage, ends=ends, paced_at=now)
    raise AssertionError("the last stage holds everybody, and not everybody was offered the image")


def _wanted(rollout: Rollout, stage: int, progress: Progress) -> int:
    """Where the frontier belongs in a stage: members who stay silent, or left, are replaced by the next in rank, so that
    a stage tests as many devices as it was meant to and an offline one holds nobody up. The last stage is everybody."""
    if stage + 1 == len(rollout.stages):
        return rollout.size
    if rollout.plan.stages[stage].canaries:  # nobody else is one
        return rollout.stages[stage]
    return min(rollout.size, rollout.stages[stage] + progress.silent + progress.left)


def lowest(rollout: Rollout) -> int:
    """How far those have been let in whose window is open: the ones that are furthest behind."""
    return min((zone.frontier for zone in rollout.zones if zone.is_open), default=rollout.frontier)


def _fill(rollout: Rollout, progress: Progress, wanted: int, now: datetime) -> Move | Wait:
    """Let more devices in, as far as time, window, pace and caps allow."""
    if late := _too_late(rollout, now):
        return _await_devices(progress) if progress.in_flight else late
    if wait := _await_window(rollout, now):
        return wait
    if full := _await_room(rollout, progress):
        return _await_devices(progress) if progress.in_flight else full
    frontier = min(wanted, lowest(rollout) + _room(rollout, progress))
    if (per_minute := _rate(rollout, progress)) is None:
        return _let_in(rollout, frontier, EventType.BATCH_WIDENED, now)
    assert rollout.paced_at is not None, "opening the first stage sets it"
    allowed, used = pacing.allowance(per_minute, rollout.paced_at, now)
    if allowed == 0:
        return Wait(On.TIME, f"it lets in {per_minute:g} devices a minute", used + pacing.MINUTE / per_minute)
    return _let_in(rollout, min(frontier, lowest(rollout) + allowed), EventType.BATCH_WIDENED, now, paced_at=used)


def _room(rollout: Rollout, progress: Progress) -> int:
    """How many more the caps allow on their way."""
    most = rollout.plan.pace.in_flight
    room = rollout.size if most is None else most - progress.in_flight
    return room if progress.reach is None else min(room, progress.reach - lowest(rollout))


def _await_room(rollout: Rollout, progress: Progress) -> Wait | None:
    """Devices of which nothing more is expected may still be on their way back, and hold others that share their label."""
    if _room(rollout, progress) > 0:
        return None
    return Wait(On.DEVICES, "as many devices as may share a label's value are on their way back")


def _rate(rollout: Rollout, progress: Progress) -> float | None:
    return pacing.rate(rollout.plan.pace, rollout.frontier, progress.good)


def _first_of(rollout: Rollout, progress: Progress, wanted: int) -> int:
    """How many devices a batch begins with: what the caps allow, and a single one where a rate spreads it out."""
    first = wanted - rollout.frontier if _rate(rollout, progress) is None else 1
    return min(first, _room(rollout, progress))


def _let_in(rollout: Rollout, frontier: int, event: EventType, now: datetime, **also: object) -> Move:
    """Offer the image to all in open windows up to a frontier; time zones that lag behind come first, and so catch up."""
    behind = lowest(rollout)
    zones = tuple(replace(zone, frontier=frontier) if zone.is_open and zone.frontier == behind else zone for zone in rollout.zones)
    # Only a rollback lowers the frontier, and after that nobody is let in: it is as far as it ever was.
    frontier = max(frontier, rollout.frontier)
    return _move(
        rollout, event, now, zones=zones, frontier=frontier, reached=frontier, frontier_at=now, settled_at=None, answered_at=None, **also
    )


def _await_devices(progress: Progress) -> Wait:
    counted = (
        (progress.untaken, "to poll"), (progress.waiting, "to answer"), (progress.soaking, "to run it long enough"),
        (progress.retrying, "to be offered it again"), (progress.deferred, "for their window"),
    )  # fmt: skip
    return Wait(On.DEVICES, "it waits for devices: " + ", ".join(f"{count} {what}" for count, what in counted if count))


def _await_proof(rollout: Rollout, progress: Progress) -> Wait | None:
    """A batch of which nobody shows anything, since its canaries are silent or it was taken back by hand, opens no other by itself."""
    stands_for_itself = bool(rollout.open_stage.canaries or progress.withdrawn) and rollout.frontier < rollout.size
    has_shown = progress.batch.outcomes + progress.batch.accepted
    if has_shown or not stands_for_itself or rollout.promoted >= rollout.stage:
        return None
    return Wait(On.OPERATOR, f"nobody in batch {rollout.stage + 1} shows anything; it waits for an operator to promote it all the same")


def _check(rollout: Rollout, progress: Progress, now: datetime) -> Move | Wait | None:
    """See what the checks of the batch as a whole say; None if all is well, there are none, or an operator has promoted it."""
    if not rollout.plan.batch_checks(rollout.stage) or rollout.promoted >= rollout.stage:
        return None
    if rollout.answered_at is None:
        return _move(rollout, EventType.HEALTH_CHECK_STARTED, now, answered_at=now)
    by_state = {verdict.state: verdict for verdict in progress.checks}
    if failed := by_state.get(State.FAILED):
        return _stop(rollout, failed.reason, now)
    if unclear := by_state.get(State.INCONCLUSIVE):
        return _pause(rollout, unclear.reason, now)
    running = [verdict.reason for verdict in progress.checks if verdict.state is State.RUNNING]
    return Wait(On.CHECKS, f"it waits for checks: {'; '.join(running)}") if running else None


def _await_turn(rollout: Rollout, now: datetime) -> Wait | None:
    """What lies between a batch that has proved itself and the next: the delay, and an operator where the plan says so."""
    assert rollout.settled_at is not None, "the batch has proved itself"
    if rollout.promoted >= rollout.stage:
        return None
    if rollout.open_stage.is_promoted_by_hand:
        return Wait(On.OPERATOR, f"batch {rollout.stage + 1} has proved itself; it waits for an operator to promote it")
    due = rollout.settled_at + rollout.open_stage.delay
    return Wait(On.TIME, "the next batch opens after the delay", due) if now < due else None


def _complete(rollout: Rollout, progress: Progress, now: datetime) -> Move | Wait:
    # A fleet that is silent to the last device has proved nothing; it holds nobody up either, for nobody is left.
    if progress.total.outcomes == 0 and progress.silent > 0:
        why = f"everybody was offered it, and none of {progress.silent} silent devices has polled"
        if wait := _await_window(rollout, now):
            return replace(wait, sentence=f"{why}; {wait.sentence}")
        return Wait(On.DEVICES, why)
    assert rollout.settled_at is not None, "the last batch has proved itself"
    if now < (due := rollout.settled_at + rollout.plan.watch):
        return Wait(On.TIME, "everybody was offered it; it is watched for devices that fall back", due)
    return _move(rollout, EventType.ROLLOUT_COMPLETED, now, status=Status.COMPLETED)


# Time


def _too_late(rollout: Rollout, now: datetime) -> Move | None:
    not_after = rollout.plan.schedule.not_after
    if not_after is None or now < not_after:
        return None
    reason = f"its time was over: {rollout.frontier} of {_some(rollout.size, 'device')} had been offered the image"
    return _move(rollout, EventType.ROLLOUT_CANCELLED, now, status=Status.CANCELLED, reason=reason)


def _await_window(rollout: Rollout, now: datetime) -> Wait | None:
    if not rollout.zones or any(zone.is_open for zone in rollout.zones):
        return None
    return Wait(On.WINDOW, "it waits for a maintenance window to open", _next_opening(rollout, now))


def _next_opening(rollout: Rollout, now: datetime) -> datetime | None:
    schedule = rollout.plan.schedule
    openings = [next_opening(schedule.windows, _place(schedule, zone), now) for zone in rollout.zones if not zone.is_open]
    return min((opening for opening in openings if opening is not None), default=None)


def _shift_windows(rollout: Rollout, now: datetime) -> Move | None:
    """Open and close the windows of the members' time zones."""
    zones = tuple(_shifted(rollout.plan.schedule, zone, now) for zone in rollout.zones)
    if zones == rollout.zones:
        return None
    opened = any(zone.is_open and zone not in rollout.zones for zone in zones)
    return _move(rollout, EventType.WINDOW_OPENED if opened else EventType.WINDOW_CLOSED, now, zones=zones)


def _shifted(schedule: Schedule, zone: Zone, now: datetime) -> Zone:
    opens = is_open(schedule.windows, _place(schedule, zone), now)
    return zone if opens == zone.is_open else replace(zone, is_open=opens, since=now)


def _place(schedule: Schedule, zone: Zone) -> ZoneInfo:
    return zone_named(zone.name or schedule.zone)


def _keep_windows(rollout: Rollout, now: datetime) -> Move | None:
    """Devices that slept through a rollout still take the image when they wake, in their window; in the end it is theirs at any time."""
    assert rollout.finished_at is not None, "it is over"
    is_kept = rollout.frontier > 0 and now < rollout.finished_at + ROLLBACK_WINDOW
    return _shift_windows(rollout, now) if is_kept else None


# When devices fail


def _why_stop(rollout: Rollout, progress: Progress) -> str | None:
    """Why the rollout must not go on, by what its batch or all its devices have shown."""
    return _why(rollout.plan.limits, progress.total, progress.expected, "devices") or _why(
        rollout.open_stage.limits, progress.batch, progress.expected, "devices of the batch"
    )


def _why(limits: Limits, tally: Tally, expected: int, of: str) -> str | None:
    for kind, most in limits.by_kind.items():
        if _is_over(limits, tally, bad := tally.failures.get(kind, 0), most, expected):
            return f"{bad} of {tally.outcomes} {of} {_did(kind)}; the policy allows {most:.0%}"
    if _is_over(limits, tally, tally.bad, limits.rate, expected):
        return f"{tally.bad} of {tally.outcomes} {of} failed; the policy allows {limits.rate:.0%}"
    return None


def _did(kind: Outcome) -> str:
    return {Outcome.TIMED_OUT: "timed out", Outcome.REFUSED: "refused", Outcome.UNHEALTHY: "were unhealthy"}.get(kind, "failed")


def _is_over(limits: Limits, tally: Tally, bad: int, most: float, expected: int) -> bool:
    """Too many, by the rate or by proof; docs/statistical-stop.md compares the two."""
    seen = bad / tally.outcomes if tally.outcomes else 0.0
    if limits.confidence is None:
        # The minimum guards against judging early; once nobody else is expected, the rate is what it is.
        return seen > most and (expected == 0 or tally.outcomes >= limits.min_outcomes)
    # Failures may be known sooner than successes: whoever took the image counts as good so far, or the first few would prove too much.
    is_proven = exceeds(bad, tally.outcomes + tally.waiting, most, limits.confidence)
    # One lone failure is no pattern; two, or the only device there is, stop a batch that nobody else can save.
    return is_proven or (seen > most and expected == 0 and (bad > 1 or tally.outcomes == 1))


def _stop(rollout: Rollout, why: str, now: datetime) -> Move:
    if rollout.plan.auto_rollback_enabled and not rollout.plan.only_failed_return:
        return _roll_back(rollout, now, why)
    return _pause(rollout, why, now)


def _pause(rollout: Rollout, why: str, now: datetime) -> Move:
    return _move(rollout, EventType.ROLLOUT_PAUSED, now, status=Status.PAUSED, reason=why)


def _promote(rollout: Rollout, batch: int | None, now: datetime, reason: str | None) -> Move:
    if rollout.stage < 0:
        raise IllegalMove("cannot promote a rollout before its first batch has opened")
    if batch not in (None, rollout.stage + 1):
        raise Conflict(f"batch {rollout.stage + 1} is open, not {batch}: read it again")
    if rollout.promoted >= rollout.stage:
        raise IllegalMove(f"batch {rollout.stage + 1} is promoted already")
    return _move(rollout, EventType.BATCH_PROMOTED, now, promoted=rollout.stage, reason=reason)


def _resume(rollout: Rollout, now: datetime, reason: str | None) -> Move:
    """Go on where it stood; the failures so far were the operator's to judge, and checks of the batch are made anew."""
    return _move(
        rollout, EventType.ROLLOUT_RESUMED, now, status=Status.IN_PROGRESS, failures_accepted_at=now, answered_at=None, reason=reason
    )


# The way back


def _roll_back_by_hand(rollout: Rollout, now: datetime, reason: str | None) -> Move:
    """At once, whatever the plan says of an order: an operator who asks for it wants it."""
    if rollout.finished_at and now >= rollout.finished_at + ROLLBACK_WINDOW:
        raise IllegalMove("it ended too long ago to be taken back: create a rollout with the image the devices should return to")
    return _back_to(rollout, 0, now, reason)


def _roll_back(rollout: Rollout, now: datetime, reason: str) -> Move:
    failed_batch = rollout.ends[-1] if rollout.ends and rollout.plan.failed_batch_first else 0
    return _back_to(rollout, failed_batch, now, reason)


def _back_to(rollout: Rollout, frontier: int, now: datetime, reason: str | None) -> Move:
    return _move(
        rollout, EventType.ROLLBACK_STARTED, now,
        status=Status.ROLLING_BACK, frontier=frontier, frontier_at=now, finished_at=None, reason=reason,
    )  # fmt: skip


def _go_back(rollout: Rollout, progress: Progress, now: datetime) -> Move | Wait:
    assert rollout.frontier_at is not None, "rolling back moved the frontier"
    patience = rollout.plan.pickup if rollout.frontier else rollout.plan.deadline
    if progress.returning and now < (until := rollout.frontier_at + patience):
        return Wait(On.DEVICES, f"{_some(progress.returning, 'device')} must report the previous image", until)
    if rollout.frontier:
        return _move(rollout, EventType.ROLLBACK_WIDENED, now, frontier=0, frontier_at=now)
    missing = f"; {progress.returning} devices have not reported their return" if progress.returning else ""
    reason = f"{rollout.reason or 'rolled back'}{missing}"
    return _move(rollout, EventType.ROLLOUT_ROLLED_BACK, now, status=Status.ROLLED_BACK, reason=reason)


# Moves


def _move(rollout: Rollout, event: EventType, now: datetime, **changes: object) -> Move:
    times: dict[str, object] = {"moved_at": now, "revision": rollout.revision + 1}
    if event is EventType.ROLLOUT_STARTED:
        times["started_at"] = now
    result = replace(rollout, **{**changes, **times})  # type: ignore[arg-type]
    if result.status.is_final and not rollout.status.is_final:
        result = replace(result, finished_at=now)
    return Move(event, rollout, result)


def _some(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")
