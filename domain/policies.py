"""Which pushes are acted on, and for which devices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.ids import PolicyId
from domain.images import Image, Pattern
from domain.selectors import Selector
from domain.settings import PolicySettings


@dataclass(frozen=True, slots=True)
class Policy:
    """Settings with an identity."""

    id: PolicyId
    settings: PolicySettings
    created_at: datetime
    updated_at: datetime
    deleted_at: datetime | None = None
    version: int = 1


@dataclass(frozen=True, slots=True)
class PolicyFilter:
    """What policies must have in common; None asks nothing."""

    enabled: bool | None = None
    fleet: str | None = None
    search: str | None = None
    """In the pattern, whatever the case."""
    deleted: bool | None = False


@dataclass(frozen=True, slots=True)
class Scope:
    """The devices a policy is for, for one push: of one fleet, or of all but some; of these, perhaps, those with certain labels only."""

    policy: Policy
    fleet: str | None
    except_fleets: tuple[str, ...]
    selector: Selector | None


def matching(policies: Sequence[Policy], image: Image) -> list[Policy]:
    """The enabled policies whose pattern matches: higher priority first, then bound to a fleet, then longer pattern, then older."""
    found = [policy for policy in policies if policy.settings.enabled and Pattern.parse(policy.settings.image_pattern).matches(image)]
    return sorted(
        found, key=lambda policy: (-policy.settings.priority, policy.settings.fleet is None, -len(policy.settings.image_pattern), policy.id)
    )


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
    return Scope(policy, fleet, tuple(sorted(others)) if fleet is None else (), policy.settings.selector)
