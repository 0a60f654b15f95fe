"""Maintenance windows: when devices may be changed, by the clock of a place.

Cron says when a window opens; it stays open for its duration, in elapsed time: 4 hours are 4 hours, also when the clocks change.
Where the clocks change, Debian's cron is followed (crontab(5)):

- A start they skip comes at the moment they jump, so no night is left out: 02:30 that does not exist is 03:00.
- A start they show twice comes the first time only, so no night is had twice.
- If minute or hour begin with “*”, the window follows the clock itself: not at what is skipped, both times at what is shown twice.
"""

from bisect import bisect_right
from collections.abc import Collection
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import takewhile
from operator import itemgetter
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from domain.errors import BadInput

_NO_PLACES = {"Factory", "localtime"}  # in the IANA files, but a placeholder and whatever this machine is set to
_LONGEST_CRON = 255
_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_IN_SIGHT = timedelta(days=31)

_Opening = tuple[datetime, datetime]  # from, until; UTC


def zone_named(name: str) -> ZoneInfo:
    """The time zone of that IANA name, such as Europe/Berlin."""
    if not is_zone(name):
        raise BadInput(f"“{_shown(name)}” is not a time zone; write an IANA name, such as Europe/Berlin or UTC")
    return ZoneInfo(name)


def is_zone(name: str) -> bool:
    """Whether a time zone has that name."""
    return name in _zone_names()


def _zone(name: str) -> str:
    try:
        return zone_named(name).key
    except BadInput as bad:
        raise ValueError(str(bad)) from bad


def _cron(text: str) -> str:
    """The expression with single spaces between its five fields."""
    fields = text.split()
    # CronSim alone would take a sixth field for seconds, and numbers too long for int().
    if len(text) > _LONGEST_CRON or len(fields) != 5:
        raise ValueError(f"“{_shown(text)}” is not the five fields of cron: minute, hour, day of month, month, day of week")
    cron = " ".join(fields)
    try:
        # CronSim looks 50 years ahead; the rarest day of all, the fifth Monday of a February, comes within 40.
        if next(CronSim(cron, datetime(2000, 1, 1)), None) is None:  # noqa: DTZ001
            raise ValueError(f"“{_shown(text)}” never comes")
    except CronSimError as bad:
        raise ValueError(f"“{_shown(text)}” is not cron, or never comes: {str(bad).lower()}") from bad
    return cron


class Window(BaseModel):
    """A span of time that comes again and again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: Annotated[str, AfterValidator(_cron)]
    """When it opens: minute, hour, day of month, month, day of week."""
    duration: Annotated[timedelta, Field(ge=timedelta(minutes=1), le=timedelta(days=7))]
    """For how long it stays open."""
    zone: Annotated[str, AfterValidator(_zone)] | None = None
    """Whose clock is meant; None is that of each device."""


def is_open(windows: Collection[Window], zone: ZoneInfo, now: datetime) -> bool:
    """Whether a device in `zone` is in one of its windows; a window is open from its start until just before its end."""
    return any(_end(window, zone, now) for window in windows)


def closes_at(windows: Collection[Window], zone: ZoneInfo, now: datetime) -> datetime | None:
    """When none will be open any more; None when none is open now, or when no end is in sight within a month."""
    until = now.astimezone(UTC)
    while until - now <= _IN_SIGHT:
        ends = [end for window in windows if (end := _end(window, zone, until))]
        if not ends:
            return until if until > now else None
        until = max(ends)
    return None


def next_opening(windows: Collection[Window], zone: ZoneInfo, now: datetime) -> datetime | None:
    """The first moment from `now` on at which one is open, so `now` itself when one is; None when there are no windows."""
    if is_open(windows, zone, now):
        return now.astimezone(UTC)
    return min((start for window in windows if (start := _next_start(window, zone, now))), default=None)


def _end(window: Window, zone: ZoneInfo, moment: datetime) -> datetime | None:
    """When the opening that holds the moment ends; all of a window last equally long, so that of the latest start."""
    moment, place = moment.astimezone(UTC), _place(window, zone)
    today = moment.astimezone(place).date()
    # Up to two days more than the duration has: 47:59 h from 23:59 end three days later at 00:58 if an hour is skipped.
    for back in range(window.duration.days + 3):
        openings = _openings(window.cron, window.duration, place, today - back * _DAY)
        if begun := bisect_right(openings, moment, key=itemgetter(0)):
            end = openings[begun - 1][1]
            return end if moment < end else None
    return None


def _next_start(window: Window, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The first start after `now`, at which the window is not open."""
    place = _place(window, zone)
    day: date | None = now.astimezone(place).date()
    while day:
        for start, _ in _openings(window.cron, window.duration, place, day):
            if start > now:
                return start
        day = next((shown.date() for shown in CronSim(window.cron, datetime.combine(day, time.max))), None)
    return None


def _place(window: Window, zone: ZoneInfo) -> ZoneInfo:
    return zone if window.zone is None else zone_named(window.zone)


# Asked every second for every zone: 3 µs when kept; anew 8 µs for a nightly window, 4 ms for one that starts every minute.
@lru_cache(maxsize=1024)
def _openings(cron: str, duration: timedelta, zone: ZoneInfo, day: date) -> tuple[_Opening, ...]:
    """What starts on a day of that zone, in order; those that overlap or touch are one."""
    repeats = any(field.startswith("*") for field in cron.split()[:2])
    openings: list[_Opening] = []
    for start in sorted(moment for shown in _shown_on(cron, day) for moment in _moments(shown, zone, repeats)):
        begun = openings.pop()[0] if openings and start <= openings[-1][1] else start
        openings.append((begun, start + duration))
    return tuple(openings)


@lru_cache(maxsize=256)
def _shown_on(cron: str, day: date) -> tuple[datetime, ...]:
    """The starts of a day as the clock shows them. Given a zone, CronSim loses some (05:00 on Lord Howe after the change at 02:00)."""
    eve = datetime.combine(day, time()) - timedelta(seconds=1)
    return tuple(takewhile(lambda shown: shown.date() == day, CronSim(cron, eve)))


def _moments(shown: datetime, zone: ZoneInfo, repeats: bool) -> tuple[datetime, ...]:
    """When a start comes that the clock shows once, twice or never."""
    first, second = _readings(shown, zone)
    if first <= second:
        return (first, second) if repeats else (first,)
    while first > second:  # PEP 495: only what is skipped reads so
        shown += _MINUTE
        first, second = _readings(shown, zone)
    return () if repeats else (first,)


def _readings(shown: datetime, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """The moments at which a clock in the zone shows this, for the first and for the last time."""
    return shown.replace(tzinfo=zone).astimezone(UTC), shown.replace(tzinfo=zone, fold=1).astimezone(UTC)


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    """Asked for by name, ZoneInfo would open directories, files that are no zones, and zones that count leap seconds."""
    return frozenset(available_timezones() - _NO_PLACES)


def _shown(text: str) -> str:
    """A stranger's text as it may stand in a sentence: short, and with nothing that a terminal or log would act on."""
    return repr(text if len(text) <= 80 else f"{text[:80]}…")[1:-1]
