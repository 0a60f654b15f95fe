"""Policies, as a client sees them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry
from pydantic.alias_generators import to_camel

from domain import policies as domain
from domain import tags as domain_tags
from domain.checks import CheckSettings
from domain.errors import BadInput
from domain.ids import PolicyId, RolloutId
from domain.rollouts import RolloutFilter
from domain.settings import PaceSettings, ScheduleSettings
from resolvers import rollouts
from schema.enums import RollbackMode, Strategy
from schema.paging import DEFAULT, Connection, paged
from schema.session import Info
from schema.settings import (
    Check,
    CheckInput,
    KindRates,
    KindRatesInput,
    LabelCap,
    Pace,
    PaceInput,
    Provenance,
    ProvenanceInput,
    Ramp,
    RegistryRules,
    RegistryRulesInput,
    Retries,
    RetriesInput,
    Schedule,
    ScheduleInput,
    Stage,
    StageInput,
    TagRules,
    TagRulesInput,
    Window,
)

if TYPE_CHECKING:
    from schema.rollouts import Rollout


@strawberry.type(description="Which pushed images are rolled out, to which devices, and how carefully.")
class Policy:
    id: strawberry.ID = strawberry.field(description="Names this policy in every other call.")
    image_pattern: str = strawberry.field(
        description="An anchored glob over repository and, after a colon, tag: `*` stays within one path component, `**` crosses them."
    )
    update_strategy: Strategy = strawberry.field(description="Everybody at once, in batches, or in batches once an operator starts it.")
    fleet: str | None = strawberry.field(description="Only devices of this fleet; null is all that no more specific policy governs.")
    devices: str | None = strawberry.field(
        description="A selector, such as `site=berlin, tier in (edge, lab), !frozen`: of the devices it governs only those with such "
        "labels, and the others get nothing; null is all of them."
    )
    priority: int = strawberry.field(description="Of two policies for a device the one with the higher governs it.")
    staged_batches: int = strawberry.field(description="How many batches; 3 is 10 %, 50 % and 100 % of the devices.")
    stages: list[Stage] = strawberry.field(description="The batches one by one, in the place of stagedBatches.")
    batch_delay_minutes: float = strawberry.field(description="From a batch having proved itself until the next one opens.")
    health_check_enabled: bool = strawberry.field(description="Whether a device must run the image, healthy, for the soak time.")
    soak_minutes: float = strawberry.field(description="How long that is.")
    watch_minutes: float = strawberry.field(description="After the last batch: a device that falls back meanwhile still counts.")
    pickup_minutes: float = strawberry.field(description="How long a batch waits for a device to poll before another takes its place.")
    deadline_minutes: float = strawberry.field(
        description="How long a device that took the image may stay silent before it counts as failed."
    )
    step_minutes: float | None = strawberry.field(description="The same from its last sign of progress, whichever is over first.")
    auto_rollback_enabled: bool = strawberry.field(description="Whether too many failures roll everybody back; otherwise they pause.")
    rollback_mode: RollbackMode = strawberry.field(description="Everybody; everybody, the failed batch first; or failed devices alone.")
    max_failure_rate: float = strawberry.field(description="Failed / (running + failed) above this stops the rollout; 0 to 1.")
    min_outcomes: int = strawberry.field(description="How many outcomes it takes to stop while others are still expected.")
    max_rates: KindRates = strawberry.field(description="Limits for kinds of failure.")
    stop_confidence: float | None = strawberry.field(
        description="While others are expected, stop on proof instead: when it is this sure (0.5 to 0.9999) that the true rate is too high."
    )
    retries: Retries = strawberry.field(description="Who is offered the image again after a failure.")
    quarantine_after: int | None = strawberry.field(description="A device that failed in so many rollouts in a row is set aside.")
    approvals: int = strawberry.field(description="How many operators must approve a rollout before it starts.")
    approval_deadline_minutes: float | None = strawberry.field(description="A rollout that nobody decided on by then is cancelled.")
    pace: Pace = strawberry.field(description="How fast devices are let in.")
    schedule: Schedule = strawberry.field(description="When devices may be offered the image.")
    checks: list[Check] = strawberry.field(description="What the server looks at from outside.")
    tags: TagRules = strawberry.field(description="Which tags are taken, and which of two is the newer.")
    registry: RegistryRules = strawberry.field(description="What the registry is asked, and what its answers decide.")
    approved_images_only: bool = strawberry.field(description="Whether only images that an operator approved are rolled out.")
    provenance: Provenance | None = strawberry.field(description="What an image must come with; null is nothing.")
    enabled: bool = strawberry.field(description="Whether pushes are acted on.")
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    deleted_at: datetime | None = strawberry.field(description="When it was taken away; its rollouts still point at it.")

    @classmethod
    def of(cls, policy: domain.Policy) -> Self:
        settings = policy.settings
        nested = {
            "stages": [Stage(**stage.model_dump()) for stage in settings.stages],
            "max_rates": KindRates(**settings.max_rates.model_dump()),
            "retries": Retries(**settings.retries.model_dump()),
            "pace": _pace(settings.pace),
            "schedule": _schedule(settings.schedule),
            "checks": [_check(check) for check in settings.checks],
            "tags": _tags(settings.tags),
            "provenance": settings.provenance and Provenance(**settings.provenance.model_dump()),
            "registry": RegistryRules(**settings.registry.model_dump()),
        }
        return cls(
            id=strawberry.ID(str(policy.id)),
            created_at=policy.created_at,
            updated_at=policy.updated_at,
            deleted_at=policy.deleted_at,
            **settings.model_dump(exclude=set(nested)) | nested,
        )

    @strawberry.field(description="Its rollouts, newest first.")
    async def rollouts(
        self, info: Info, first: int = DEFAULT, after: str | None = None
    ) -> Connection[Annotated["Rollout", strawberry.lazy("schema.rollouts")]]:
        from schema.rollouts import Rollout

        async def read(before: int, limit: int) -> Any:
            return await rollouts.page(info.context.ctx, RolloutId(before), limit, RolloutFilter(policy=PolicyId(int(self.id))))

        return await paged(first, after, 2**62, read, lambda row: row.id, Rollout.of)


@contextmanager
def fields_as_written() -> Iterator[None]:
    """Refusals name a policy's fields as GraphQL spells them; what the client wrote itself stays as it is."""
    try:
        yield
    except BadInput as bad:
        raise BadInput(re.sub(r"“[^”]*”|\b[a-z]+(?:_[a-z]+)+\b", lambda found: _as_written(found[0]), str(bad))) from bad


def _as_written(text: str) -> str:
    return text if text.startswith("“") else to_camel(text)


def _pace(pace: PaceSettings) -> Pace:
    ramp, cap = pace.ramp, pace.max_in_flight_per_label
    return Pace(
        devices_per_minute=pace.devices_per_minute,
        ramp=None if ramp is None else Ramp(**ramp.model_dump()),
        max_in_flight=pace.max_in_flight,
        max_in_flight_per_label=None if cap is None else LabelCap(**cap.model_dump()),
    )


def _check(check: CheckSettings) -> Check:
    nothing: dict[str, Any] = {field.name: None for field in fields(Check)}
    return Check(**nothing | check.model_dump())


def _schedule(schedule: ScheduleSettings) -> Schedule:
    windows = [Window(**window.model_dump()) for window in schedule.windows]
    return Schedule(**schedule.model_dump(exclude={"windows"}), windows=windows)


def _tags(rules: domain_tags.TagRules) -> TagRules:
    lists = {"include": list(rules.include), "exclude": list(rules.exclude), "moving": list(rules.moving)}
    return TagRules(**rules.model_dump() | lists)


@strawberry.input(description="A new policy; what is left out has the default shown.")
class CreatePolicyInput:
    image_pattern: str
    update_strategy: Strategy
    fleet: str | None = None
    devices: str | None = None
    priority: int = 0
    staged_batches: int = 3
    stages: list[StageInput] = strawberry.field(default_factory=list)
    batch_delay_minutes: float = 30
    health_check_enabled: bool = True
    soak_minutes: float = 1
    watch_minutes: float = 0
    pickup_minutes: float = 15
    deadline_minutes: float = 30
    step_minutes: float | None = None
    auto_rollback_enabled: bool = True
    rollback_mode: RollbackMode = RollbackMode.ALL
    max_failure_rate: float = 0.2
    min_outcomes: int = 5
    max_rates: KindRatesInput | None = None
    stop_confidence: float | None = None
    retries: RetriesInput | None = None
    quarantine_after: int | None = None
    approvals: int = 0
    approval_deadline_minutes: float | None = None
    pace: PaceInput | None = None
    schedule: ScheduleInput | None = None
    checks: list[CheckInput] = strawberry.field(default_factory=list)
    tags: TagRulesInput | None = None
    registry: RegistryRulesInput | None = None
    approved_images_only: bool = False
    provenance: ProvenanceInput | None = None
    enabled: bool = True

    def values(self) -> dict[str, object]:
        """Every field, as a plain value."""
        return _plain(vars(self))


# Strawberry would refuse a null for a field that is none without naming the field; our own check names it.
@strawberry.input(description="What to change; what is left out stays.")
class UpdatePolicyInput:
    image_pattern: strawberry.Maybe[str | None]
    update_strategy: strawberry.Maybe[Strategy | None]
    fleet: strawberry.Maybe[str | None]
    devices: strawberry.Maybe[str | None]
    priority: strawberry.Maybe[int | None]
    staged_batches: strawberry.Maybe[int | None]
    stages: strawberry.Maybe[list[StageInput] | None]
    batch_delay_minutes: strawberry.Maybe[float | None]
    health_check_enabled: strawberry.Maybe[bool | None]
    soak_minutes: strawberry.Maybe[float | None]
    watch_minutes: strawberry.Maybe[float | None]
    pickup_minutes: strawberry.Maybe[float | None]
    deadline_minutes: strawberry.Maybe[float | None]
    step_minutes: strawberry.Maybe[float | None]
    auto_rollback_enabled: strawberry.Maybe[bool | None]
    rollback_mode: strawberry.Maybe[RollbackMode | None]
    max_failure_rate: strawberry.Maybe[float | None]
    min_outcomes: strawberry.Maybe[int | None]
    max_rates: strawberry.Maybe[KindRatesInput | None]
    stop_confidence: strawberry.Maybe[float | None]
    retries: strawberry.Maybe[RetriesInput | None]
    quarantine_after: strawberry.Maybe[int | None]
    approvals: strawberry.Maybe[int | None]
    approval_deadline_minutes: strawberry.Maybe[float | None]
    pace: strawberry.Maybe[PaceInput | None]
    schedule: strawberry.Maybe[ScheduleInput | None]
    checks: strawberry.Maybe[list[CheckInput] | None]
    tags: strawberry.Maybe[TagRulesInput | None]
    registry: strawberry.Maybe[RegistryRulesInput | None]
    approved_images_only: strawberry.Maybe[bool | None]
    provenance: strawberry.Maybe[ProvenanceInput | None]
    enabled: strawberry.Maybe[bool | None]

    def changes(self) -> dict[str, object]:
        """The fields that were given."""
        return _plain({name: given.value for name, given in vars(self).items() if given is not None})


def _plain(values: dict[str, object]) -> dict[str, object]:
    """Inputs as plain values; null in the place of a group of settings makes them all what they are by default."""
    return {name: _DEFAULTS.get(name) if value is None else _as_plain(value) for name, value in values.items()}


def _as_plain(value: object) -> object:
    if isinstance(value, list):
        return [_as_plain(one) for one in value]
    if isinstance(value, CheckInput):  # each kind has fields of its own, and refuses the others
        return {name: given for name, given in asdict(value).items() if given is not None}
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value


_DEFAULTS: dict[str, object] = {
    "stages": (), "max_rates": {}, "retries": {}, "pace": {}, "schedule": {}, "checks": (), "tags": {}, "registry": {},
}  # fmt: skip
