"""What the documentation of DeviceStatus, Progress and Pace promises, said place by place and as plainly as it can be."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from domain.health import Outcome
from domain.plans import Plan
from domain.progress import Progress, Tally
from domain.rollouts import Rollout, lowest
from domain.statuses import DeviceStatus, Status
from tests.histories.world import Past, Place, World

FAILED = {DeviceStatus.FAILED, DeviceStatus.UNHEALTHY, DeviceStatus.REFUSED, DeviceStatus.TIMED_OUT}
TAKEN_BACK = {DeviceStatus.ROLLING_BACK, DeviceStatus.ROLLED_BACK}


def is_offered(place: Place, rollout: Rollout) -> bool:
    """Its turn has come, nobody took it back, and its window is open or it took the image in time."""
    if place.rank >= rollout.frontier or place.skipped_at or place.withdrawn_at or place.deferred_at:
        return False
    return place.zone is None or place.taken_at is not None or is_let_in(place, rollout)


def is_let_in(place: Place, rollout: Rollout) -> bool:
    """The window of its zone is open, and its turn has come there."""
    return any(zone.name == place.zone and zone.is_open and place.rank < zone.frontier for zone in rollout.zones)


def is_taken_back(place: Place, rollout: Rollout) -> bool:
    """It had the image taken back, alone or with others."""
    return place.skipped_at is None and (place.withdrawn_at is not None or rollout.frontier <= place.rank < rollout.reached)


def status_of(place: Place, rollout: Rollout, now: datetime) -> DeviceStatus:
    """Where a device is, as DeviceStatus describes it."""
    # What was not over when a rollout ended does not pass afterwards, except where it completed: who wakes later is judged like the others.
    end = min(now, rollout.finished_at) if rollout.finished_at and rollout.status is not Status.COMPLETED else now
    if place.skipped_at:
        return DeviceStatus.SKIPPED
    if place.rank >= rollout.reached:
        return DeviceStatus.PENDING
    if place.retry_at and place.rank < rollout.frontier and not rollout.finished_at:
        return DeviceStatus.RETRYING
    if is_taken_back(place, rollout):
        return DeviceStatus.ROLLING_BACK if place.taken_at and not place.returned_at else DeviceStatus.ROLLED_BACK
    if place.outcome == "running":
        return DeviceStatus.HEALTHY if rollout.plan.health_check_enabled and _is_soaked(place, rollout, end) else DeviceStatus.UPDATED
    if place.outcome:
        return DeviceStatus(place.outcome)
    if not place.taken_at:
        return DeviceStatus.SCHEDULED if is_offered(place, rollout) else DeviceStatus.DEFERRED
    return DeviceStatus.TIMED_OUT if _late_at(place, rollout.plan) <= end else DeviceStatus.UPDATING


def _is_soaked(place: Place, rollout: Rollout, at: datetime) -> bool:
    assert place.outcome_at is not None
    return place.outcome_at + rollout.plan.stages[bisect_right(rollout.ends, place.rank)].soak <= at


def _late_at(place: Place, plan: Plan) -> datetime:
    """The deadline runs from when it took the image, or last stopped making sense; the step timer from its last sign of progress."""
    began = place.outcome_at or place.taken_at
    assert began is not None
    late = began + plan.deadline
    signs = [sign for sign in (place.progress_at, place.outcome_at, place.taken_at) if sign]
    return late if plan.step is None else min(late, max(signs) + plan.step)


def is_silent(place: Place, rollout: Rollout, past: Sequence[Past], now: datetime) -> bool:
    """It was offered the image, had the time of the plan to poll, and did not; or its window came and went."""
    if status_of(place, rollout, now) not in (DeviceStatus.SCHEDULED, DeviceStatus.DEFERRED):
        return False
    if place.deferred_at:
        return True
    if (since := _let_in_at(place, past)) is None:
        return False
    began = max(since, place.offered_at or since)
    if place.zone is not None:
        zone = next(zone for zone in rollout.zones if zone.name == place.zone)
        if not zone.is_open:
            return True
        began = max(began, zone.since)
    return began + rollout.plan.pickup <= now


def _let_in_at(place: Place, past: Sequence[Past]) -> datetime | None:
    """Since when the frontier, that of its own zone if it has one, is beyond its rank."""
    since = None
    for move in past:
        frontier = move.frontier
        if place.zone is not None:
            if "zones" not in move.changes:
                continue
            frontier = next((zone["frontier"] for zone in move.changes["zones"] if zone["name"] == place.zone), 0)
        if place.rank >= frontier:
            since = None
        elif since is None:
            since = move.at
    return since


def counted(world: World, rollout: Rollout) -> Progress:
    """What the engine should go by: every member that was offered the image, and not handed to a newer rollout, once."""
    past = world.moves[rollout.id]
    found = [place for place in world.counted_in(rollout.id) if (place.live or place.skipped_at) and place.rank < rollout.reached]
    silent = [place for place in found if is_silent(place, rollout, past, world.at)]
    spoke = Counter(status_of(place, rollout, world.at) for place in found if place not in silent)
    with_health = rollout.plan.health_check_enabled
    return Progress(
        untaken=spoke[DeviceStatus.SCHEDULED],
        silent=len(silent),
        deferred=spoke[DeviceStatus.DEFERRED],
        waiting=spoke[DeviceStatus.UPDATING],
        soaking=spoke[DeviceStatus.UPDATED] if with_health else 0,
        good=spoke[DeviceStatus.HEALTHY] + (0 if with_health else spoke[DeviceStatus.UPDATED]),
        retrying=spoke[DeviceStatus.RETRYING],
        left=spoke[DeviceStatus.SKIPPED],
        withdrawn=sum(status_of(place, rollout, world.at) in TAKEN_BACK and place.outcome in (None, "running") for place in found),
        returning=spoke[DeviceStatus.ROLLING_BACK],
        batch=_tally((place for place in found if place.rank >= (rollout.ends[-1] if rollout.ends else 0)), rollout, world.at),
        total=_tally(found, rollout, world.at),
        reach=_reach(world, rollout),
    )


def _tally(places: Iterable[Place], rollout: Rollout, now: datetime) -> Tally:
    running, waiting, accepted, failures = 0, 0, 0, Counter[Outcome]()
    for place in places:
        status = status_of(place, rollout, now)
        if status in (DeviceStatus.UPDATED, DeviceStatus.HEALTHY):
            running += 1
        elif status is DeviceStatus.UPDATING:
            waiting += 1
        elif _is_accepted(place, rollout, status):
            accepted += 1
        elif status in FAILED:
            failures[Outcome(status.value)] += 1
        elif status in TAKEN_BACK and place.outcome not in (None, "running"):
            failures[Outcome(place.outcome)] += 1
    return Tally(running, dict(failures), waiting, accepted)


def _is_accepted(place: Place, rollout: Rollout, status: DeviceStatus) -> bool:
    """It failed before an operator went on all the same."""
    if rollout.failures_accepted_at is None or place.outcome == "running":
        return False
    if place.outcome:
        return place.outcome_at is not None and place.outcome_at <= rollout.failures_accepted_at
    return status is DeviceStatus.TIMED_OUT and _late_at(place, rollout.plan) <= rollout.failures_accepted_at


def _reach(world: World, rollout: Rollout) -> int | None:
    """The first rank that the cap on a label does not let in."""
    if (cap := rollout.plan.pace.per_label) is None:
        return None
    on_their_way, first = busy(world, rollout), lowest(rollout)
    open_zones = {None, *(zone.name for zone in rollout.zones if zone.is_open)}
    for place in world.counted_in(rollout.id):
        is_next = place.rank >= first and place.live and not (place.withdrawn_at or place.deferred_at or is_offered(place, rollout))
        if is_next and place.lane is not None and place.zone in open_zones:
            on_their_way[place.lane] += 1
            if on_their_way[place.lane] > cap.devices:
                return place.rank
    return first + 10_000


def busy(world: World, rollout: Rollout) -> Counter[str]:
    """How many of each value of the label may be down at any moment."""
    return Counter(place.lane for place in world.counted_in(rollout.id) if place.lane is not None and may_be_down(place, rollout, world.at))


def may_be_down(place: Place, rollout: Rollout, now: datetime) -> bool:
    """Offered it and not proven, failed and not mended, to be offered it again, or going back; whoever refuses runs on as it did."""
    status = status_of(place, rollout, now)
    if status is DeviceStatus.UPDATED:
        return rollout.plan.health_check_enabled
    at_work = (DeviceStatus.SCHEDULED, DeviceStatus.UPDATING, DeviceStatus.RETRYING, DeviceStatus.ROLLING_BACK)
    return status in at_work or status in FAILED - {DeviceStatus.REFUSED}
