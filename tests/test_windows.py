"""When maintenance windows are open, above all where the clocks change."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from time import perf_counter
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.errors import BadInput
from domain.windows import Window, closes_at, is_open, next_opening, zone_named

BERLIN, NEW_YORK, LORD_HOWE, KOLKATA = map(ZoneInfo, ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"))
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
JUNE = datetime(2026, 6, 10, 12, tzinfo=UTC)  # a Wednesday


def _window(cron: str, hours: float, zone: str | None = None) -> Window:
    return Window(cron=cron, duration=timedelta(hours=hours), zone=zone)


# From a moment on: a cron and for how many hours; when it opens first, and when that closes.
ORDINARY = [
    ("Asia/Kolkata", "2026-06-10T12:00+05:30", "0 14 * * *", 4, "2026-06-10T14:00+05:30", "2026-06-10T18:00+05:30"),
    ("Asia/Kolkata", "2026-03-28T12:00+05:30", "30 2 * * *", 4, "2026-03-29T02:30+05:30", "2026-03-29T06:30+05:30"),
    ("Asia/Kolkata", "2026-06-10T12:00+05:30", "0 22 * * *", 4, "2026-06-10T22:00+05:30", "2026-06-11T02:00+05:30"),
    ("Asia/Kolkata", "2026-06-10T12:00+05:30", "0 0 * * *", 1 / 60, "2026-06-11T00:00+05:30", "2026-06-11T00:01+05:30"),
    ("Asia/Kolkata", "2026-04-29T12:00+05:30", "0 23 L * *", 2, "2026-04-30T23:00+05:30", "2026-05-01T01:00+05:30"),
    ("Asia/Kolkata", "2026-04-30T12:00+05:30", "0 23 31 * *", 2, "2026-05-31T23:00+05:30", "2026-06-01T01:00+05:30"),
    ("Asia/Kolkata", "2026-12-30T12:00+05:30", "0 20 31 12 *", 8, "2026-12-31T20:00+05:30", "2027-01-01T04:00+05:30"),
    ("Asia/Kolkata", "2026-03-01T12:00+05:30", "0 12 29 2 *", 24, "2028-02-29T12:00+05:30", "2028-03-01T12:00+05:30"),
    ("Asia/Kolkata", "2028-02-28T12:00+05:30", "0 23 28 2 *", 48, "2028-02-28T23:00+05:30", "2028-03-01T23:00+05:30"),
    ("Asia/Kolkata", "2096-03-01T12:00+05:30", "0 0 29 2 *", 1, "2104-02-29T00:00+05:30", "2104-02-29T01:00+05:30"),
    ("Asia/Kolkata", "2026-06-10T12:00+05:30", "0 2 * * sat,sun", 4, "2026-06-13T02:00+05:30", "2026-06-13T06:00+05:30"),
    ("Asia/Kolkata", "2026-06-10T12:00+05:30", "0 2 1 * 7", 4, "2026-06-14T02:00+05:30", "2026-06-14T06:00+05:30"),
    ("Asia/Kolkata", "2026-06-10T12:00+05:30", "0 22 1 * *", 168, "2026-07-01T22:00+05:30", "2026-07-08T22:00+05:30"),
]
SKIPPED = [
    # A start that does not exist comes when the clocks jump; the window lasts as long as always.
    ("Europe/Berlin", "2026-03-28T12:00+01:00", "30 2 * * *", 4, "2026-03-29T03:00+02:00", "2026-03-29T07:00+02:00"),
    ("America/New_York", "2026-03-07T12:00-05:00", "30 2 * * *", 4, "2026-03-08T03:00-04:00", "2026-03-08T07:00-04:00"),
    ("Australia/Lord_Howe", "2026-10-03T12:00+10:30", "15 2 * * *", 4, "2026-10-04T02:30+11:00", "2026-10-04T06:30+11:00"),
    ("America/Santiago", "2026-09-05T12:00-04:00", "0 0 * * *", 1, "2026-09-06T01:00-03:00", "2026-09-06T02:00-03:00"),
    ("America/Nuuk", "2026-03-28T12:00-02:00", "30 23 * * *", 1, "2026-03-29T00:00-01:00", "2026-03-29T01:00-01:00"),
    ("Pacific/Apia", "2011-12-29T12:00-10:00", "0 12 30 12 *", 1, "2011-12-31T00:00+14:00", "2011-12-31T01:00+14:00"),
    # Elapsed hours, though the clock has moved an hour more.
    ("Europe/Berlin", "2026-03-28T12:00+01:00", "30 1 * * *", 4, "2026-03-29T01:30+01:00", "2026-03-29T06:30+02:00"),
    ("America/New_York", "2026-03-07T12:00-05:00", "0 22 * * *", 6, "2026-03-07T22:00-05:00", "2026-03-08T05:00-04:00"),
    ("Australia/Lord_Howe", "2026-10-03T12:00+10:30", "0 1 * * *", 2, "2026-10-04T01:00+10:30", "2026-10-04T03:30+11:00"),
    ("Europe/Berlin", "2026-03-27T12:00+01:00", "59 23 27 3 *", 47 + 59 / 60, "2026-03-27T23:59+01:00", "2026-03-30T00:58+02:00"),
    # What follows the clock is not open while the clock does not show it.
    ("Europe/Berlin", "2026-03-28T12:00+01:00", "*/15 2 * * *", 0.25, "2026-03-30T02:00+02:00", "2026-03-30T03:00+02:00"),
    ("America/New_York", "2026-03-08T01:50-05:00", "30 * * * *", 0.25, "2026-03-08T03:30-04:00", "2026-03-08T03:45-04:00"),
    ("Australia/Lord_Howe", "2026-10-03T12:00+10:30", "*/15 5 * * *", 0.25, "2026-10-04T05:00+11:00", "2026-10-04T06:00+11:00"),
]
TWICE = [
    # A start that exists twice comes the first time.
    ("Europe/Berlin", "2026-10-24T12:00+02:00", "30 2 * * *", 0.25, "2026-10-25T02:30+02:00", "2026-10-25T02:45+02:00"),
    ("America/New_York", "2026-10-31T12:00-04:00", "30 1 * * *", 0.25, "2026-11-01T01:30-04:00", "2026-11-01T01:45-04:00"),
    ("Australia/Lord_Howe", "2026-04-04T12:00+11:00", "45 1 * * *", 0.2, "2026-04-05T01:45+11:00", "2026-04-05T01:57+11:00"),
    ("Europe/Berlin", "2026-10-25T02:10+01:00", "30 2 * * *", 0.25, "2026-10-26T02:30+01:00", "2026-10-26T02:45+01:00"),
    ("America/New_York", "2026-11-01T01:10-05:00", "30 1 * * *", 0.25, "2026-11-02T01:30-05:00", "2026-11-02T01:45-05:00"),
    ("Australia/Lord_Howe", "2026-04-05T01:40+10:30", "45 1 * * *", 0.2, "2026-04-06T01:45+10:30", "2026-04-06T01:57+10:30"),
    # Elapsed hours, though the clock has moved an hour less.
    ("Europe/Berlin", "2026-10-24T12:00+02:00", "30 2 * * *", 4, "2026-10-25T02:30+02:00", "2026-10-25T05:30+01:00"),
    ("America/New_York", "2026-10-31T12:00-04:00", "30 0 * * *", 4, "2026-11-01T00:30-04:00", "2026-11-01T03:30-05:00"),
    ("Australia/Lord_Howe", "2026-04-04T12:00+11:00", "0 1 * * *", 4, "2026-04-05T01:00+11:00", "2026-04-05T04:30+10:30"),
    # What follows the clock is open both times.
    ("Europe/Berlin", "2026-10-24T12:00+02:00", "*/15 2 * * *", 0.25, "2026-10-25T02:00+02:00", "2026-10-25T03:00+01:00"),
    ("Europe/Berlin", "2026-10-25T02:56+02:00", "45 * * * *", 1 / 6, "2026-10-25T02:45+01:00", "2026-10-25T02:55+01:00"),
    ("Europe/Berlin", "2026-10-25T02:50+02:00", "0,55 * * * *", 1 / 60, "2026-10-25T02:55+02:00", "2026-10-25T02:56+02:00"),
    ("America/New_York", "2026-10-31T12:00-04:00", "* 1 * * *", 1 / 60, "2026-11-01T01:00-04:00", "2026-11-01T02:00-05:00"),
    ("Australia/Lord_Howe", "2026-04-04T12:00+11:00", "*/10 1 * * *", 1 / 6, "2026-04-05T01:00+11:00", "2026-04-05T02:00+10:30"),
]


@pytest.mark.parametrize(("zone", "after", "cron", "hours", "opens", "closes"), ORDINARY + SKIPPED + TWICE)
def test_a_window_opens_and_closes_on_time(zone: str, after: str, cron: str, hours: float, opens: str, closes: str) -> None:
    windows, place = [_window(cron, hours)], ZoneInfo(zone)
    opening, closing = datetime.fromisoformat(opens), datetime.fromisoformat(closes)

    assert next_opening(windows, place, datetime.fromisoformat(after)) == opening
    assert closes_at(windows, place, opening) == closing
    assert is_open(windows, place, opening)
    assert is_open(windows, place, closing - SECOND)
    assert not is_open(windows, place, opening - SECOND)
    assert not is_open(windows, place, closing)


def test_a_window_without_a_zone_is_meant_where_each_device_is() -> None:
    everywhere, in_berlin = _window("0 14 * * *", 1), _window("0 14 * * *", 1, "Europe/Berlin")

    assert not is_open([everywhere], BERLIN, JUNE - SECOND)
    assert is_open([everywhere], BERLIN, JUNE)
    assert not is_open([everywhere], NEW_YORK, JUNE)
    assert is_open([in_berlin], NEW_YORK, JUNE)


@pytest.mark.parametrize("asked_in", [UTC, BERLIN, NEW_YORK])
def test_it_is_the_moment_that_counts_and_answers_are_utc(asked_in: Any) -> None:
    windows, now = [_window("0 14 * * *", 2)], (JUNE + MINUTE).astimezone(asked_in)

    assert is_open(windows, BERLIN, now)
    for answer in (closes_at(windows, BERLIN, now), next_opening(windows, BERLIN, now), next_opening(windows, KOLKATA, now)):
        assert answer is not None
        assert answer.tzinfo is UTC
    assert closes_at(windows, BERLIN, now) == JUNE + timedelta(hours=2)


@pytest.mark.parametrize(
    ("windows", "hours"),
    [
        ([("0 12 * * *", 2)], 2),
        ([("0 12 * * *", 2), ("0 13 * * *", 3)], 4),
        ([("0 13 * * *", 3), ("0 12 * * *", 2)], 4),
        ([("0 12 * * *", 2), ("0 14 * * *", 1), ("0 15 * * *", 1)], 4),
        ([("0 12 * * *", 6), ("0 13 * * *", 1)], 6),
        ([("0 12 * * *", 2), ("1 14 * * *", 1)], 2),
        ([("0 12 * * *", 12), ("0 0 * * 4", 12), ("0 22 * * 4", 1)], 36),
        ([("0,30 12-15 * * *", 0.5)], 4),
        ([("0 0 10-12 6 *", 24)], 60),
    ],
)
def test_windows_that_overlap_or_touch_are_one(windows: list[tuple[str, float]], hours: float) -> None:
    several = [_window(cron, length, "UTC") for cron, length in windows]

    assert closes_at(several, KOLKATA, JUNE) == JUNE + timedelta(hours=hours)


def test_of_several_windows_the_next_is_told() -> None:
    windows = [_window("0 0 * * *", 1, "UTC"), _window("0 20 * * *", 1, "UTC"), _window("0 4 * * 5", 1, "UTC")]

    assert next_opening(windows, BERLIN, JUNE) == JUNE.replace(hour=20)
    assert next_opening(windows, BERLIN, JUNE.replace(hour=21)) == JUNE.replace(hour=0) + DAY


def test_the_next_opening_is_now_while_one_is_open_and_the_one_after_is_told_from_its_end() -> None:
    windows = [_window("0 12 * * *", 2, "UTC")]
    now = JUNE + MINUTE
    end = closes_at(windows, BERLIN, now)

    assert next_opening(windows, BERLIN, now) == now
    assert end is not None
    assert next_opening(windows, BERLIN, end) == JUNE + DAY


def test_what_is_closed_does_not_close() -> None:
    assert closes_at([_window("0 14 * * *", 1, "UTC")], BERLIN, JUNE) is None


@pytest.mark.parametrize("windows", [[("* * * * *", 168)], [("* * * * *", 1 / 60)], [("0 0 * * *", 12), ("0 12 * * *", 12)]])
def test_what_never_closes_has_no_end_in_sight(windows: list[tuple[str, float]]) -> None:
    several = [_window(cron, hours, "UTC") for cron, hours in windows]

    assert is_open(several, BERLIN, JUNE)
    assert closes_at(several, BERLIN, JUNE) is None


def test_no_windows_are_never_open() -> None:
    assert not is_open([], BERLIN, JUNE)
    assert closes_at([], BERLIN, JUNE) is None
    assert next_opening([], BERLIN, JUNE) is None


@pytest.mark.parametrize(("cron", "hours"), [("0 2 * * *", 4), ("* * * * *", 168), ("0 2 1 * *", 168), ("* 0-11 29 2 *", 1 / 60)])
def test_being_open_is_cheap_to_ask_again(cron: str, hours: float) -> None:
    windows = [_window(cron, hours)]
    is_open(windows, BERLIN, JUNE)
    began = perf_counter()

    for second in range(1000):
        is_open(windows, BERLIN, JUNE + second * SECOND)

    # Some µs each, measured; what would be slow is reading the cron again.
    assert perf_counter() - began < 0.2


# What cannot be understood


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        *(("cron", text, "five fields of cron") for text in ("", "@daily", "0 2 * *", "0 0 2 * * *", "0 2 * * * root", "1 " * 200)),
        *(("cron", f"{'1' * length} 2 * * *", says) for length, says in ((3, "bad minute"), (5000, "five fields of cron"))),
        *(("cron", text, "bad hour") for text in ("0 24 * * *", "0 -1 * * *", "0 5-3 * * *", "0 2/0 * * *", "0 x * * *", "0 ２ * * *")),
        *(("cron", text, "bad day-of-month") for text in ("0 2 0 * *", "0 2 30 2 *", "0 2 31 4,6,9,11 *", "0 2 30 FEB *")),
        ("cron", "0 2 */20 * 1L", "never comes"),
        ("duration", timedelta(0), "duration"),
        ("duration", timedelta(seconds=59), "duration"),
        ("duration", timedelta(days=7, seconds=1), "duration"),
        ("duration", -1, "duration"),
        ("duration", float("inf"), "duration"),
        ("zone", "Mars/Base", "“Mars/Base” is not a time zone; write an IANA name"),
        ("colour", "red", "colour"),
    ],
)
def test_what_makes_no_sense_is_refused(field: str, value: object, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Window.model_validate({"cron": "0 2 * * *", "duration": timedelta(hours=4), field: value})


@pytest.mark.parametrize(
    "name",
    [
        *("", ".", "..", "../x", "/etc/passwd", "Europe", "Europe/", "Europe//Berlin", "Europe/./Berlin", "Europe/../UTC", "C:\\x"),
        *("posixrules", "localtime", "Factory", "leapseconds", "tzdata.zi", "zone.tab", "__init__.py", "posix/UTC", "right/UTC"),
        *("europe/berlin", " UTC", "UTC\n", "UTC\0", "+02:00", "UTC+2", "é", "\ud800", "x" * 5000, "Europe/" + "x" * 5000),
    ],
)
def test_an_unknown_zone_is_refused_with_a_sentence(name: str) -> None:
    with pytest.raises(BadInput, match="is not a time zone") as refused:
        zone_named(name)

    assert len(str(refused.value)) < 200
    assert str(refused.value).replace("“", "").replace("”", "").replace("…", "").replace("é", "").isascii()


@pytest.mark.parametrize("name", ["UTC", "Europe/Berlin", "Etc/GMT+5", "America/Argentina/Buenos_Aires", "Asia/Calcutta"])
def test_a_zone_goes_by_its_iana_name(name: str) -> None:
    assert zone_named(name).key == name
    assert zone_named(name) is ZoneInfo(name)


def test_a_window_survives_being_stored() -> None:
    window = _window("  0   2 * *  mon-fri ", 4, "Europe/Berlin")

    assert window.cron == "0 2 * * mon-fri"
    assert Window.model_validate_json(window.model_dump_json()) == window


crons = st.lists(
    st.text(alphabet="0123456789*/,-#LW ", min_size=1, max_size=6) | st.text(max_size=4) | st.just("*"), min_size=5, max_size=5
)


@settings(max_examples=500, deadline=None)
@given(crons.map(" ".join), st.text(max_size=20))
def test_any_text_is_taken_or_refused(cron: str, zone: str) -> None:
    try:
        windows = [Window.model_validate({"cron": cron, "duration": timedelta(hours=1), "zone": zone if zone == "UTC" else None})]
        assert next_opening(windows, BERLIN, JUNE) is not None
    except ValidationError as refused:
        assert "cron" in str(refused)  # noqa: PT017 - most are refused, some are not
    with pytest.raises(BadInput):
        zone_named(f"{zone}?")


# Every minute around a change of the clocks, compared with what cron means, read anew

CHANGES = [
    (BERLIN, date(2026, 3, 29)),
    (BERLIN, date(2026, 10, 25)),
    (NEW_YORK, date(2026, 3, 8)),
    (NEW_YORK, date(2026, 11, 1)),
    (LORD_HOWE, date(2026, 4, 5)),
    (LORD_HOWE, date(2026, 10, 4)),
    (ZoneInfo("America/Santiago"), date(2026, 9, 6)),
    (ZoneInfo("America/Nuuk"), date(2026, 10, 25)),
    (KOLKATA, date(2026, 2, 28)),
]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a cron expression, and the numbers it stands for."""

    text: str
    numbers: frozenset[int]

    def __repr__(self) -> str:
        return self.text

    @property
    def is_starred(self) -> bool:
        return self.text.startswith("*")


def _lists(lowest: int, highest: int) -> st.SearchStrategy[Field]:
    some = st.lists(st.integers(lowest, highest), min_size=1, max_size=4)
    return some.map(lambda numbers: Field(",".join(map(str, numbers)), frozenset(numbers)))


def _fields(lowest: int, highest: int) -> st.SearchStrategy[Field]:
    whole, number = range(lowest, highest + 1), st.integers(lowest, highest)
    stars = st.integers(1, highest).map(lambda step: Field(f"*/{step}", frozenset(whole[::step])))
    spans = st.tuples(number, number).map(sorted).map(lambda ends: Field(f"{ends[0]}-{ends[1]}", frozenset(range(ends[0], ends[1] + 1))))
    return st.just(Field("*", frozenset(whole))) | stars | spans | _lists(lowest, highest)


Cron = tuple[Field, Field, Field, Field, Field]
any_cron: st.SearchStrategy[Cron] = st.tuples(
    _fields(0, 59),
    _lists(0, 4) | _fields(0, 23),
    _fields(1, 31).filter(lambda day: min(day.numbers) <= 28),  # others may never come
    st.just(Field("*", frozenset(range(1, 13)))) | _fields(1, 12),
    _fields(0, 7),
)
minutes_open = st.integers(1, 90) | st.integers(1, 7 * 1440)


@lru_cache
def _clock(zone: ZoneInfo, day: date) -> list[tuple[datetime, datetime]]:
    """Each minute from ten days before a day until four after, and what a clock in the zone shows then."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    moments = [noon + number * MINUTE for number in range(-10 * 1440, 4 * 1440)]
    return [(moment, moment.astimezone(zone).replace(tzinfo=None)) for moment in moments]


def _means(cron: Cron) -> Callable[[datetime], bool]:
    """Whether an expression means what a clock shows."""
    minute, hour, day, month, weekday = cron
    join = all if day.is_starred or weekday.is_starred else any
    weekdays = {number % 7 for number in weekday.numbers}

    def means(shown: datetime) -> bool:
        if shown.minute not in minute.numbers or shown.hour not in hour.numbers or shown.month not in month.numbers:
            return False
        return join((shown.day in day.numbers, shown.isoweekday() % 7 in weekdays))

    return means


def _starts(cron: Cron, clock: list[tuple[datetime, datetime]]) -> set[datetime]:
    """A fixed time starts when the clock first comes to show it or to have passed it; another one whenever the clock shows it."""
    means = _means(cron)
    if cron[0].is_starred or cron[1].is_starred:
        return {moment for moment, shown in clock if means(shown)}
    starts, reached = set(), clock[0][1]
    for moment, shown in clock:
        while reached < shown:
            reached += MINUTE
            if means(reached):
                starts.add(moment)
    return starts


def _openness(cron: Cron, minutes: int, clock: list[tuple[datetime, datetime]]) -> dict[datetime, bool]:
    """Whether the window is open, minute by minute, from where no earlier start matters."""
    starts, left, openness = _starts(cron, clock), 0, {}
    for moment, _ in clock:
        left = minutes if moment in starts else left - 1
        openness[moment] = left > 0
    return dict(list(openness.items())[8 * 1440 :])


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(CHANGES), any_cron, minutes_open, st.integers(0, 59_999_999))
def test_a_window_is_open_in_every_minute_that_cron_means(change: tuple[ZoneInfo, date], cron: Cron, minutes: int, within: int) -> None:
    zone, day = change
    windows = [Window(cron=" ".join(field.text for field in cron), duration=minutes * MINUTE)]
    openness = _openness(cron, minutes, _clock(zone, day))
    into_it = timedelta(microseconds=within)

    assert [moment for moment, expected in openness.items() if is_open(windows, zone, moment + into_it) != expected] == []

    edges = [moment for (_, before), (moment, now) in pairwise(openness.items()) if before != now]
    for edge, following in list(pairwise(edges))[:: 1 + len(edges) // 100]:
        told = closes_at if openness[edge] else next_opening
        assert told(windows, zone, edge) == following


windows_of_all_kinds = st.builds(
    lambda cron, minutes, zone: Window(cron=" ".join(field.text for field in cron), duration=minutes * MINUTE, zone=zone),
    any_cron,
    minutes_open,
    st.none() | st.sampled_from([zone.key for zone, _ in CHANGES]),
)
moments = st.sampled_from(CHANGES).flatmap(
    lambda change: st.datetimes(
        datetime.combine(change[1], time()) - 2 * DAY, datetime.combine(change[1], time()) + 2 * DAY, timezones=st.just(UTC)
    )
)


@settings(max_examples=200, deadline=None)
@given(st.lists(windows_of_all_kinds, max_size=4), st.sampled_from(CHANGES), moments)
def test_it_is_open_from_an_opening_until_it_closes(windows: list[Window], change: tuple[ZoneInfo, date], now: datetime) -> None:
    zone, _ = change
    opening = next_opening(windows, zone, now - timedelta(microseconds=1))
    closing = closes_at(windows, zone, opening) if opening else None

    assert is_open(windows, zone, now) == (opening is not None and opening <= now and (closing is None or now < closing))
    assert is_open(windows, zone, now) == any(is_open([window], zone, now) for window in windows)
    assert is_open(windows, zone, now) == (next_opening(windows, zone, now) == now)
