"""Plans, as operators might think of them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import strategies as st

START = datetime(2026, 3, 27, 22, 50, tzinfo=UTC)
"""When every history begins: two nights before Berlin's clocks change."""

MINUTES = st.sampled_from((0, 1, 5, 20))
LONGER = st.sampled_from((2, 15, 60))
CRONS = st.sampled_from(
    (
        {"cron": "*/30 * * * *", "minutes": 10},
        {"cron": "0 * * * *", "minutes": 20, "timezone": "UTC"},
        {"cron": "0 */2 * * *", "minutes": 90},
        {"cron": "30 2 * * *", "minutes": 120},
        {"cron": "0 23 * * 5,6", "minutes": 240, "timezone": "America/New_York"},
    )
)
PACES = st.sampled_from(
    (
        {"devices_per_minute": 0.2},
        {"devices_per_minute": 1},
        {"devices_per_minute": 60},
        {"ramp": {"base_per_minute": 1, "factor": 2, "every_devices": 2}},
        {"ramp": {"base_per_minute": 2, "factor": 3, "every_devices": 1, "counts": "succeeded"}, "devices_per_minute": 20},
        {"max_in_flight": 1},
        {"max_in_flight": 2},
        {"max_in_flight_per_label": {"label": "rack", "devices": 1}},
        {"max_in_flight": 2, "max_in_flight_per_label": {"label": "rack", "devices": 1}, "devices_per_minute": 60},
    )
)
FIRST = st.sampled_from(
    (
        {"devices": 1},
        {"share_percent": 40, "manual_promotion": True},
        {"devices": 2, "delay_minutes": 5, "soak_minutes": 1},
        {"share_percent": 25, "max_failure_rate": 0.5, "min_outcomes": 1},
    )
)
SCHEDULES = st.fixed_dictionaries(
    {"windows": st.lists(CRONS, max_size=2)},
    optional={
        "not_before": st.sampled_from((START + timedelta(minutes=10), START + timedelta(hours=8))),
        "not_after": st.sampled_from((START + timedelta(hours=9), START + timedelta(days=2))),
    },
)


def uuid_of(number: int) -> str:
    return str(UUID(int=number))


CANARIES = st.lists(st.integers(1, 5).map(uuid_of), min_size=1, max_size=2, unique=True).map(lambda named: {"canaries": named})
STAGES = st.tuples(st.lists(CANARIES, max_size=1), st.lists(FIRST, max_size=2)).map(
    lambda some: [*some[0], *some[1], {"share_percent": 100}] if some[0] or some[1] else []
)
FEATURES = {
    "stages": STAGES,
    "staged_batches": st.integers(1, 4),
    "batch_delay_minutes": MINUTES,
    "health_check_enabled": st.just(False),
    "soak_minutes": MINUTES,
    "watch_minutes": MINUTES,
    "pickup_minutes": st.sampled_from((1, 5)),
    "deadline_minutes": LONGER,
    "step_minutes": st.sampled_from((1, 5)),
    "auto_rollback_enabled": st.just(False),
    "rollback_mode": st.sampled_from(("failed_batch_first", "failed_devices")),
    "max_failure_rate": st.sampled_from((0, 0.34, 1, 1)),
    "min_outcomes": st.integers(1, 3),
    "max_rates": st.sampled_from(({"refused": 0}, {"timed_out": 0.3, "unhealthy": 0.5})),
    "stop_confidence": st.sampled_from((0.5, 0.95)),
    "retries": st.sampled_from(({"failed": 1, "timed_out": 1}, {"failed": 2, "unhealthy": 1, "refused": 1, "backoff_minutes": 1})),
    "quarantine_after": st.integers(1, 2),
    "approvals": st.integers(1, 2),
    "approval_deadline_minutes": LONGER,
    "pace": PACES,
    "schedule": SCHEDULES,
    "update_strategy": st.sampled_from(("auto", "manual")),
}
LIKELY = (*FEATURES, "stages", "pace", "pace", "retries", "schedule", "schedule", "rollback_mode")


def _plan(features: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """A plan with these features; automatic ones have no stages. Many bear failures, or most histories would end with their first."""
    always = {"update_strategy": st.just("staged"), "max_failure_rate": FEATURES["max_failure_rate"]}
    return st.fixed_dictionaries(always | {name: FEATURES[name] for name in features}).map(
        lambda plan: plan | {"update_strategy": "staged"} if "stages" in plan and plan["update_strategy"] == "auto" else plan
    )


TOGETHER = (
    ("pace", "pickup_minutes"),
    ("pace", "staged_batches"),
    ("pace", "pickup_minutes", "update_strategy"),
    ("schedule", "pace", "pickup_minutes"),
    ("schedule", "pace", "retries", "soak_minutes"),
    ("schedule", "retries", "stages"),
    ("pace", "rollback_mode"),
    ("pace", "retries", "pickup_minutes", "stages"),
)
"""What meets in one place of the engine."""
PAIRS = st.fixed_dictionaries(
    {
        "update_strategy": st.sampled_from(("staged", "auto")),
        "max_failure_rate": FEATURES["max_failure_rate"],
        "pace": st.sampled_from((1, 1, 2)).map(lambda most: {"max_in_flight_per_label": {"label": "rack", "devices": most}}),
    },
    optional={name: FEATURES[name] for name in ("pickup_minutes", "retries", "rollback_mode", "schedule", "soak_minutes")},
)
"""Devices that must not be down together: the rarest of what may go wrong, so it is asked for."""
PLANS = st.one_of(
    st.lists(st.sampled_from(LIKELY), max_size=5, unique=True).flatmap(_plan), st.sampled_from(TOGETHER).map(list).flatmap(_plan), PAIRS
)
