"""What counts as what: devices that are alike are counted by the engine in one way, and none of them twice."""

import pytest

from domain.checks import State, Verdict
from domain.health import Outcome
from domain.progress import Count, Progress, Tally, tally
from domain.statuses import DeviceStatus as Is


def _count(status: Is, devices: int = 3, outcome: Outcome | None = None, *, in_batch: bool = False, **more: bool) -> Count:
    return Count(status, outcome, devices, in_batch, **more)


def _progress(*counts: Count, health_check_enabled: bool = True) -> Progress:
    return Progress.of(counts, health_check_enabled=health_check_enabled)


RUNNING = Tally(running=3)


@pytest.mark.parametrize(
    ("count", "progress"),
    [
        (_count(Is.SCHEDULED), Progress(untaken=3)),
        (_count(Is.SCHEDULED, is_silent=True), Progress(silent=3)),
        (_count(Is.DEFERRED), Progress(deferred=3)),
        (_count(Is.DEFERRED, is_silent=True), Progress(silent=3)),
        (_count(Is.UPDATING), Progress(waiting=3, total=Tally(waiting=3))),
        (_count(Is.UPDATED), Progress(soaking=3, total=RUNNING)),
        (_count(Is.UPDATED, is_inconclusive=True), Progress(soaking=3, inconclusive=3, total=RUNNING)),
        (_count(Is.HEALTHY), Progress(good=3, total=RUNNING)),
        (_count(Is.FAILED), Progress(total=Tally(failures={Outcome.FAILED: 3}))),
        (_count(Is.UNHEALTHY), Progress(total=Tally(failures={Outcome.UNHEALTHY: 3}))),
        (_count(Is.REFUSED), Progress(total=Tally(failures={Outcome.REFUSED: 3}))),
        (_count(Is.TIMED_OUT), Progress(total=Tally(failures={Outcome.TIMED_OUT: 3}))),
        (_count(Is.FAILED, is_accepted=True), Progress(total=Tally(accepted=3))),
        (_count(Is.RETRYING, outcome=Outcome.FAILED), Progress(retrying=3)),
        (_count(Is.SKIPPED), Progress(left=3)),
        # Taken back: after a failure it stays one, unless that was accepted; else it was withdrawn, and nobody takes its place.
        (_count(Is.ROLLING_BACK), Progress(returning=3, withdrawn=3)),
        (_count(Is.ROLLED_BACK), Progress(withdrawn=3)),
        (_count(Is.ROLLED_BACK, outcome=Outcome.RUNNING), Progress(withdrawn=3)),
        (_count(Is.ROLLED_BACK, outcome=Outcome.REFUSED), Progress(total=Tally(failures={Outcome.REFUSED: 3}))),
        (_count(Is.ROLLING_BACK, outcome=Outcome.FAILED), Progress(returning=3, total=Tally(failures={Outcome.FAILED: 3}))),
        (_count(Is.ROLLED_BACK, outcome=Outcome.FAILED, is_accepted=True), Progress(total=Tally(accepted=3))),
        (_count(Is.PENDING), Progress()),
    ],
)
def test_what_a_device_shows_counts_once(count: Count, progress: Progress) -> None:
    assert _progress(count) == progress


def test_without_health_checks_a_device_that_runs_the_image_is_good_at_once() -> None:
    counts = (_count(Is.UPDATED, 2), _count(Is.HEALTHY, 1))
    assert _progress(*counts, health_check_enabled=False) == Progress(good=3, total=RUNNING)
    assert _progress(*counts) == Progress(soaking=2, good=1, total=RUNNING)


def test_the_open_batch_is_counted_by_itself_as_well() -> None:
    before, within = _count(Is.HEALTHY, 5), [_count(Is.FAILED, 1, in_batch=True), _count(Is.FAILED, 1, in_batch=True, is_silent=False)]
    assert _progress(before, *within) == Progress(good=5, batch=Tally(failures={Outcome.FAILED: 2}), total=Tally(5, {Outcome.FAILED: 2}))


def test_who_is_alike_but_for_the_batch_is_added_up() -> None:
    for status in Is:
        twice = _progress(_count(status, 2, in_batch=True), _count(status, 1))
        once = _progress(_count(status, 3))
        assert (twice.expected, twice.in_flight, twice.total) == (once.expected, once.in_flight, once.total)


def test_a_tally_keeps_the_kinds_of_failure_apart() -> None:
    counted = tally([_count(Is.FAILED, 1), _count(Is.REFUSED, 2), _count(Is.FAILED, 4), _count(Is.HEALTHY, 7), _count(Is.UPDATED, 6)])
    assert counted == Tally(13, {Outcome.FAILED: 5, Outcome.REFUSED: 2})
    assert (counted.bad, counted.outcomes, counted.rate) == (7, 20, 0.35)
    assert counted.share_of(Outcome.REFUSED) == 0.1
    assert counted.share_of(Outcome.TIMED_OUT) == 0
    assert (Tally().rate, Tally().share_of(Outcome.FAILED)) == (0, 0)


def test_what_was_accepted_is_no_failure_but_remembered() -> None:
    accepted = [_count(Is.FAILED, 2, is_accepted=True), _count(Is.TIMED_OUT, 3, is_accepted=True)]
    assert tally(accepted) == Tally(accepted=5)
    assert tally(accepted).outcomes == 0


def test_expected_is_who_may_still_show_something_and_on_their_way_who_may_be_down() -> None:
    progress = Progress(untaken=1, deferred=2, waiting=4, soaking=8, retrying=16, silent=32, good=64, withdrawn=128, returning=256)
    assert (progress.expected, progress.in_flight) == (31, 29)


def test_caps_and_checks_are_carried_along() -> None:
    checks = (Verdict(State.RUNNING, "gate: held"),)
    assert Progress.of([], health_check_enabled=True, reach=7, checks=checks) == Progress(reach=7, checks=checks)
    assert _progress() == Progress()
