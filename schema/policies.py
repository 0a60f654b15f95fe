"""Policies, as a client sees them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry
from pydantic.alias_generators import to_camel

from domain import policies as domain
from domain.errors import BadInput
from domain.ids import PolicyId, RolloutId
from resolvers import rollouts
from schema.enums import Strategy
from schema.paging import DEFAULT, Connection, paged
from schema.session import Info

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
    staged_batches: int = strawberry.field(description="How many batches; 3 is 10 %, 50 % and 100 % of the devices.")
    batch_delay_minutes: float = strawberry.field(description="From a batch having proved itself until the next one opens.")
    health_check_enabled: bool = strawberry.field(description="Whether a device must run the image, healthy, for the soak time.")
    soak_minutes: float = strawberry.field(description="How long that is.")
    pickup_minutes: float = strawberry.field(description="How long a batch waits for a device to poll before another takes its place.")
    deadline_minutes: float = strawberry.field(
        description="How long a device that took the image may stay silent before it counts as failed."
    )
    auto_rollback_enabled: bool = strawberry.field(description="Whether too many failures roll everybody back; otherwise they pause.")
    max_failure_rate: float = strawberry.field(description="Failed / (running + failed) above this stops the rollout; 0 to 1.")
    min_outcomes: int = strawberry.field(description="How many outcomes it takes to stop while others are still expected.")
    enabled: bool = strawberry.field(description="Whether pushes are acted on.")
    created_at: datetime = strawberry.field(description="When it was made.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    deleted_at: datetime | None = strawberry.field(description="When it was taken away; its rollouts still point at it.")

    @classmethod
    def of(cls, policy: domain.Policy) -> Self:
        values = policy.settings.model_dump()
        return cls(
            id=strawberry.ID(str(policy.id)),
            created_at=policy.created_at,
            updated_at=policy.updated_at,
            deleted_at=policy.deleted_at,
            **values,
        )

    @strawberry.field(description="Its rollouts, newest first.")
    async def rollouts(
        self, info: Info, first: int = DEFAULT, after: str | None = None
    ) -> Connection[Annotated["Rollout", strawberry.lazy("schema.rollouts")]]:
        from schema.rollouts import Rollout

        async def read(before: int, limit: int) -> Any:
            return await rollouts.page(info.context.ctx, RolloutId(before), limit, policy=PolicyId(int(self.id)))

        return await paged(first, after, 2**62, read, lambda row: row.id, Rollout.of)


@contextmanager
def fields_as_written() -> Iterator[None]:
    """Refusals name a policy's fields as GraphQL spells them."""
    try:
        yield
    except BadInput as bad:
        raise BadInput(re.sub(r"(^|; )([a-z_]+)(?=: )", lambda field: field[1] + to_camel(field[2]), str(bad))) from bad


@strawberry.input(description="A new policy; what is left out has the default shown.")
class CreatePolicyInput:
    image_pattern: str
    update_strategy: Strategy
    fleet: str | None = None
    staged_batches: int = 3
    batch_delay_minutes: float = 30
    health_check_enabled: bool = True
    soak_minutes: float = 1
    pickup_minutes: float = 15
    deadline_minutes: float = 30
    auto_rollback_enabled: bool = True
    max_failure_rate: float = 0.2
    min_outcomes: int = 5
    enabled: bool = True


# Strawberry would refuse a null for a field that is none without naming the field; our own check names it.
@strawberry.input(description="What to change; what is left out stays.")
class UpdatePolicyInput:
    image_pattern: strawberry.Maybe[str | None]
    update_strategy: strawberry.Maybe[Strategy | None]
    fleet: strawberry.Maybe[str | None]
    staged_batches: strawberry.Maybe[int | None]
    batch_delay_minutes: strawberry.Maybe[float | None]
    health_check_enabled: strawberry.Maybe[bool | None]
    soak_minutes: strawberry.Maybe[float | None]
    pickup_minutes: strawberry.Maybe[float | None]
    deadline_minutes: strawberry.Maybe[float | None]
    auto_rollback_enabled: strawberry.Maybe[bool | None]
    max_failure_rate: strawberry.Maybe[float | None]
    min_outcomes: strawberry.Maybe[int | None]
    enabled: strawberry.Maybe[bool | None]

    def changes(self) -> dict[str, object]:
        """The fields that were given."""
        return {name: given.value for name, given in vars(self).items() if given is not None}
