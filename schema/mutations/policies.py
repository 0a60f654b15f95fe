"""What can be done with policies."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass

import strawberry
from pydantic.alias_generators import to_camel

from domain.errors import BadInput, Problem
from domain.ids import PolicyId
from resolvers import policies
from schema.described import described_like
from schema.enums import RollbackMode, Strategy
from schema.mutations.inputs import ChangeInput, CreateInput
from schema.nodes import number_of
from schema.policies import Policy
from schema.results import mutation
from schema.scalars import ImageReference
from schema.session import Info
from schema.settings import (
    CheckInput,
    KindRatesInput,
    PaceInput,
    ProvenanceInput,
    RegistryRulesInput,
    RetriesInput,
    ScheduleInput,
    StageInput,
    TagRulesInput,
)

_FLEET = "Only devices of this fleet; null is all that no more specific policy governs."


@described_like(Policy)
@strawberry.input(description="A new policy; what is left out has the default shown.")
class CreatePolicyInput(CreateInput):
    image_pattern: str
    update_strategy: Strategy
    fleet: str | None = strawberry.field(description=_FLEET, default=None)
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
        """Every setting, as a plain value."""
        return _plain({name: value for name, value in vars(self).items() if name != "idempotency_key"})


# Strawberry would refuse a null for a field that is none without naming the field; our own check names it.
@described_like(Policy)
@strawberry.input(description="What to change; what is left out stays.")
class UpdatePolicyInput(ChangeInput):
    image_pattern: strawberry.Maybe[str | None]
    update_strategy: strawberry.Maybe[Strategy | None]
    fleet: strawberry.Maybe[str | None] = strawberry.field(description=_FLEET)
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
        """The settings that were given."""
        given = {name: value for name, value in vars(self).items() if value is not None and name not in ("id", "expected_version")}
        return _plain({name: value.value for name, value in given.items()})


@strawberry.input(description="Which policy is to act on pushes.")
class EnablePolicyInput(ChangeInput):
    pass


@strawberry.input(description="Which policy is to leave pushes alone.")
class DisablePolicyInput(ChangeInput):
    pass


@strawberry.input(description="Which policy to take away.")
class DeletePolicyInput(ChangeInput):
    pass


@strawberry.input(description="Which release may be rolled out again.")
class UnblockReleaseInput(ChangeInput):
    id: strawberry.ID = strawberry.field(description="The policy under which it was rolled back.")
    image: ImageReference = strawberry.field(description="The release, by its digest or its tag.")


@strawberry.type
class _PolicyPayload:
    policy: Policy = strawberry.field(description="The policy as it is now.")


@strawberry.type(description="What was made.")
class CreatePolicyPayload(_PolicyPayload):
    pass


@strawberry.type(description="What became of it.")
class UpdatePolicyPayload(_PolicyPayload):
    pass


@strawberry.type(description="What became of it.")
class EnablePolicyPayload(_PolicyPayload):
    pass


@strawberry.type(description="What became of it.")
class DisablePolicyPayload(_PolicyPayload):
    pass


@strawberry.type(description="What was taken away.")
class DeletePolicyPayload(_PolicyPayload):
    pass


@strawberry.type(description="What became of it.")
class UnblockReleasePayload(_PolicyPayload):
    was_blocked: bool = strawberry.field(description="Whether there was anything to do.")


@strawberry.type
class PolicyMutation:
    @mutation("Make a policy.")
    async def create_policy(self, info: Info, input: CreatePolicyInput) -> CreatePolicyPayload:  # noqa: A002
        with fields_as_written():
            made = await policies.create(info.context.ctx, input.values(), idempotency_key=input.idempotency_key)
        return CreatePolicyPayload(policy=Policy.of(made))

    @mutation("Change a policy; rollouts under way keep the plan they started with.")
    async def update_policy(self, info: Info, input: UpdatePolicyInput) -> UpdatePolicyPayload:  # noqa: A002
        with fields_as_written():
            changed = await policies.update(info.context.ctx, _policy(input), input.changes(), expected_version=input.expected_version)
        return UpdatePolicyPayload(policy=Policy.of(changed))

    @mutation("Let a policy act on pushes.")
    async def enable_policy(self, info: Info, input: EnablePolicyInput) -> EnablePolicyPayload:  # noqa: A002
        return EnablePolicyPayload(policy=await _set_enabled(info, input, enabled=True))

    @mutation("Keep a policy from acting on pushes; its rollouts go on.")
    async def disable_policy(self, info: Info, input: DisablePolicyInput) -> DisablePolicyPayload:  # noqa: A002
        return DisablePolicyPayload(policy=await _set_enabled(info, input, enabled=False))

    @mutation("Take a policy away; its rollouts go on, and stay in the history.")
    async def delete_policy(self, info: Info, input: DeletePolicyInput) -> DeletePolicyPayload:  # noqa: A002
        deleted = await policies.delete(info.context.ctx, _policy(input), expected_version=input.expected_version)
        return DeletePolicyPayload(policy=Policy.of(deleted))

    @mutation("Let a release that was rolled back be rolled out again.")
    async def unblock_release(self, info: Info, input: UnblockReleaseInput) -> UnblockReleasePayload:  # noqa: A002
        policy = _policy(input)
        was_blocked = await policies.unblock(info.context.ctx, policy, input.image, expected_version=input.expected_version)
        found = await info.context.load(policies.many, policy)
        assert found is not None, "a policy keeps its row"
        return UnblockReleasePayload(policy=Policy.of(found), was_blocked=was_blocked)


async def _set_enabled(info: Info, asked: ChangeInput, *, enabled: bool) -> Policy:
    changed = await policies.set_enabled(info.context.ctx, _policy(asked), enabled, expected_version=asked.expected_version)
    return Policy.of(changed)


def _policy(asked: ChangeInput) -> PolicyId:
    return PolicyId(number_of(asked.id, "Policy"))


@contextmanager
def fields_as_written() -> Iterator[None]:
    """Refusals name a policy's fields as GraphQL spells them; what the client wrote itself stays as it is."""
    try:
        yield
    except BadInput as bad:
        problems = [Problem(tuple(map(to_camel, problem.path)), _all_as_written(problem.message)) for problem in bad.problems]
        raise BadInput(_all_as_written(str(bad)), problems) from bad


def _all_as_written(sentence: str) -> str:
    return re.sub(r"“[^”]*”|\b[a-z]+(?:_[a-z]+)+\b", lambda found: _as_written(found[0]), sentence)


def _as_written(text: str) -> str:
    return text if text.startswith("“") else to_camel(text)


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
