"""Which pushes are acted on, for which devices, and how carefully."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from domain.errors import BadInput
from domain.ids import PolicyId
from domain.images import Image, Pattern
from domain.plans import Plan, shares


class Strategy(StrEnum):
    """Who gets a new image first, and whether anybody is asked."""

    AUTO = "auto"
    STAGED = "staged"
    MANUAL = "manual"
    SCHEDULED = "scheduled"


def _pattern(text: str) -> str:
    try:
        return Pattern.parse(text).text
    except BadInput as bad:
        raise ValueError(str(bad)) from bad


def _available(strategy: Strategy) -> Strategy:
    if strategy is Strategy.SCHEDULED:
        raise ValueError("“scheduled” is not available yet; use auto, staged or manual")
    return strategy


Minutes = Annotated[float, Field(ge=0, le=60 * 24 * 365, allow_inf_nan=False)]


class PolicySettings(BaseModel):
    """What an operator decides about a policy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image_pattern: Annotated[str, AfterValidator(_pattern)]
    update_strategy: Annotated[Strategy, AfterValidator(_available)]
    fleet: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    staged_batches: Annotated[int, Field(ge=1, le=100)] = 3
    batch_delay_minutes: Minutes = 30
    health_check_enabled: bool = True
    soak_minutes: Minutes = 1
    pickup_minutes: Minutes = 15
    deadline_minutes: Annotated[Minutes, Field(gt=0)] = 30
    auto_rollback_enabled: bool = True
    max_failure_rate: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.2
    min_outcomes: Annotated[int, Field(ge=1, le=1_000_000)] = 5
    enabled: bool = True

    def plan(self) -> Plan:
        """The plan of a rollout created now."""
        return Plan(
            shares=(100,) if self.update_strategy is Strategy.AUTO else shares(self.staged_batches),
            delay=timedelta(minutes=self.batch_delay_minutes),
            soak=timedelta(minutes=self.soak_minutes) if self.health_check_enabled else timedelta(0),
            pickup=timedelta(minutes=self.pickup_minutes),
            deadline=timedelta(minutes=self.deadline_minutes),
            max_failure_rate=self.max_failure_rate,
            min_outcomes=self.min_outcomes,
            health_check_enabled=self.health_check_enabled,
            auto_rollback_enabled=self.auto_rollback_enabled,
            starts_by_itself=self.update_strategy is not Strategy.MANUAL,
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings with an identity."""

    id: PolicyId
    settings: PolicySettings
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """The devices a policy governs for one push: of one fleet, or of all but some."""

    policy: Policy
    fleet: str | None
    except_fleets: tuple[str, ...]


def settings(values: dict[str, object]) -> PolicySettings:
    """Check what an operator asked for; raises BadInput naming each field that is wrong."""
    try:
        return PolicySettings.model_validate(values)
    except ValidationError as invalid:
        wrong = [f"{'.'.join(map(str, error['loc']))}: {error['msg'].removeprefix('Value error, ')}" for error in invalid.errors()]
        raise BadInput("; ".join(wrong)) from invalid


def matching(policies: Sequence[Policy], image: Image) -> list[Policy]:
    """The enabled policies whose pattern matches, most specific first: bound to a fleet, then longer pattern, then older."""
    found = [policy for policy in policies if policy.settings.enabled and Pattern.parse(policy.settings.image_pattern).matches(image)]
    return sorted(found, key=lambda policy: (policy.settings.fleet is None, -len(policy.settings.image_pattern), policy.id))


def scopes(policies: Sequence[Policy], image: Image) -> list[Scope]:
    """Who governs which devices for this image: a device obeys the most specific policy that matches, and no other."""
    found, first = matching(policies, image), dict[str | None, Policy]()
    for policy in found:
        first.setdefault(policy.settings.fleet, policy)
    return [_scope(policy, found) for policy in first.values()]


def scope_by_hand(policy: Policy, policies: Sequence[Policy], image: Image) -> Scope:
    """Whom a policy governs when an operator names it: also when it is disabled, or another one would act on a push."""
    return _scope(policy, matching(policies, image))


def _scope(policy: Policy, found: Sequence[Policy]) -> Scope:
    """A policy for everybody leaves out the fleets that have a policy of their own."""
    fleet = policy.settings.fleet
    others = {other.settings.fleet for other in found if other.settings.fleet is not None}
    return Scope(policy, fleet, tuple(sorted(others)) if fleet is None else ())
