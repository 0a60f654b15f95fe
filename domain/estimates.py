"""When a rollout would be over if all goes well: a model of what the engine does, and no promise.

Stage by stage it adds up: letting the devices in, by the pace; what this fleet takes to pick an image up and to run it; the
soak, or the checks of each device where they take longer, and the checks of the batch; then the delay before the next stage, or,
after the last, the time for which devices that fall back are awaited. Letting in and picking up go on in maintenance windows
only; soaking does not wait for them. Simplified, and on the late side:

- A stage has devices in every time zone that is large enough for one, and ends with the zone that ends last.
- Under a cap on how many are on their way, devices go in waves, each as long as one device takes with its soak.
- A ramp that climbs with devices that succeeded climbs that much later.
- Nobody fails or is tried again. A device that stays silent is given up after the plan's time to pick up.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from domain import pacing
from domain.checks import HttpCheck, PrometheusCheck, TcpCheck, WebhookGate
from domain.pacing import Counts, Pace
from domain.plans import Plan, Schedule
from domain.times import shown
from domain.windows import closes_at, next_opening, zone_named

_FURTHEST = timedelta(days=366)
_MOST_OPENINGS = 5000  # beyond it, windows of minutes for work of days, nobody would wait for the answer


@dataclass(frozen=True, slots=True)
class Pickup:
    """What a device of this fleet takes from being offered an image until it runs it."""

    taking: timedelta
    """Until it polls."""
    starting: timedelta
    """From then until it reports that the image runs."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Whom a rollout is for, as far as it matters to how long it takes."""

    sizes: tuple[int, ...]
    """How many have been offered the image once each stage is open."""
    zones: Mapping[str, int]
    """How many wait for the windows of each time zone; empty without windows."""
    largest_lane: int = 0
    """How many share the commonest value of the label of which only so many may be on their way."""


def why_unknown(plan: Plan, sizes: Sequence[int]) -> str | None:
    """Why nobody can say when a rollout by this plan would be over; None if time alone decides."""
    if not sizes:
        return "no device would take part"
    if plan.approvals:
        return f"it begins once it is approved, for which {plan.approvals} must decide"
    opened = [number for number, (before, end) in enumerate(zip((0, *sizes), sizes, strict=False)) if before < end]
    return next((why for number in opened if (why := _who_decides(plan, number, is_last=number == opened[-1]))), None)


def _who_decides(plan: Plan, number: int, *, is_last: bool) -> str | None:
    """Whom a batch waits for, if for anybody."""
    gates = [check.name for check in plan.batch_checks(number) if isinstance(check, WebhookGate)]
    if gates:
        return f"after batch {number + 1} it waits for {' and '.join(gates)} to let it go on"
    if plan.stages[number].is_promoted_by_hand and not is_last:
        return f"after batch {number + 1} it waits for an operator to promote it"
    return None


def finish(plan: Plan, crowd: Crowd, pickup: Pickup, now: datetime) -> datetime | None:
    """When it would be over; None if that is more than a year ahead."""
    moment: datetime | None = max(now, plan.schedule.not_before or now)
    before = 0
    for number, end in enumerate(crowd.sizes):
        if moment is not None and end > before:
            is_last = end == crowd.sizes[-1]
            proved = _proved(plan, number, crowd, before, pickup, moment)
            moment = proved and proved + (plan.watch if is_last else plan.stages[number].delay)
        before = end
    return moment if moment is not None and moment <= now + _FURTHEST else None


def doubt(plan: Plan, end: datetime | None) -> str | None:
    """Why an end that was estimated is not to be relied on; None if there is nothing to say."""
    if end is None:
        return "if devices take long it is not over within a year"
    not_after = plan.schedule.not_after
    if not_after is None or end <= not_after:
        return None
    return f"if devices take long it is not over at {shown(not_after)}, when its time is"


def _proved(plan: Plan, number: int, crowd: Crowd, before: int, pickup: Pickup, opened: datetime) -> datetime | None:
    """When a stage that opens then has proved itself."""
    stage, end = plan.stages[number], crowd.sizes[number]
    taking = min(pickup.taking, plan.pickup)
    proving = pickup.starting + max(stage.soak, _looking(check for check in plan.device_checks if stage.includes(check)))
    work = _letting_in(plan.pace, crowd, before, end, taking + proving) + taking
    taken = [_worked(plan.schedule, zone, opened, work) for zone in _zones_in(crowd, end - before)]
    known = [moment for moment in taken if moment is not None]
    if len(known) < len(taken):
        return None
    return max(known) + proving + _looking(check for check in plan.batch_checks(number) if not isinstance(check, WebhookGate))


def _looking(checks: Iterable[HttpCheck | TcpCheck | PrometheusCheck]) -> timedelta:
    """How long checks take that succeed every time."""
    return max((timedelta(seconds=(check.count - 1) * check.interval_seconds) for check in checks), default=timedelta(0))


def _zones_in(crowd: Crowd, devices: int) -> list[str]:
    """The time zones that so many devices, drawn by lot, may be expected in."""
    if not crowd.zones:
        return [""]
    drawn = [zone for zone, count in crowd.zones.items() if 2 * devices * count >= crowd.sizes[-1]]
    return drawn or [max(crowd.zones, key=lambda zone: crowd.zones[zone])]


def _worked(schedule: Schedule, zone: str, start: datetime, work: timedelta) -> datetime | None:
    """When so much work is done that goes on only in open windows."""
    if not schedule.windows:
        return start + work
    place, moment = zone_named(zone or schedule.zone), start
    for _ in range(_MOST_OPENINGS):
        opening = next_opening(schedule.windows, place, moment)
        if opening is None or opening > start + _FURTHEST:
            return None
        closing = closes_at(schedule.windows, place, opening)
        if closing is None or opening + work <= closing:
            return opening + work
        work -= closing - opening
        moment = closing
    return None


def _letting_in(pace: Pace, crowd: Crowd, before: int, end: int, each: timedelta) -> timedelta:
    """From the first device of a stage until the last is let in: the longest that any limit asks for."""
    count = end - before
    waves = 1 if pace.in_flight is None else ceil(count / pace.in_flight)
    if pace.per_label is not None:
        waves = max(waves, ceil(ceil(crowd.largest_lane * count / crowd.sizes[-1]) / pace.per_label.devices))
    return max((waves - 1) * each, _at_rate(pace, before, count - 1, each))


def _at_rate(pace: Pace, before: int, left: int, each: timedelta) -> timedelta:
    """How long it takes to let in so many more, where so many are."""
    spent, reached = timedelta(0), before
    while left > 0 and (per_minute := pacing.rate(pace, reached, reached)) is not None:
        step, climb = _step(pace, reached, per_minute, each)
        step = left if step is None else min(left, step)
        spent += step * pacing.MINUTE / per_minute
        left, reached = left - step, reached + climb
    return spent


def _step(pace: Pace, reached: int, per_minute: float, each: timedelta) -> tuple[int | None, int]:
    """How many are let in at this rate before it rises, None being all, and how many count towards the rise."""
    ramp = pace.ramp
    if ramp is None or reached // ramp.every >= pacing.STEEPEST or (pace.per_minute is not None and per_minute >= pace.per_minute):
        return None, 0
    climb = ramp.every - reached % ramp.every
    late = 0 if ramp.counts is Counts.OFFERED else int(per_minute * (each / pacing.MINUTE))
    return climb + late, climb
