"""The time zones of a rollout's devices: each opens and closes its windows by its own clock."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from domain.plans import Schedule
from domain.windows import is_open, next_opening, zone_named


@dataclass(frozen=True, slots=True)
class Zone:
    """The window of a time zone, as the engine last moved it."""

    name: str
    """Empty for members whose time zone does not matter."""
    is_open: bool
    since: datetime
    frontier: int
    """How far its members have been let in: it stands while the window is closed, and catches up, at the plan's pace, when it opens."""


def first_opening(zones: Sequence[Zone], schedule: Schedule, now: datetime) -> datetime | None:
    """When the next of the closed zones opens; None if none will."""
    openings = [next_opening(schedule.windows, _place(schedule, zone), now) for zone in zones if not zone.is_open]
    return min((opening for opening in openings if opening is not None), default=None)


def shifted(zones: Sequence[Zone], schedule: Schedule, now: datetime) -> tuple[Zone, ...]:
    """The zones, with their windows open or closed as they are now."""
    return tuple(_shifted(schedule, zone, now) for zone in zones)


def _shifted(schedule: Schedule, zone: Zone, now: datetime) -> Zone:
    opens = is_open(schedule.windows, _place(schedule, zone), now)
    return zone if opens == zone.is_open else replace(zone, is_open=opens, since=now)


def _place(schedule: Schedule, zone: Zone) -> ZoneInfo:
    return zone_named(zone.name or schedule.zone)
