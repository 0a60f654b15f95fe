"""What somebody may ask of a rollout, when, and what becomes of it."""

from datetime import datetime
from enum import StrEnum
from typing import assert_never

from domain.errors import Conflict, IllegalMove
from domain.events import EventType
from domain.plans import Plan, sizes
from domain.rollouts import ROLLBACK_WINDOW, Move, Rollout, back_to, move
from domain.sentences import some
from domain.statuses import Status


class Request(StrEnum):
    """What somebody may ask of a rollout."""

    START = "start"
    APPROVE = "approve"
    REJECT = "reject"
    PROMOTE = "promote"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    CANCEL = "cancel"
    ROLL_BACK = "roll back"
    SUPERSEDE = "supersede"


_UNDER_WAY = frozenset({Status.IN_PROGRESS, Status.PAUSED})
_ACTIVE = frozenset({Status.ENROLLING, Status.PENDING}) | _UNDER_WAY

LEGAL: dict[Request, tuple[frozenset[Status], Status | None, EventType]] = {
    Request.START: (frozenset({Status.PENDING}), Status.IN_PROGRESS, EventType.ROLLOUT_STARTED),
    Request.APPROVE: (frozenset({Status.PENDING}), None, EventType.ROLLOUT_APPROVED),
    Request.REJECT: (frozenset({Status.PENDING}), Status.CANCELLED, EventType.ROLLOUT_REJECTED),
    Request.PROMOTE: (frozenset({Status.IN_PROGRESS}), None, EventType.BATCH_PROMOTED),
    Request.PAUSE: (frozenset({Status.IN_PROGRESS}), Status.PAUSED, EventType.ROLLOUT_PAUSED),
    Request.RESUME: (frozenset({Status.PAUSED}), Status.IN_PROGRESS, EventType.ROLLOUT_RESUMED),
    Request.RETRY: (_UNDER_WAY, None, EventType.ROLLOUT_RETRIED),
    Request.CANCEL: (_ACTIVE, Status.CANCELLED, EventType.ROLLOUT_CANCELLED),
    Request.ROLL_BACK: (_UNDER_WAY | {Status.COMPLETED}, Status.ROLLING_BACK, EventType.ROLLBACK_STARTED),
    Request.SUPERSEDE: (_ACTIVE, Status.SUPERSEDED, EventType.ROLLOUT_SUPERSEDED),
}
"""From which states, what it becomes (None: stays as it is), and what that is called."""


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
            return move(rollout, event, now, status=becomes, reason=f"rejected by {actor}" + (f": {reason}" if reason else ""))
        case Request.PROMOTE:
            return _promote(rollout, batch, now, reason)
        case Request.RESUME:
            return _resume(rollout, now, reason)
        case Request.ROLL_BACK:
            return _roll_back_by_hand(rollout, now, reason)
        case Request.RETRY | Request.PAUSE | Request.CANCEL | Request.SUPERSEDE:
            return move(rollout, event, now, status=becomes or rollout.status, reason=reason)
        case unknown:
            assert_never(unknown)


def replan(rollout: Rollout, plan: Plan, now: datetime) -> Move:
    """Go about it in another way, as long as nothing has begun; approvals for the old plan no longer count."""
    if rollout.status is not Status.PENDING:
        raise IllegalMove(f"cannot replan a rollout that is {rollout.status.replace('_', ' ')}")
    # Of the members only who is named and in which zone was settled with the old plan.
    if _ranking(plan) != _ranking(rollout.plan):
        raise Conflict("the devices were ranked for other canaries, windows or label limits: cancel it and create it again")
    return move(
        rollout, EventType.ROLLOUT_REPLANNED, now, plan=plan, approved_by=(), stages=sizes(plan.stages, rollout.size, rollout.canaries),
    )  # fmt: skip


def _ranking(plan: Plan) -> object:
    """What the members were ranked by, and what was noted of each."""
    schedule, canaries = plan.schedule, [stage.canaries for stage in plan.stages if stage.canaries]
    by_device = any(window.zone is None for window in schedule.windows)
    places = (schedule.zone, schedule.zone_label) if by_device else None
    return canaries, bool(schedule.windows), places, plan.pace.per_label


def _start_by_hand(rollout: Rollout, now: datetime, reason: str | None) -> Move:
    if (missing := rollout.plan.approvals - len(rollout.approved_by)) > 0:
        raise IllegalMove(f"cannot start it: it needs {some(missing, 'more approval')}")
    not_before = rollout.plan.schedule.not_before
    if not_before and now < not_before:
        raise IllegalMove(f"cannot start it before {not_before:%Y-%m-%d %H:%M %Z}; give the policy another schedule and replan it")
    return move(rollout, EventType.ROLLOUT_STARTED, now, status=Status.IN_PROGRESS, reason=reason)


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
    return move(rollout, EventType.ROLLOUT_APPROVED, now, approved_by=(*rollout.approved_by, actor), reason=reason)


def _promote(rollout: Rollout, batch: int | None, now: datetime, reason: str | None) -> Move:
    if rollout.stage < 0:
        raise IllegalMove("cannot promote a rollout before its first batch has opened")
    if batch not in (None, rollout.stage + 1):
        raise Conflict(f"batch {rollout.stage + 1} is open, not {batch}: read it again")
    if rollout.promoted >= rollout.stage:
        raise IllegalMove(f"batch {rollout.stage + 1} is promoted already")
    return move(rollout, EventType.BATCH_PROMOTED, now, promoted=rollout.stage, reason=reason)


def _resume(rollout: Rollout, now: datetime, reason: str | None) -> Move:
    """Go on where it stood; the failures so far were the operator's to judge, and checks of the batch are made anew."""
    return move(
        rollout, EventType.ROLLOUT_RESUMED, now, status=Status.IN_PROGRESS, failures_accepted_at=now, answered_at=None, reason=reason
    )


def _roll_back_by_hand(rollout: Rollout, now: datetime, reason: str | None) -> Move:
    """At once, whatever the plan says of an order: an operator who asks for it wants it."""
    if rollout.finished_at and now >= rollout.finished_at + ROLLBACK_WINDOW:
        raise IllegalMove("it ended too long ago to be taken back: create a rollout with the image the devices should return to")
    return back_to(rollout, 0, now, reason)
