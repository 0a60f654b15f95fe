"""What senders posted, and what came of it, as a client sees it."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry
from strawberry.scalars import JSON

from domain import deliveries as of_deliveries
from domain import pushes as domain
from domain.ids import DeliveryId, EndpointId, PolicyId, PushId, RolloutId
from resolvers import endpoints, policies, pushes, rollouts
from schema.session import Info

if TYPE_CHECKING:
    from schema.endpoints import WebhookEndpoint
    from schema.policies import Policy
    from schema.rollouts import Rollout


@strawberry.type(description="What was decided about a pushed image under one policy.")
class PushDecision:
    image: str = strawberry.field(description="The image, with its digest if that was known.")
    policy_id: strawberry.ID | None = strawberry.field(description="Under which policy; null when none matched.")
    rollout_id: strawberry.ID | None = strawberry.field(description="The rollout that it started, or belongs to.")
    started: bool = strawberry.field(description="Whether it started that rollout.")
    decision: str = strawberry.field(description="What was decided, and why.")
    at: datetime = strawberry.field(description="When.")

    @classmethod
    def of(cls, decision: domain.Decision, at: datetime) -> Self:
        return cls(
            image=str(decision.image),
            policy_id=None if decision.policy_id is None else strawberry.ID(str(decision.policy_id)),
            rollout_id=None if decision.rollout_id is None else strawberry.ID(str(decision.rollout_id)),
            started=decision.started,
            decision=decision.decision,
            at=at,
        )

    @strawberry.field(description="The policy.")
    async def policy(self, info: Info) -> Annotated["Policy", strawberry.lazy("schema.policies")] | None:
        from schema.policies import Policy

        found = self.policy_id and await policies.one(info.context.ctx, PolicyId(int(self.policy_id)))
        return Policy.of(found) if found else None

    @strawberry.field(description="The rollout.")
    async def rollout(self, info: Info) -> Annotated["Rollout", strawberry.lazy("schema.rollouts")] | None:
        from schema.rollouts import Rollout

        found = self.rollout_id and await rollouts.one(info.context.ctx, RolloutId(int(self.rollout_id)))
        return Rollout.of(found) if found else None


@strawberry.type(description="An image that a sender, or its registry when it was asked, says was pushed.")
class Push:
    id: strawberry.ID = strawberry.field(description="Names this push.")
    source: str = strawberry.field(description="Who says so: a sender, or polling.")
    image: str = strawberry.field(description="The image as it was told.")
    resolved: str | None = strawberry.field(description="The same with the digest that its registry gave.")
    heard_at: datetime = strawberry.field(description="When it was told last.")
    waits_for: str | None = strawberry.field(description="What it waits for, policy by policy; null when it does not wait.")
    due_at: datetime | None = strawberry.field(description="When it is looked at next; null once everything is decided.")

    @classmethod
    def of(cls, push: domain.Push) -> Self:
        return cls(
            id=strawberry.ID(str(push.id)),
            source=push.source,
            image=str(push.image),
            resolved=None if push.resolved is None else str(push.resolved),
            heard_at=push.heard_at,
            waits_for=push.waits_for,
            due_at=push.due_at,
        )

    @strawberry.field(description="What was decided, first to last.")
    async def decisions(self, info: Info) -> list[PushDecision]:
        return [PushDecision.of(decision, at) for decision, at in await pushes.decisions(info.context.ctx, PushId(int(self.id)))]


@strawberry.type(description="A webhook that told of images, kept as it was posted; one that was posted several times is one.")
class Delivery:
    id: strawberry.ID = strawberry.field(description="Names this delivery.")
    sender: str = strawberry.field(description="Who posted it.")
    key: str = strawberry.field(description="The sender's own id for it, or a hash of the body: what tells it from another.")
    received_at: datetime = strawberry.field(description="When it came first.")
    last_at: datetime = strawberry.field(description="When it came last.")
    times: int = strawberry.field(description="How often it was posted.")
    headers: JSON = strawberry.field(description="Its headers that tell what it is.")
    body: str = strawberry.field(description="Its body, as text.")
    endpoint_id: strawberry.ID | None = strawberry.field(
        description="The endpoint it was posted to; null is the address all senders share."
    )

    @classmethod
    def of(cls, delivery: of_deliveries.Delivery) -> Self:
        return cls(
            id=strawberry.ID(str(delivery.id)),
            sender=delivery.sender,
            key=delivery.key,
            received_at=delivery.received_at,
            last_at=delivery.last_at,
            times=delivery.times,
            headers=JSON(delivery.headers),
            body=delivery.body.decode(errors="replace"),
            endpoint_id=None if delivery.endpoint_id is None else strawberry.ID(str(delivery.endpoint_id)),
        )

    @strawberry.field(description="The images it told of, and what came of each.")
    async def pushes(self, info: Info) -> list[Push]:
        return [Push.of(push) for push in await pushes.of_delivery(info.context.ctx, DeliveryId(int(self.id)))]

    @strawberry.field(description="The endpoint it was posted to, unless that was deleted.")
    async def endpoint(self, info: Info) -> Annotated["WebhookEndpoint", strawberry.lazy("schema.endpoints")] | None:
        from schema.endpoints import WebhookEndpoint

        found = self.endpoint_id and await endpoints.one(info.context.ctx, EndpointId(int(self.endpoint_id)))
        return WebhookEndpoint.of(found) if found else None
