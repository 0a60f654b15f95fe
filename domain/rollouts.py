"""The engine's brain: what a rollout does next, and what it may be asked to do. One row moves; the devices follow.

A member is offered the image iff its rank is below the frontier. Opening a batch raises the frontier, rolling back sets it to 0.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from domain.errors import IllegalMove
from domain.events import EventType
from domain.ids import PolicyId, RolloutId
from domain.images import Image
from domain.plans import Plan, stages


class Status(StrEnum):
    """Where a rollout is in its life."""

    ENROLLING = "enrolling"
    """Created; its members are being ranked."""
    PENDING = "pending"
    """Ranked; a manual one waits here for an operator."""
    IN_PROGRESS = "in_progress"
    PAUSED = "paused"
    """Nobody new is offered the image; those who were keep it."""
    ROLLING_BACK = "rolling_back"
    """Nobody is offered the image any more; devices that took it are on their way back."""
    COMPLETED = "completed"
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"
    """Stopped by an operator; devices that were offered the image keep it."""
    SUPERSEDED = "superseded"
    """A newer release took over; devices go straight to that one."""

    @property
    def is_final(self) -> bool:
        return self in (Status.COMPLETED, Status.ROLLED_BACK, Status.CANCELLED, Status.SUPERSEDED)

    @property
    def is_active(self) -> bool:
        """Whether it offers its image, or is going to; there is one such rollout per policy and image."""
        return not self.is_final and self is not Status.ROLLING_BACK


class DeviceStatus(StrEnum):
    """Where one device is in a rollout. Derived where it is counted: the SQL function member_status."""

    PENDING = "pending"
    """Not offered the image yet."""
    SCHEDULED = "scheduled"
    """Offered; the device has not polled since."""
    UPDATING = "updating"
    """The device took the image and has said nothing conclusive."""
    UPDATED = "updated"
    """Runs the image; with health checks on, the soak time is not over."""
    HEALTHY = "healthy"
    """Ran the image, healthy, for the soak time."""
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    """Took the image and stayed silent past the deadline."""
    ROLLING_BACK = "rolling_back"
    """Took the image, was told to return, and has not reported it."""
    ROLLED_BACK = "rolled_back"
    SKIPPED = "skipped"
    """Taken out: an operator gave the device another image."""


class Request(StrEnum):
    """What somebody may ask of a rollout."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    ROLL_BACK = "roll back"
    SUPERSEDE = "supersede"


@dataclass(frozen=True, slots=True)
class Rollout:
    """One release on its way to the devices that one policy governs."""

    id: RolloutId
    policy_id: PolicyId
    image: Image
    plan: Plan
    fleet: str | None
    except_fleets: tuple[str, ...]
    by_hand: bool
    """An operator named the image: devices on a newer version are not spared."""
    status: Status
    stages: tuple[int, ...]
    """How many members have been offered the image once each stage is open; empty until the members are ranked."""
    stage: int
    """The open stage, counted from 0; -1 before the first."""
    size: int
    """How many members; devices that join late are appended."""
    frontier: int
    reached: int
    """The highest the frontier has been: members between the two had the image taken back."""
    revision: int
    """How many moves were made; the n-th move writes n."""
    frontier_at: datetime | None
    """When the frontier last moved."""
    settled_at: datetime | None
    """When the open batch had proved itself; None while it has not."""
    failures_accepted_at: datetime | None
    """When an operator resumed it: what had failed by then was judged, only what fails later counts."""
    reason: str | None
    created_at: datetime
    moved_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class Progress:
    """What the members that were offered the image have shown so far; each is counted once."""

    untaken: int = 0
    """Not polled since they were offered it."""
    waiting: int = 0
    """Took it, nothing conclusive yet, within the deadline."""
    soaking: int = 0
    """Running it, not long enough."""
    good: int = 0
    bad: int = 0
    """Reported a failure, unhealthy, or silent past the deadline."""
    accepted: int = 0
    """Those of the bad that an operator accepted by going on."""
    withdrawn: int = 0
    """Left the rollout since they were offered the image."""
    returning: int = 0
    """Took it, were told to return, have not reported their previous image."""

    @property
    def outcomes(self) -> int:
        """How many have shown anything. One that runs the image is good so far, or a bad one, known at once, would weigh more."""
        return self.good + self.soaking + self.bad

    @property
    def failure_rate(self) -> float:
        """bad / outcomes: silent devices are in neither, so that they can hide nothing (the rule of AWS IoT Jobs' abort criteria)."""
        return self.bad / self.outcomes if self.outcomes else 0.0

    @classmethod
    def of(cls, counts: dict[DeviceStatus, int], plan: Plan, accepted: int = 0) -> "Progress":
        """Sum what was counted; without health checks a device that runs the image is good at once."""
        updated = counts.get(DeviceStatus.UPDATED, 0)
        return cls(
            untaken=counts.get(DeviceStatus.SCHEDULED, 0),
            waiting=counts.get(DeviceStatus.UPDATING, 0),
            soaking=updated if plan.health_check_enabled else 0,
            good=counts.get(DeviceStatus.HEALTHY, 0) + (0 if plan.health_check_enabled else updated),
            bad=counts.get(DeviceStatus.FAILED, 0) + counts.get(DeviceStatus.TIMED_OUT, 0),
            accepted=accepted,
            withdrawn=counts.get(DeviceStatus.SKIPPED, 0),
            returning=counts.get(DeviceStatus.ROLLING_BACK, 0),
        )


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


def decide(rollout: Rollout, progress: Progress, now: datetime) -> Move | None:
    """The next move that nobody has to ask for, or None if the rollout should stay as it is.

    Deciding again on what was decided gives None or the step after; the caller repeats until None.
    """
    match rollout.status:
        case Status.PENDING if rollout.size == 0:
            return _move(rollout, EventType.ROLLOUT_COMPLETED, now, status=Status.COMPLETED, reason="no device needed it")
        case Status.PENDING if rollout.plan.starts_by_itself:
            return ask(rollout, Request.START, now)
        case Status.IN_PROGRESS:
            return _go_on(rollout, progress, now)
        case Status.ROLLING_BACK:
            return _finish_return(rollout, progress, now)
        case Status.ENROLLING | Status.PENDING | Status.PAUSED:
            return None
        case Status.COMPLETED | Status.ROLLED_BACK | Status.CANCELLED | Status.SUPERSEDED:
            return None
        case unknown:
            assert_never(unknown)


def enrolled(rollout: Rollout, size: int, now: datetime) -> Move:
    """The members are ranked; how many each stage will hold is known, unless more join before the first opens."""
    return _move(rollout, EventType.ROLLOUT_ENROLLED, now, status=Status.PENDING, size=size, stages=stages(rollout.plan.shares, size))


_LEGAL: dict[Request, tuple[frozenset[Status], Status, EventType]] = {
    Request.START: (frozenset({Status.PENDING}), Status.IN_PROGRESS, EventType.ROLLOUT_STARTED),
    Request.PAUSE: (frozenset({Status.IN_PROGRESS}), Status.PAUSED, EventType.ROLLOUT_PAUSED),
    Request.RESUME: (frozenset({Status.PAUSED}), Status.IN_PROGRESS, EventType.ROLLOUT_RESUMED),
    Request.CANCEL: (
        frozenset({Status.ENROLLING, Status.PENDING, Status.IN_PROGRESS, Status.PAUSED}), Status.CANCELLED, EventType.ROLLOUT_CANCELLED,
    ),
    Request.ROLL_BACK: (frozenset({Status.IN_PROGRESS, Status.PAUSED}), Status.ROLLING_BACK, EventType.ROLLBACK_STARTED),
    Request.SUPERSEDE: (
        frozenset({Status.ENROLLING, Status.PENDING, Status.IN_PROGRESS, Status.PAUSED}), Status.SUPERSEDED, EventType.ROLLOUT_SUPERSEDED,
    ),
}  # fmt: skip


def ask(rollout: Rollout, request: Request, now: datetime, reason: str | None = None) -> Move:
    """The move that somebody asks for; raises IllegalMove when this rollout cannot make it."""
    allowed, becomes, event = _LEGAL[request]
    if rollout.status not in allowed:
        raise IllegalMove(f"cannot {request} a rollout that is {rollout.status.replace('_', ' ')}")
    if request is Request.ROLL_BACK:
        return _roll_back(rollout, now, reason)
    if request is Request.RESUME:
        return _resume(rollout, now, reason)
    return _move(rollout, event, now, status=becomes, reason=reason)


def _go_on(rollout: Rollout, progress: Progress, now: datetime) -> Move | None:
    if rollout.stage < 0:
        return _begin(rollout, now)
    expected = progress.waiting + progress.soaking + _still_to_poll(rollout, progress, now)
    if _too_many_failed(rollout, progress, expected):
        return _stop(rollout, progress, now)
    if expected:
        return None
    if rollout.frontier < (wanted := _wanted(rollout, rollout.stage, progress)):
        return _open(rollout, rollout.stage, wanted, now)
    if rollout.settled_at is None:
        return _move(rollout, EventType.BATCH_COMPLETED, now, settled_at=now)
    if rollout.frontier >= rollout.size:
        return _complete(rollout, progress, now)
    if now < rollout.settled_at + rollout.plan.delay:
        return None
    return _open_next(rollout, progress, now)


def _begin(rollout: Rollout, now: datetime) -> Move:
    """Open the first stage. How many each holds is settled only now: members may have joined while an operator was awaited."""
    if rollout.size == 0:
        return _move(rollout, EventType.ROLLOUT_COMPLETED, now, status=Status.COMPLETED, reason="no device needed it")
    settled = stages(rollout.plan.shares, rollout.size)
    return _open(rollout, 0, settled[0], now, settled)


def _still_to_poll(rollout: Rollout, progress: Progress, now: datetime) -> int:
    assert rollout.frontier_at is not None, "a stage is open, so the frontier has moved"
    return progress.untaken if now < rollout.frontier_at + rollout.plan.pickup else 0


def _wanted(rollout: Rollout, stage: int, progress: Progress) -> int:
    """Where the frontier belongs in a stage: members who stay silent, or left, are replaced by the next in rank, so that
    a stage tests as many devices as it was meant to and an offline one holds nobody up. The last stage is everybody."""
    if stage + 1 == len(rollout.stages):
        return rollout.size
    return min(rollout.size, rollout.stages[stage] + progress.untaken + progress.withdrawn)


def _open_next(rollout: Rollout, progress: Progress, now: datetime) -> Move:
    """Open the next stage that holds anybody new: replacing silent members may have run ahead of the one after this."""
    for stage in range(rollout.stage + 1, len(rollout.stages)):
        if (wanted := _wanted(rollout, stage, progress)) > rollout.frontier:
            return _open(rollout, stage, wanted, now)
    # The open stage was the last, and members joined since it was settled.
    return _open(rollout, rollout.stage, rollout.size, now)


def _too_many_failed(rollout: Rollout, progress: Progress, expected: int) -> bool:
    # The minimum guards against judging early; once nobody else is expected, the rate is what it is.
    enough = expected == 0 or progress.outcomes >= rollout.plan.min_outcomes
    counted = replace(progress, bad=progress.bad - progress.accepted)
    return enough and counted.failure_rate > rollout.plan.max_failure_rate


def _stop(rollout: Rollout, progress: Progress, now: datetime) -> Move:
    reason = f"{progress.bad} of {progress.outcomes} devices failed; the policy allows {rollout.plan.max_failure_rate:.0%}"
    if rollout.plan.auto_rollback_enabled:
        return _roll_back(rollout, now, reason)
    return _move(rollout, EventType.ROLLOUT_PAUSED, now, status=Status.PAUSED, reason=reason)


def _complete(rollout: Rollout, progress: Progress, now: datetime) -> Move | None:
    # A fleet that is silent to the last device has proved nothing; it holds nobody up either, for nobody is left.
    if progress.outcomes == 0 and progress.untaken > 0:
        return None
    return _move(rollout, EventType.ROLLOUT_COMPLETED, now, status=Status.COMPLETED)


def _finish_return(rollout: Rollout, progress: Progress, now: datetime) -> Move | None:
    assert rollout.frontier_at is not None, "rolling back moved the frontier"
    if progress.returning and now < rollout.frontier_at + rollout.plan.deadline:
        return None
    missing = f"; {progress.returning} devices have not reported their return" if progress.returning else ""
    reason = f"{rollout.reason or 'rolled back'}{missing}"
    return _move(rollout, EventType.ROLLOUT_ROLLED_BACK, now, status=Status.ROLLED_BACK, reason=reason)


def _open(rollout: Rollout, stage: int, frontier: int, now: datetime, settled: tuple[int, ...] | None = None) -> Move:
    return _move(
        rollout, EventType.BATCH_STARTED, now,
        stages=settled or rollout.stages, stage=stage, frontier=frontier, reached=frontier, frontier_at=now, settled_at=None,
    )  # fmt: skip


def _roll_back(rollout: Rollout, now: datetime, reason: str | None) -> Move:
    return _move(rollout, EventType.ROLLBACK_STARTED, now, status=Status.ROLLING_BACK, frontier=0, frontier_at=now, reason=reason)


def _resume(rollout: Rollout, now: datetime, reason: str | None) -> Move:
    """Go on where it stood: the clocks of the batch did not run meanwhile, and the failures so far were the operator's to judge."""
    paused_for = now - rollout.moved_at
    return _move(
        rollout, EventType.ROLLOUT_RESUMED, now, status=Status.IN_PROGRESS, failures_accepted_at=now, reason=reason,
        frontier_at=rollout.frontier_at and rollout.frontier_at + paused_for,
        settled_at=rollout.settled_at and rollout.settled_at + paused_for,
    )  # fmt: skip


def _move(rollout: Rollout, event: EventType, now: datetime, **changes: object) -> Move:
    status = changes.get("status", rollout.status)
    times: dict[str, object] = {"moved_at": now, "revision": rollout.revision + 1}
    if event is EventType.ROLLOUT_STARTED:
        times["started_at"] = now
    if isinstance(status, Status) and status.is_final:
        times["finished_at"] = now
    return Move(event, rollout, replace(rollout, **{**changes, **times}))  # type: ignore[arg-type]
