"""What failures prove. Exact throughout: probabilities are carried from one outcome to the next, never sampled."""

import math
from itertools import product

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.evidence import evidence, exceeds
from tools.stops import PAGE, RATES, combined, course, fewest, fixed, report, written
from tools.stops import evidence as by_evidence

LIMITS = (0.001, 0.01, 0.05, 0.2, 0.5, 0.9)

limits = st.floats(0.001, 0.999)
counts = st.tuples(st.integers(0, 2_000), st.integers(0, 2_000)).map(lambda both: (min(both), max(both)))


def stopped(limit: float, rate: float, confidence: float, looks: int) -> float:
    """The probability that an image with this true failure rate is ever found to exceed the limit, looking after every outcome."""
    stops = fewest(lambda bad, outcomes, _over: exceeds(bad, outcomes, limit, confidence), [looks])
    return course(stops, rate, [looks]).stopped


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_an_image_at_the_limit_is_seldom_found_above_it_however_often_one_looks(limit: float, confidence: float) -> None:
    assert 0 < stopped(limit, limit, confidence, looks=200) <= 1 - confidence


@pytest.mark.parametrize(("limit", "share"), [(0.05, 0.0271), (0.2, 0.0349)])
def test_looking_a_thousand_times_does_not_wear_the_promise_out(limit: float, share: float) -> None:
    assert stopped(limit, limit, 0.95, looks=1000) == pytest.approx(share, abs=0.0001)


def test_the_better_the_image_the_more_seldom_it_is_stopped() -> None:
    shares = [stopped(0.2, rate, 0.95, looks=100) for rate in (0.0, 0.1, 0.2, 0.3, 0.6)]

    assert shares == sorted(shares)
    assert shares[0] == 0
    assert shares[1] < 0.002
    assert shares[-1] > 0.9999


# The proof of Ville's inequality needs no more than this and that it begins at 1.
@given(counts, limits, st.floats(0, 1))
@example((0, 0), 0.05, 1.0)
def test_no_outcome_adds_evidence_on_average_while_the_true_rate_is_within_the_limit(
    seen: tuple[int, int], limit: float, part: float
) -> None:
    bad, outcomes = seen
    now, rate = evidence(bad, outcomes, limit), limit * part
    failure, success = evidence(bad + 1, outcomes + 1, limit) - now, evidence(bad, outcomes + 1, limit) - now

    assert rate * math.exp(failure) + (1 - rate) * math.exp(success) <= 1 + 1e-9


@given(limits)
def test_before_the_first_outcome_there_is_evidence_of_nothing(limit: float) -> None:
    assert evidence(0, 0, limit) == pytest.approx(0, abs=1e-12)


@given(counts, limits)
def test_a_failure_is_evidence_against_an_image_and_a_success_for_it(seen: tuple[int, int], limit: float) -> None:
    bad, outcomes = seen
    assert evidence(bad, outcomes + 1, limit) < evidence(bad, outcomes, limit) < evidence(bad + 1, outcomes + 1, limit)


@given(counts, limits, st.floats(0.5, 0.999), st.floats(0.5, 0.999))
def test_more_confidence_needs_more_evidence(seen: tuple[int, int], limit: float, one: float, other: float) -> None:
    assert exceeds(*seen, limit, min(one, other)) or not exceeds(*seen, limit, max(one, other))


def test_what_exceeds_a_limit_exceeds_every_lower_one() -> None:
    for bad, outcomes in product(range(1, 30), (30, 100, 300)):
        found = [exceeds(bad, outcomes, limit, 0.95) for limit in (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 0.6)]
        assert found == sorted(found, reverse=True)


@pytest.mark.parametrize(
    ("limit", "in_a_row", "of_ten", "of_a_hundred", "of_a_thousand"),
    [(0.01, 1, 2, 6, 22), (0.05, 2, 4, 13, 75), (0.1, 2, 5, 21, 133), (0.2, 3, 7, 33, 243), (0.5, 7, 10, 65, 552)],
)
def test_so_many_failures_prove_it_and_one_less_does_not(
    limit: float, in_a_row: int, of_ten: int, of_a_hundred: int, of_a_thousand: int
) -> None:
    assert exceeds(in_a_row, in_a_row, limit, 0.95)
    assert not exceeds(in_a_row - 1, in_a_row - 1, limit, 0.95)
    for bad, outcomes in ((of_ten, 10), (of_a_hundred, 100), (of_a_thousand, 1000)):
        assert exceeds(bad, outcomes, limit, 0.95)
        assert not exceeds(bad - 1, outcomes, limit, 0.95)


def test_one_unlucky_device_of_ten_proves_nothing_about_a_limit_of_one_percent() -> None:
    assert not exceeds(1, 10, 0.01, 0.95)


@pytest.mark.parametrize("limit", [0.0, 1e-300, 1e-9, *LIMITS, 1 - 1e-16, 1.0])
def test_without_a_failure_nothing_exceeds_any_limit(limit: float) -> None:
    assert not any(exceeds(0, outcomes, limit, confidence) for outcomes in (0, 1, 1_000_000) for confidence in (0.0, 0.95, 1.0))


def test_where_none_may_fail_the_first_failure_is_proof() -> None:
    assert exceeds(1, 1_000_000, 0.0, 0.95)


def test_where_all_may_fail_nothing_is_proof() -> None:
    assert not exceeds(1_000_000, 1_000_000, 1.0, 0.0)


def test_certainty_is_never_reached() -> None:
    assert not exceeds(1_000_000, 1_000_000, 0.2, 1.0)


def test_a_million_devices_tell_three_tenths_of_a_percent_from_the_limit() -> None:
    assert exceeds(203_000, 1_000_000, 0.2, 0.95)
    assert not exceeds(200_000, 1_000_000, 0.2, 0.95)
    assert all(math.isfinite(evidence(bad, 1_000_000, 0.001)) for bad in (0, 1_000, 1_000_000))


def test_the_course_of_a_rollout_is_the_sum_over_everything_that_may_happen() -> None:
    rate, ends, rule = 0.3, (3, 5, 9), combined(0.2)
    halted = failed = 0.0
    for fates in product((0, 1), repeat=9):  # 1 is a failure
        seen = next((n for n in range(1, 10) if rule(sum(fates[:n]), n, n in ends)), None)
        chance = math.prod(rate if fate else 1 - rate for fate in fates)
        halted += chance * (seen is not None)
        failed += chance * sum(fates[:seen])

    told = course(fewest(rule, ends), rate, ends)

    assert (told.stopped, told.harmed) == pytest.approx((halted, failed))


@pytest.mark.parametrize("rate", RATES)
def test_proof_stops_seldomer_than_the_observed_rate_and_judging_ends_as_well_is_between_them(rate: float) -> None:
    ends = (10, 50, 100)
    shares = [course(fewest(rule(0.2), ends), rate, ends).stopped for rule in (by_evidence, combined, fixed)]

    assert shares == sorted(shares)


def test_the_page_shows_what_the_command_prints() -> None:
    page = PAGE.read_text()

    assert page == written(page, report()), "run `python -m tools.stops --write`"
