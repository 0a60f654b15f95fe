"""The engine's brain: what a rollout does next, or what it waits for."""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from domain import pacing
from domain.checks import State
from domain.events import EventType
from domain.failures import why_too_many
from domain.plans import sizes
from domain.progress import Progress
from domain.rollouts import ROLLBACK_WINDOW, Move, Rollout, back_to, lowest, move
from domain.sentences import some
from domain.statuses import Status
from domain.waits import On, Wait
from domain.zones import first_opening, shifted


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


# Before it starts


def _start(rollout: Rollout, now: datetime) -> Move | Wait:
    plan = rollout.plan
    if rollout.size == 0:
        return move(rollout, EventType.ROLLOUT_COMPLETED, now, status=Status.COMPLETED)
    if over := _too_late(rollout, now):
        return over
    if (missing := plan.approvals - len(rollout.approved_by)) > 0:
        return _await_approval(rollout, missing, now)
    if plan.schedule.not_before and now < plan.schedule.not_before:
        return Wait(On.TIME, "it must not start before its time", plan.schedule.not_before)
    if not plan.starts_by_itself:
        return Wait(On.OPERATOR, "it waits for an operator to start it")
    return move(rollout, EventType.ROLLOUT_STARTED, now, status=Status.IN_PROGRESS)


def _await_approval(rollout: Rollout, missing: int, now: datetime) -> Move | Wait:
    patience = rollout.plan.approval_deadline
    deadline = None if patience is None else rollout.created_at + patience
    if deadline and now >= deadline:
        reason = f"nobody decided in time: {missing} of {rollout.plan.approvals} approvals were missing"
        return move(rollout, EventType.ROLLOUT_CANCELLED, now, status=Status.CANCELLED, reason=reason)
    return Wait(On.APPROVAL, f"it needs {some(missing, 'more approval')}", deadline)


# On its way


def _go_on(rollout: Rollout, progress: Progress, now: datetime) -> Move | Wait:
    if rollout.stage < 0:
        return _too_late(rollout, now) or _await_window(rollout, now) or _open_first(rollout, progress, now)
    if why := _why_stop(rollout, progress):
        return _stop(rollout, why, now)
    if progress.inconclusive:
        return _pause(rollout, f"checks could not tell how {some(progress.inconclusive, 'device')} did", now)
    if lowest(rollout) < (wanted := max(rollout.frontier, _wanted(rollout, rollout.stage, progress))):
        return _fill(rollout, progress, wanted, now)
    if progress.in_flight:
        return _await_devices(progress)
    if progress.deferred:
        return Wait(On.WINDOW, f"it waits for devices: {progress.deferred} for their window", _first_opening(rollout, now))
    if rollout.settled_at is None:
        if wait := _await_proof(rollout, progress):
            return wait
        return _check(rollout, progress, now) or move(rollout, EventType.BATCH_COMPLETED, now, settled_at=now)
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
    return move(
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
        return move(rollout, EventType.HEALTH_CHECK_STARTED, now, answered_at=now)
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
    if progress.total.outcomes + progress.total.accepted == 0 and progress.silent > 0:
        # Under a cap the silent lose the offer until there is room for them, and after its time there is none.
        if rollout.plan.pace.is_capped and (late := _too_late(rollout, now)):
            return late
        why = f"everybody was offered it, and none of {progress.silent} silent devices has polled"
        if wait := _await_window(rollout, now):
            return replace(wait, sentence=f"{why}; {wait.sentence}")
        return Wait(On.DEVICES, why)
    assert rollout.settled_at is not None, "the last batch has proved itself"
    if now < (due := rollout.settled_at + rollout.plan.watch):
        return Wait(On.TIME, "everybody was offered it; it is watched for devices that fall back", due)
    return move(rollout, EventType.ROLLOUT_COMPLETED, now, status=Status.COMPLETED)


# Time


def _too_late(rollout: Rollout, now: datetime) -> Move | None:
    not_after = rollout.plan.schedule.not_after
    if not_after is None or now < not_after:
        return None
    reason = f"its time was over: {rollout.frontier} of {some(rollout.size, 'device')} had been offered the image"
    return move(rollout, EventType.ROLLOUT_CANCELLED, now, status=Status.CANCELLED, reason=reason)


def _await_window(rollout: Rollout, now: datetime) -> Wait | None:
    if not rollout.zones or any(zone.is_open for zone in rollout.zones):
        return None
    return Wait(On.WINDOW, "it waits for a maintenance window to open", _first_opening(rollout, now))


def _first_opening(rollout: Rollout, now: datetime) -> datetime | None:
    return first_opening(rollout.zones, rollout.plan.schedule, now)


def _shift_windows(rollout: Rollout, now: datetime) -> Move | None:
    """Open and close the windows of the members' time zones."""
    zones = shifted(rollout.zones, rollout.plan.schedule, now)
    if zones == rollout.zones:
        return None
    opened = any(zone.is_open and zone not in rollout.zones for zone in zones)
    return move(rollout, EventType.WINDOW_OPENED if opened else EventType.WINDOW_CLOSED, now, zones=zones)


def _keep_windows(rollout: Rollout, now: datetime) -> Move | None:
    """Devices that slept through a rollout still take the image when they wake, in their window; in the end it is theirs at any time."""
    assert rollout.finished_at is not None, "it is over"
    is_kept = rollout.frontier > 0 and now < rollout.finished_at + ROLLBACK_WINDOW
    return _shift_windows(rollout, now) if is_kept else None


# When devices fail


def _why_stop(rollout: Rollout, progress: Progress) -> str | None:
    """Why the rollout must not go on, by what its batch or all its devices have shown."""
    return why_too_many(rollout.plan.limits, progress.total, progress.expected, "devices") or why_too_many(
        rollout.open_stage.limits, progress.batch, progress.expected, "devices of the batch"
    )


def _stop(rollout: Rollout, why: str, now: datetime) -> Move:
    if rollout.plan.auto_rollback_enabled and not rollout.plan.only_failed_return:
        return _roll_back(rollout, now, why)
    return _pause(rollout, why, now)


def _pause(rollout: Rollout, why: str, now: datetime) -> Move:
    return move(rollout, EventType.ROLLOUT_PAUSED, now, status=Status.PAUSED, reason=why)


def _roll_back(rollout: Rollout, now: datetime, reason: str) -> Move:
    failed_batch = rollout.ends[-1] if rollout.ends and rollout.plan.failed_batch_first else 0
    return back_to(rollout, failed_batch, now, reason)


def _go_back(rollout: Rollout, progress: Progress, now: datetime) -> Move | Wait:
    assert rollout.frontier_at is not None, "rolling back moved the frontier"
    patience = rollout.plan.pickup if rollout.frontier else rollout.plan.deadline
    if progress.returning and now < (until := rollout.frontier_at + patience):
        return Wait(On.DEVICES, f"{some(progress.returning, 'device')} must report the previous image", until)
    if rollout.frontier:
        return move(rollout, EventType.ROLLBACK_WIDENED, now, frontier=0, frontier_at=now)
    missing = f"; {progress.returning} devices have not reported their return" if progress.returning else ""
    reason = f"{rollout.reason or 'rolled back'}{missing}"
    return move(rollout, EventType.ROLLOUT_ROLLED_BACK, now, status=Status.ROLLED_BACK, reason=reason)
