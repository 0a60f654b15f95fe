"""Policies, as a client sees them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry

from domain import policies as domain
from domain import tags as domain_tags
from domain.audit import Subject
from domain.ids import PolicyId, RolloutId
from domain.settings import PaceSettings, ScheduleSettings
from resolvers import policies, rollouts
from schema.arguments import WHICH, ById, ByNumber, Statuses, each_once
from schema.audit import AuditEntry, trail
from schema.enums import RollbackMode, Status, Strategy, SubjectKind
from schema.nodes import Node, node_id, number_asked
from schema.paging import DEFAULT, After, Connection, First, Key, numbered, paged
from schema.session import Info
from schema.settings import (
    Check,
    KindRates,
    LabelCap,
    Pace,
    Provenance,
    Ramp,
    RegistryRules,
    Retries,
    Schedule,
    Stage,
    TagRules,
    Window,
)

if TYPE_CHECKING:
    from schema.fleets import Fleet
    from schema.rollouts import Rollout


@strawberry.type(description="Which pushed images are rolled out, to which devices, and how carefully.")
class Policy(Node):
    number: int = strawberry.field(description="What people call it by: policies are counted from 1.")
    version: int = strawberry.field(description="Rises with every change; `expectedVersion` is compared with it.")
    image_pattern: str = strawberry.field(
        description="An anchored glob over repository and, after a colon, tag: `*` stays within one path component, `**` crosses them."
    )
    update_strategy: Strategy = strawberry.field(description="Everybody at once, in batches, or in batches once an operator starts it.")
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
    key: strawberry.Private[PolicyId]
    fleet_name: strawberry.Private[str | None]

    @classmethod
    def of(cls, policy: domain.Policy) -> Self:
        settings = policy.settings
        nested = {
            "stages": [Stage(**stage.model_dump()) for stage in settings.stages],
            "max_rates": KindRates(**settings.max_rates.model_dump()),
            "retries": Retries(**settings.retries.model_dump()),
            "pace": _pace(settings.pace),
            "schedule": _schedule(settings.schedule),
            "checks": [Check.of(check) for check in settings.checks],
            "tags": _tags(settings.tags),
            "provenance": settings.provenance and Provenance(**settings.provenance.model_dump()),
            "registry": RegistryRules(**settings.registry.model_dump()),
        }
        return cls(
            id=node_id("Policy", policy.id),
            number=policy.id,
            version=policy.version,
            key=policy.id,
            fleet_name=settings.fleet,
            created_at=policy.created_at,
            updated_at=policy.updated_at,
            deleted_at=policy.deleted_at,
            **settings.model_dump(exclude={*nested, "fleet"}) | nested,
        )

    @strawberry.field(description="Only devices of this fleet; null is all that no more specific policy governs.")
    def fleet(self) -> Annotated["Fleet", strawberry.lazy("schema.fleets")] | None:
        from schema.fleets import Fleet

        return None if self.fleet_name is None else Fleet.of(self.fleet_name)

    @strawberry.field(description="Its rollouts, newest first.")
    async def rollouts(
        self, info: Info, first: First = DEFAULT, after: After = None, status: Statuses = None
    ) -> Connection[Annotated["Rollout", strawberry.lazy("schema.rollouts")]]:
        from schema.rollouts import BY_NUMBER, Rollout

        statuses = each_once(Status, status)

        async def read(before: int, limit: int) -> Any:
            return await info.context.load(rollouts.of_policies, self.key, RolloutId(before), limit, statuses)

        async def count() -> int:
            return await info.context.load(rollouts.counts_of_policies, self.key, statuses) or 0

        return await paged(first, after, BY_NUMBER, read, Rollout.of, count)

    @strawberry.field(description="What operators did with it, newest first. For administrators.")
    async def audit(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[AuditEntry]:
        return await trail(info, Subject(SubjectKind.POLICY, str(self.key)), first, after)


@strawberry.input(description="Which policies are meant; what is left out asks nothing.")
class PolicyFilterInput:
    enabled: bool | None = strawberry.field(description="Whether they act on pushes.", default=None)
    fleet: str | None = strawberry.field(description="For this fleet alone.", default=None)
    search: str | None = strawberry.field(description="With this in their pattern, whatever the case.", default=None)
    deleted: bool | None = strawberry.field(description="Those that were taken away, or those that were not; null is both.", default=False)

    def wanted(self) -> domain.PolicyFilter:
        return domain.PolicyFilter(enabled=self.enabled, fleet=self.fleet, search=self.search, deleted=self.deleted)


IN_ORDER: Key[domain.Policy, int] = numbered(0, lambda policy: policy.id)


@strawberry.type
class PolicyQuery:
    @strawberry.field(description="One policy, by its id or its number.")
    async def policy(self, info: Info, id: ById = None, number: ByNumber = None) -> Policy | None:  # noqa: A002 – GraphQL's word
        found = await info.context.load(policies.many, PolicyId(number_asked("Policy", id, number)))
        return None if found is None else Policy.of(found)

    @strawberry.field(description="Policies, in the order they were made.")
    async def policies(
        self,
        info: Info,
        first: First = DEFAULT,
        after: After = None,
        filter: Annotated[PolicyFilterInput | None, WHICH] = None,  # noqa: A002
    ) -> Connection[Policy]:
        wanted = (filter or PolicyFilterInput()).wanted()

        async def read(place: int, limit: int) -> Any:
            return await policies.page(info.context.ctx, PolicyId(place), limit, wanted)

        async def count() -> int:
            return await policies.count(info.context.ctx, wanted)

        return await paged(first, after, IN_ORDER, read, Policy.of, count)


def _pace(pace: PaceSettings) -> Pace:
    ramp, cap = pace.ramp, pace.max_in_flight_per_label
    return Pace(
        devices_per_minute=pace.devices_per_minute,
        ramp=None if ramp is None else Ramp(**ramp.model_dump()),
        max_in_flight=pace.max_in_flight,
        max_in_flight_per_label=None if cap is None else LabelCap(**cap.model_dump()),
    )


def _schedule(schedule: ScheduleSettings) -> Schedule:
    windows = [Window(**window.model_dump()) for window in schedule.windows]
    return Schedule(**schedule.model_dump(exclude={"windows"}), windows=windows)


def _tags(rules: domain_tags.TagRules) -> TagRules:
    lists = {"include": list(rules.include), "exclude": list(rules.exclude), "moving": list(rules.moving)}
    return TagRules(**rules.model_dump() | lists)
