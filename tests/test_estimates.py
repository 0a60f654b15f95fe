"""When a rollout would be over: the model, on plans where it can be reckoned by hand."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import estimates
from domain.estimates import Crowd, Pickup
from domain.plans import Plan, sizes
from domain.settings import settings

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)  # a Tuesday
QUICK = Pickup(timedelta(minutes=1), timedelta(minutes=2))


def _plan(**given: Any) -> Plan:
    quick = {"image_pattern": "nginx", "update_strategy": "staged", "batch_delay_minutes": 0, "soak_minutes": 0}
    return settings({**quick, **given}).plan(by_hand=True)


def _minutes(plan: Plan, size: int = 100, *, pickup: Pickup = QUICK, zones: dict[str, int] | None = None, lane: int = 0) -> float | None:
    """How long it takes."""
    end = estimates.finish(plan, Crowd(sizes(plan.stages, size), zones or {}, lane), pickup, NOW)
    return None if end is None else (end - NOW) / timedelta(minutes=1)


def test_each_batch_takes_a_pickup_a_start_a_soak_and_the_delay_to_the_next() -> None:
    assert _minutes(_plan(update_strategy="auto")) == 3
    assert _minutes(_plan()) == 9
    assert _minutes(_plan(soak_minutes=10, batch_delay_minutes=30)) == 3 * 13 + 2 * 30
    assert _minutes(_plan(soak_minutes=10, health_check_enabled=False)) == 9
    assert _minutes(_plan(watch_minutes=7)) == 9 + 7
    assert _minutes(_plan(), size=1) == 3


def test_checks_from_outside_take_their_time() -> None:
    of_devices = {"name": "up", "kind": "tcp", "host": "10.0.0.1", "port": 80, "count": 6, "interval_seconds": 60}
    of_batch = {"name": "errors", "kind": "prometheus", "base_url": "http://p", "query": "up", "count": 3, "interval_seconds": 120}
    gate = {"name": "night shift", "kind": "webhook", "url": "http://gate"}

    assert _minutes(_plan(update_strategy="auto", checks=[of_devices])) == 3 + 5
    assert _minutes(_plan(update_strategy="auto", checks=[of_devices, of_batch], soak_minutes=10)) == 3 + 10 + 4
    assert estimates.why_unknown(_plan(checks=[gate]), (1, 5, 10)) == "after batch 1 it waits for night shift to let it go on"


def test_a_silent_device_is_given_up_after_the_time_the_plan_gives_it() -> None:
    asleep = Pickup(timedelta(days=3), timedelta(0))

    assert _minutes(_plan(update_strategy="auto", pickup_minutes=15), pickup=asleep) == 15


@pytest.mark.parametrize(
    ("pace", "expected"),
    [
        ({"devices_per_minute": 10}, 99 / 10),
        ({"devices_per_minute": 0.5}, 99 / 0.5),
        ({"max_in_flight": 100}, 0),
        ({"max_in_flight": 50}, 3),
        ({"max_in_flight": 1}, 99 * 3),
        ({"max_in_flight": 1, "devices_per_minute": 0.1}, 990),
        ({"max_in_flight_per_label": {"label": "site", "devices": 2}}, (20 / 2 - 1) * 3),
        ({"ramp": {"base_per_minute": 10, "factor": 2, "every_devices": 50}}, 50 / 10 + 49 / 20),
        ({"ramp": {"base_per_minute": 10, "factor": 2, "every_devices": 50}, "devices_per_minute": 15}, 50 / 10 + 49 / 15),
        ({"ramp": {"base_per_minute": 10, "factor": 2, "every_devices": 50, "counts": "succeeded"}}, 80 / 10 + 19 / 20),
    ],
)
def test_devices_are_let_in_by_the_pace(pace: dict[str, Any], expected: float) -> None:
    assert _minutes(_plan(update_strategy="auto", pace=pace), lane=20) == pytest.approx(3 + expected)


def test_a_ramp_over_ten_million_devices_is_reckoned_at_once() -> None:
    pace = {"ramp": {"base_per_minute": 1, "factor": 1.1, "every_devices": 1}}

    assert _minutes(_plan(pace=pace), size=10_000_000) == pytest.approx(9 + 11, abs=1)


def test_nothing_begins_before_its_time_nor_outside_a_window() -> None:
    nightly = {"windows": [{"cron": "0 2 * * *", "minutes": 60}]}
    at_two = 14 * 60

    assert _minutes(_plan(update_strategy="auto", schedule={"not_before": NOW + timedelta(hours=5)})) == 5 * 60 + 3
    assert _minutes(_plan(update_strategy="auto", schedule=nightly), zones={"UTC": 100}) == at_two + 3
    assert _minutes(_plan(update_strategy="auto", schedule=nightly), zones={"UTC": 60, "Asia/Tokyo": 40}) == at_two + 3
    later = {**nightly, "not_before": NOW + timedelta(days=2)}
    assert _minutes(_plan(update_strategy="auto", schedule=later), zones={"UTC": 100}) == 2 * 24 * 60 + at_two + 3


def test_a_window_that_closes_interrupts_the_letting_in_and_not_the_soak() -> None:
    nightly = {"windows": [{"cron": "0 2 * * *", "minutes": 60}]}
    slow = _plan(update_strategy="auto", schedule=nightly, pace={"devices_per_minute": 1}, soak_minutes=90)

    # Of 99 + 1 minutes 60 pass in the first night and 40 in the next; then 2 to start and 90 to soak.
    assert _minutes(slow, zones={"UTC": 100}) == 14 * 60 + 24 * 60 + 40 + 2 + 90


def test_a_batch_too_small_for_a_time_zone_does_not_wait_for_it() -> None:
    nightly = {"windows": [{"cron": "0 2 * * *", "minutes": 60}]}
    canary = _plan(schedule=nightly, stages=[{"devices": 1}, {"share_percent": 100}])

    # The canary has its window at 17:00 UTC, and so most of the others; the last ones have theirs at 02:00.
    assert _minutes(canary, zones={"Asia/Tokyo": 98, "UTC": 2}) == 14 * 60 + 3


def test_what_lies_more_than_a_year_ahead_is_not_told() -> None:
    rare = {"windows": [{"cron": "0 2 29 2 *", "minutes": 60}]}

    assert _minutes(_plan(schedule=rare), zones={"UTC": 100}) is None
    minute_a_week = {"windows": [{"cron": "0 2 * * 1", "minutes": 1}]}
    assert _minutes(_plan(schedule=minute_a_week, pace={"devices_per_minute": 1}), zones={"UTC": 100}) is None


def test_nobody_can_say_how_long_people_take() -> None:
    promoted = [{"share_percent": 10, "manual_promotion": True}, {"share_percent": 100}]

    assert estimates.why_unknown(_plan(), (1, 5, 10)) is None
    assert estimates.why_unknown(_plan(), ()) == "no device would take part"
    assert estimates.why_unknown(_plan(approvals=2), (1, 5, 10)) == "it begins once it is approved, for which 2 must decide"
    assert estimates.why_unknown(_plan(stages=promoted), (1, 10)) == "after batch 1 it waits for an operator to promote it"
    assert estimates.why_unknown(_plan(stages=promoted), (1,)) is None, "the first batch is everybody"


def test_an_end_after_its_time_is_doubted() -> None:
    short = _plan(schedule={"not_after": NOW + timedelta(minutes=5)})

    assert estimates.doubt(short, NOW + timedelta(minutes=5)) is None
    assert "2030-01-01 12:05:00 UTC" in (estimates.doubt(short, NOW + timedelta(minutes=6)) or "")
    assert "a year" in (estimates.doubt(short, None) or "")
