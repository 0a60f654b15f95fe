"""What an operator may set in a policy, checked field by field, and the plan that follows from it."""

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator

from domain.checks import CheckKind, CheckSettings, HttpCheck, TcpCheck
from domain.errors import BadInput
from domain.health import Outcome
from domain.images import Pattern
from domain.pacing import Counts, LabelCap, Pace, Ramp
from domain.plans import Limits, Plan, Retries, Schedule, Stage, shares
from domain.provenance import ProvenanceSettings
from domain.selectors import Selector
from domain.tags import TagRules
from domain.windows import Window, is_zone


class Strategy(StrEnum):
    """Who gets a new image first, and whether anybody is asked."""

    AUTO = "auto"
    STAGED = "staged"
    MANUAL = "manual"
    SCHEDULED = "scheduled"


class RollbackMode(StrEnum):
    """Who goes back when too many fail, where that happens by itself."""

    ALL = "all"
    FAILED_BATCH_FIRST = "failed_batch_first"
    FAILED_DEVICES = "failed_devices"


class Unresolved(StrEnum):
    """What to do about a pushed tag whose digest nobody can tell, since its registry cannot be asked."""

    AUTO = "auto"
    """Wait where the tag moves and devices run it already; else go by the tag."""
    WAIT = "wait"
    BY_TAG = "by_tag"


def _pattern(text: str) -> str:
    try:
        return Pattern.parse(text).text
    except BadInput as bad:
        raise ValueError(str(bad)) from bad


def _selector(text: str) -> str:
    try:
        return str(Selector.parse(text))
    except BadInput as bad:
        raise ValueError(str(bad)) from bad


Minutes = Annotated[float, Field(ge=0, le=60 * 24 * 365, allow_inf_nan=False)]
Rate = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
PerMinute = Annotated[float, Field(ge=0.001, le=1_000_000, allow_inf_nan=False)]  # one in 16 hours at the least
# Far from the ends of the calendar, where there is no day before or after to reckon with.
Moment = Annotated[AwareDatetime, Field(ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2200, 1, 1, tzinfo=UTC))]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Label = Annotated[str, Field(min_length=1, max_length=63)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class KindRates(_Settings):
    """A limit of its own for a kind of failure; null: only the limit for all kinds holds."""

    failed: Rate | None = None
    unhealthy: Rate | None = None
    refused: Rate | None = None
    timed_out: Rate | None = None

    def by_kind(self) -> dict[Outcome, float]:
        return {Outcome(kind): rate for kind, rate in self.model_dump().items() if rate is not None}


class StageSettings(_Settings):
    """One batch: give share_percent, devices, or canaries. What is left out is as the policy says."""

    share_percent: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] | None = None
    """How many have been offered the image once this stage is open, those before included."""
    devices: Count | None = None
    """The same as a number of devices."""
    canaries: Annotated[tuple[UUID, ...], Field(max_length=1000)] = ()
    """These devices, by uuid; stages with canaries come first."""
    delay_minutes: Minutes | None = None
    soak_minutes: Minutes | None = None
    max_failure_rate: Rate | None = None
    min_outcomes: Count | None = None
    manual_promotion: bool = False
    """After it an operator is awaited."""
    checks: tuple[str, ...] | None = None
    """The names of the checks that are made of it; null is all."""

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if sum([self.share_percent is not None, self.devices is not None, bool(self.canaries)]) != 1:
            raise ValueError("give one of share_percent, devices and canaries")
        return self


class RampSettings(_Settings):
    """Faster with every so many devices: min(devices_per_minute, base_per_minute * factor ** (devices // every_devices))."""

    base_per_minute: PerMinute
    factor: Annotated[float, Field(ge=1.1, le=5)] = 2
    every_devices: Count
    counts: Counts = Counts.OFFERED


class LabelCapSettings(_Settings):
    """At most so many devices on their way that share a value of a label: a site's uplink, a pair that must never both be down."""

    label: Label
    devices: Count = 1


class PaceSettings(_Settings):
    """How fast devices are let in; every limit is optional, and they hold together."""

    devices_per_minute: PerMinute | None = None
    ramp: RampSettings | None = None
    max_in_flight: Count | None = None
    """On their way at once: offered the image, and neither proven good, nor failed, nor silent."""
    max_in_flight_per_label: LabelCapSettings | None = None

    def pace(self) -> Pace:
        ramp, cap = self.ramp, self.max_in_flight_per_label
        return Pace(
            per_minute=self.devices_per_minute,
            ramp=None if ramp is None else Ramp(ramp.base_per_minute, ramp.factor, ramp.every_devices, ramp.counts),
            in_flight=self.max_in_flight,
            per_label=None if cap is None else LabelCap(cap.label, cap.devices),
        )


class WindowSettings(_Settings):
    """A maintenance window that comes again and again."""

    cron: str
    """When it opens: minute, hour, day of month, month, day of week."""
    minutes: Annotated[float, Field(ge=1, le=7 * 24 * 60, allow_inf_nan=False)]
    timezone: str | None = None
    """An IANA name; null is that of each device."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        self.window()
        return self

    def window(self) -> Window:
        try:
            return Window(cron=self.cron, duration=timedelta(minutes=self.minutes), zone=self.timezone)
        except ValidationError as invalid:
            raise ValueError("; ".join(_plain(error["msg"]) for error in invalid.errors())) from invalid


class ScheduleSettings(_Settings):
    """When devices may be offered the image."""

    not_before: Moment | None = None
    not_after: Moment | None = None
    windows: Annotated[tuple[WindowSettings, ...], Field(max_length=20)] = ()
    timezone: str = "UTC"
    """For windows without one and devices without one."""
    timezone_label: Label = "timezone"
    """The label that names a device's time zone."""

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.not_before and self.not_after and self.not_after <= self.not_before:
            raise ValueError("not_after must be later than not_before")
        if not is_zone(self.timezone):
            raise ValueError(f"“{self.timezone[:80]}” is not a time zone; write an IANA name, such as Europe/Berlin or UTC")
        return self

    def schedule(self) -> Schedule:
        windows = tuple(window.window() for window in self.windows)
        return Schedule(self.not_before, self.not_after, windows, self.timezone, self.timezone_label)


class RetrySettings(_Settings):
    """How often a device that failed is taken back and offered the image again, before its failure counts."""

    failed: Annotated[int, Field(ge=0, le=10)] = 0
    unhealthy: Annotated[int, Field(ge=0, le=10)] = 0
    refused: Annotated[int, Field(ge=0, le=10)] = 0
    timed_out: Annotated[int, Field(ge=0, le=10)] = 0
    backoff_minutes: Annotated[Minutes, Field(gt=0)] = 5
    """Before the first; doubled before each that follows."""

    def retries(self) -> Retries:
        limits = self.model_dump(exclude={"backoff_minutes"})
        return Retries({Outcome(kind): limit for kind, limit in limits.items() if limit}, timedelta(minutes=self.backoff_minutes))


class RegistrySettings(_Settings):
    """What the registry is asked, and what its answers decide."""

    unresolved: Unresolved = Unresolved.AUTO
    """What to do about a pushed tag whose digest nobody can tell."""
    poll_minutes: Annotated[Minutes, Field(ge=1)] | None = None
    """How often it is asked for new tags; null is never."""
    min_age_minutes: Minutes = 0
    """How long ago Rollwave must first have heard of an image before it is taken."""
    check_platforms: bool = False
    """Whether the image must be there for the platforms of the devices."""


class PolicySettings(_Settings):
    """What an operator decides about a policy."""

    image_pattern: Annotated[str, AfterValidator(_pattern)]
    update_strategy: Strategy
    fleet: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    devices: Annotated[str, AfterValidator(_selector)] | None = None
    """A selector: of those it governs, only devices with such labels; null is all of them."""
    priority: Annotated[int, Field(ge=-1000, le=1000)] = 0
    staged_batches: Annotated[int, Field(ge=1, le=100)] = 3
    stages: Annotated[tuple[StageSettings, ...], Field(max_length=100)] = ()
    batch_delay_minutes: Minutes = 30
    health_check_enabled: bool = True
    soak_minutes: Minutes = 1
    watch_minutes: Minutes = 0
    pickup_minutes: Annotated[Minutes, Field(gt=0)] = 15
    deadline_minutes: Annotated[Minutes, Field(gt=0)] = 30
    step_minutes: Annotated[Minutes, Field(gt=0)] | None = None
    auto_rollback_enabled: bool = True
    rollback_mode: RollbackMode = RollbackMode.ALL
    max_failure_rate: Rate = 0.2
    min_outcomes: Annotated[int, Field(ge=1, le=1_000_000)] = 5
    max_rates: KindRates = KindRates()
    stop_confidence: Annotated[float, Field(ge=0.5, le=0.9999)] | None = None
    retries: RetrySettings = RetrySettings()
    quarantine_after: Annotated[int, Field(ge=1, le=100)] | None = None
    approvals: Annotated[int, Field(ge=0, le=20)] = 0
    approval_deadline_minutes: Annotated[Minutes, Field(gt=0)] | None = None
    pace: PaceSettings = PaceSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    checks: Annotated[tuple[CheckSettings, ...], Field(max_length=20)] = ()
    tags: TagRules = TagRules()
    registry: RegistrySettings = RegistrySettings()
    approved_images_only: bool = False
    provenance: ProvenanceSettings | None = None
    enabled: bool = True

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        named = [bool(stage.canaries) for stage in self.stages]
        if named != sorted(named, reverse=True):
            raise ValueError("stages: those with canaries must come before the others")
        canaries = [uuid for stage in self.stages for uuid in stage.canaries]
        if len(set(canaries)) < len(canaries):
            raise ValueError("stages: a device can be among the canaries once only")
        if self.stages and self.stages[-1].share_percent != 100:
            raise ValueError("stages: the last must have share_percent 100, or some devices would be left out")
        if self.update_strategy is Strategy.SCHEDULED and self.schedule == ScheduleSettings():
            raise ValueError("update_strategy: scheduled needs a schedule with not_before, not_after or windows")
        if self.update_strategy is Strategy.AUTO and self.stages:
            raise ValueError("stages: auto has none; use staged")
        return self

    @model_validator(mode="after")
    def _checks_fit(self) -> Self:
        names = [check.name for check in self.checks]
        if len(names) != len(set(names)):
            raise ValueError("checks: two have the same name")
        if not self.health_check_enabled and any(isinstance(check, HttpCheck | TcpCheck) for check in self.checks):
            raise ValueError("checks: http and tcp are made of healthy devices, and need health_check_enabled")
        if unknown := {name for stage in self.stages for name in stage.checks or ()} - set(names):
            raise ValueError(f"stages: there is no check named “{min(unknown)}”")
        return self

    @property
    def selector(self) -> Selector | None:
        """Which of the devices it governs it is for; None is all of them."""
        return None if self.devices is None else Selector.parse(self.devices)

    def plan(self, *, by_hand: bool = False) -> Plan:
        """The plan of a rollout created now; one that an operator creates need not be started as well."""
        return Plan(
            stages=self._stages(),
            limits=self._limits(self.max_failure_rate, self.min_outcomes),
            pickup=timedelta(minutes=self.pickup_minutes),
            deadline=timedelta(minutes=self.deadline_minutes),
            step=None if self.step_minutes is None else timedelta(minutes=self.step_minutes),
            health_check_enabled=self.health_check_enabled,
            auto_rollback_enabled=self.auto_rollback_enabled,
            only_failed_return=self.auto_rollback_enabled and self.rollback_mode is RollbackMode.FAILED_DEVICES,
            failed_batch_first=self.rollback_mode is RollbackMode.FAILED_BATCH_FIRST,
            watch=timedelta(minutes=self.watch_minutes),
            starts_by_itself=by_hand or self.approvals > 0 or self.update_strategy is not Strategy.MANUAL,
            approvals=self.approvals,
            approval_deadline=None if self.approval_deadline_minutes is None else timedelta(minutes=self.approval_deadline_minutes),
            pace=self.pace.pace(),
            retries=self.retries.retries(),
            quarantine_after=self.quarantine_after,
            schedule=self.schedule.schedule(),
            checks=self.checks,
            tags=self.tags,
        )

    def _stages(self) -> tuple[Stage, ...]:
        if self.stages:
            return tuple(self._stage(stage) for stage in self.stages)
        percents = (100,) if self.update_strategy is Strategy.AUTO else shares(self.staged_batches)
        return tuple(self._stage(StageSettings(share_percent=percent)) for percent in percents)

    def _stage(self, stage: StageSettings) -> Stage:
        delay = self.batch_delay_minutes if stage.delay_minutes is None else stage.delay_minutes
        soak = self.soak_minutes if stage.soak_minutes is None else stage.soak_minutes
        return Stage(
            limits=self._limits(
                self.max_failure_rate if stage.max_failure_rate is None else stage.max_failure_rate, stage.min_outcomes or self.min_outcomes
            ),
            delay=timedelta(minutes=delay),
            soak=timedelta(minutes=soak) if self.health_check_enabled else timedelta(0),
            share=stage.share_percent,
            devices=stage.devices,
            canaries=tuple(map(str, stage.canaries)),
            is_promoted_by_hand=stage.manual_promotion,
            checks=stage.checks,
        )

    def _limits(self, rate: float, min_outcomes: int) -> Limits:
        return Limits(rate, min_outcomes, self.max_rates.by_kind(), self.stop_confidence)


def settings(values: dict[str, object]) -> PolicySettings:
    """Check what an operator asked for; raises BadInput naming each field that is wrong."""
    try:
        return PolicySettings.model_validate(values)
    except ValidationError as invalid:
        wrong = [_wrong(error["loc"], error["msg"]) for error in invalid.errors()]
        problems = [problem for one in wrong for problem in BadInput(one).problems]
        raise BadInput("; ".join(wrong), problems) from invalid


def _wrong(where: tuple[int | str, ...], what: str) -> str:
    """What is wrong, after the name of the field; a rule about several says itself which."""
    # Pydantic names the kind of a check as if that were a field.
    field = ".".join(str(step) for step in where if step not in _KINDS)
    return f"{field}: {_plain(what)}" if field else _plain(what)


_KINDS = frozenset(CheckKind)


def _plain(message: str) -> str:
    return message.removeprefix("Value error, ")
