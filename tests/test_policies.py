"""Which policy governs which devices, and what a policy may say."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.errors import BadInput
from domain.ids import PolicyId
from domain.images import Image
from domain.policies import Policy, matching, scopes
from domain.settings import settings

NOW = datetime(2026, 1, 1, tzinfo=UTC)
IMAGE = Image.parse("nginx:1.27")


def _policy(number: int, pattern: str = "nginx*", **more: Any) -> Policy:
    return Policy(PolicyId(number), settings({"image_pattern": pattern, "update_strategy": "staged", **more}), NOW, NOW)


def _governed(*policies: Policy) -> list[tuple[int, str | None, tuple[str, ...]]]:
    return [(scope.policy.id, scope.fleet, scope.except_fleets) for scope in scopes(policies, IMAGE)]


def test_a_policy_without_a_fleet_governs_everybody() -> None:
    assert _governed(_policy(1)) == [(1, None, ())]


def test_a_policy_for_a_fleet_takes_it_from_the_one_for_everybody() -> None:
    assert _governed(_policy(1), _policy(2, fleet="berlin")) == [(2, "berlin", ()), (1, None, ("berlin",))]


def test_of_two_for_the_same_devices_the_more_specific_pattern_governs_and_then_the_older() -> None:
    assert _governed(_policy(1, "nginx*"), _policy(2, "nginx:1.*")) == [(2, None, ())]
    assert _governed(_policy(2, "nginx*"), _policy(1, "nginx*")) == [(1, None, ())]


def test_a_disabled_policy_governs_nobody() -> None:
    assert _governed(_policy(1, enabled=False)) == []


def test_a_policy_for_another_image_governs_nobody() -> None:
    assert matching([_policy(1, "redis")], IMAGE) == []


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("update_strategy", "scheduled", "update_strategy: scheduled needs a schedule"),
        ("update_strategy", "yolo", "update_strategy"),
        ("image_pattern", "", "image_pattern"),
        ("image_pattern", "ngi nx", "image_pattern"),
        ("staged_batches", 0, "staged_batches"),
        ("staged_batches", 101, "staged_batches"),
        ("batch_delay_minutes", -1, "batch_delay_minutes"),
        ("batch_delay_minutes", float("nan"), "batch_delay_minutes"),
        ("deadline_minutes", 0, "deadline_minutes"),
        ("pickup_minutes", 0, "pickup_minutes"),
        ("max_failure_rate", 1.1, "max_failure_rate"),
        ("min_outcomes", 0, "min_outcomes"),
        ("fleet", "", "fleet"),
        ("colour", "red", "colour"),
    ],
)
def test_what_makes_no_sense_is_refused_by_the_name_of_its_field(field: str, value: object, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        settings({"image_pattern": "nginx", "update_strategy": "auto", field: value})


def test_everything_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(BadInput, match=r"staged_batches.*max_failure_rate"):
        settings({"image_pattern": "nginx", "update_strategy": "auto", "staged_batches": 0, "max_failure_rate": 2})


def test_without_health_checks_there_is_no_soak() -> None:
    assert not _policy(1, health_check_enabled=False, soak_minutes=10).settings.plan().stages[0].soak
    assert _policy(1, soak_minutes=0.5).settings.plan().stages[0].soak.total_seconds() == 30


def test_auto_is_one_batch_and_manual_waits() -> None:
    assert [stage.share for stage in _policy(1, update_strategy="auto").settings.plan().stages] == [100]
    manual = _policy(1, update_strategy="manual").settings.plan()
    assert ([stage.share for stage in manual.stages], manual.starts_by_itself) == ([10, 50, 100], False)
