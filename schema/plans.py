"""The plan that a rollout keeps, as a client sees it; minutes in the place of intervals, as in policies."""

from datetime import timedelta
from typing import Self

import strawberry

from domain import plans as domain
from domain.health import Outcome
from domain.pacing import Pace as DomainPace
from schema.described import described_like
from schema.policies import Policy
from schema.scalars import UUID
from schema.settings import Check, KindRates, LabelCap, Pace, Ramp, Retries, Schedule, Window


@strawberry.type(description="One batch as it was planned.")
class PlannedStage:
    number: int = strawberry.field(description="From 1.")
    share_percent: float | None = strawberry.field(
        description="How many have been offered the image once it is open, those before included."
    )
    devices: int | None = strawberry.field(description="The same as a number of devices.")
    canaries: list[UUID] = strawberry.field(description="These devices, by uuid.")
    delay_minutes: float = strawberry.field(description="From the batch having proved itself until the next one opens.")
    soak_minutes: float = strawberry.field(description="How long a device must run the image, healthy.")
    max_failure_rate: float = strawberry.field(description="Failed / (running + failed) of this batch above this stops the rollout.")
    min_outcomes: int = strawberry.field(description="How many outcomes that takes while others are still expected.")
    manual_promotion: bool = strawberry.field(description="After it an operator is awaited.")
    checks: list[str] | None = strawberry.field(description="The names of the checks that are made of it; null is all.")

    @classmethod
    def of(cls, number: int, stage: domain.Stage) -> Self:
        return cls(
            number=number,
            share_percent=stage.share,
            devices=stage.devices,
            canaries=[UUID(uuid) for uuid in stage.canaries],
            delay_minutes=_minutes(stage.delay),
            soak_minutes=_minutes(stage.soak),
            max_failure_rate=stage.limits.rate,
            min_outcomes=stage.limits.min_outcomes,
            manual_promotion=stage.is_promoted_by_hand,
            checks=None if stage.checks is None else list(stage.checks),
        )


@described_like(Policy)
@strawberry.type(description="How a rollout goes about it, as its policy said when it was created, or when it was last replanned.")
class Plan:
    stages: list[PlannedStage] = strawberry.field(description="Its batches as planned, first to last.")
    health_check_enabled: bool
    auto_rollback_enabled: bool
    starts_by_itself: bool = strawberry.field(description="Whether it needs no operator to start it.")
    watch_minutes: float
    pickup_minutes: float
    deadline_minutes: float
    step_minutes: float | None
    max_failure_rate: float
    min_outcomes: int
    max_rates: KindRates
    stop_confidence: float | None
    retries: Retries
    quarantine_after: int | None
    approvals: int
    approval_deadline_minutes: float | None
    pace: Pace
    schedule: Schedule
    checks: list[Check]

    @classmethod
    def of(cls, plan: domain.Plan) -> Self:
        return cls(
            stages=[PlannedStage.of(number, stage) for number, stage in enumerate(plan.stages, 1)],
            health_check_enabled=plan.health_check_enabled,
            auto_rollback_enabled=plan.auto_rollback_enabled,
            starts_by_itself=plan.starts_by_itself,
            watch_minutes=_minutes(plan.watch),
            pickup_minutes=_minutes(plan.pickup),
            deadline_minutes=_minutes(plan.deadline),
            step_minutes=None if plan.step is None else _minutes(plan.step),
            max_failure_rate=plan.limits.rate,
            min_outcomes=plan.limits.min_outcomes,
            max_rates=KindRates(**{kind: plan.limits.by_kind.get(outcome) for kind, outcome in _KINDS.items()}),
            stop_confidence=plan.limits.confidence,
            retries=_retries(plan.retries),
            quarantine_after=plan.quarantine_after,
            approvals=plan.approvals,
            approval_deadline_minutes=None if plan.approval_deadline is None else _minutes(plan.approval_deadline),
            pace=_pace(plan.pace),
            schedule=_schedule(plan.schedule),
            checks=[Check.of(check) for check in plan.checks],
        )


_KINDS = {"failed": Outcome.FAILED, "unhealthy": Outcome.UNHEALTHY, "refused": Outcome.REFUSED, "timed_out": Outcome.TIMED_OUT}


def _minutes(span: timedelta) -> float:
    return span.total_seconds() / 60


def _retries(retries: domain.Retries) -> Retries:
    tries = {kind: retries.limits.get(outcome, 0) for kind, outcome in _KINDS.items()}
    return Retries(**tries, backoff_minutes=_minutes(retries.backoff))


def _pace(pace: DomainPace) -> Pace:
    ramp, cap = pace.ramp, pace.per_label
    return Pace(
        devices_per_minute=pace.per_minute,
        ramp=None if ramp is None else Ramp(base_per_minute=ramp.base, factor=ramp.factor, every_devices=ramp.every, counts=ramp.counts),
        max_in_flight=pace.in_flight,
        max_in_flight_per_label=None if cap is None else LabelCap(label=cap.label, devices=cap.devices),
    )


def _schedule(schedule: domain.Schedule) -> Schedule:
    return Schedule(
        not_before=schedule.not_before,
        not_after=schedule.not_after,
        windows=[Window(cron=window.cron, minutes=_minutes(window.duration), timezone=window.zone) for window in schedule.windows],
        timezone=schedule.zone,
        timezone_label=schedule.zone_label,
    )
