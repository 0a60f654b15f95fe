"""What senders posted, and what came of it, as a client sees it."""

from collections.abc import AsyncIterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry
from strawberry.scalars import JSON

from domain import deliveries as of_deliveries
from domain import images as of_images
from domain import pushes as domain
from domain.audit import Subject
from domain.ids import DeliveryId, EndpointId, PushId
from domain.trails import Trace
from resolvers import deliveries, endpoints, policies, pushes, rollouts
from schema.arguments import WHICH, ById, ByNumber
from schema.audit import AuditEntry, trail
from schema.enums import PushSource, Sender, SubjectKind
from schema.images import Image
from schema.nodes import Node, node_id, number_asked, number_of
from schema.paging import DEFAULT, LAST, After, Connection, First, Key, numbered, paged
from schema.resuming import PLACE, Since, or_expired, resume
from schema.session import Info

if TYPE_CHECKING:
    from schema.endpoints import WebhookEndpoint
    from schema.policies import Policy
    from schema.rollouts import Rollout


@strawberry.type(description="What was decided about a pushed image under one policy.")
class PushDecision:
    image: Image = strawberry.field(description="The image, with its digest if that was known.")
    started: bool = strawberry.field(description="Whether it started its rollout.")
    sentence: str = strawberry.field(description="What was decided, and why.")
    at: datetime = strawberry.field(description="When.")
    source: strawberry.Private[domain.Decision]

    @classmethod
    def of(cls, decision: domain.Decision, at: datetime) -> Self:
        return cls(image=Image.of(decision.image), started=decision.started, sentence=decision.decision, at=at, source=decision)

    @strawberry.field(description="Under which policy; null when none matched.")
    async def policy(self, info: Info) -> Annotated["Policy", strawberry.lazy("schema.policies")] | None:
        from schema.policies import Policy

        found = await info.context.follow(policies.many, self.source.policy_id)
        return Policy.of(found) if found else None

    @strawberry.field(description="The rollout that it started, or belongs to.")
    async def rollout(self, info: Info) -> Annotated["Rollout", strawberry.lazy("schema.rollouts")] | None:
        from schema.rollouts import Rollout

        found = await info.context.follow(rollouts.many, self.source.rollout_id)
        return Rollout.of(found) if found else None


@strawberry.type(description="An image that a sender, or its registry when it was asked, says was pushed.")
class Push(Node):
    number: int = strawberry.field(description="Pushes are counted from 1.")
    source: PushSource = strawberry.field(description="Who says so.")
    image: Image = strawberry.field(description="The image as it was told.")
    resolved: Image | None = strawberry.field(description="The same with the digest that its registry gave.")
    first_heard_at: datetime = strawberry.field(description="When it was told first.")
    heard_at: datetime = strawberry.field(description="When it was told last.")
    waits_for: str | None = strawberry.field(description="What it waits for, policy by policy; null when it does not wait.")
    due_at: datetime | None = strawberry.field(description="When it is looked at next; null once everything is decided.")
    row: strawberry.Private[domain.Push]

    @classmethod
    def of(cls, push: domain.Push) -> Self:
        return cls(
            id=node_id("Push", push.id),
            number=push.id,
            source=PushSource(push.source),
            image=Image.of(push.image),
            resolved=None if push.resolved is None else Image.of(push.resolved),
            first_heard_at=push.first_at,
            heard_at=push.heard_at,
            waits_for=push.waits_for,
            due_at=push.due_at,
            row=push,
        )

    @strawberry.field(description="What was decided, first to last.")
    async def decisions(self, info: Info) -> list[PushDecision]:
        found = await info.context.load(pushes.decisions_of, self.row.id) or []
        return [PushDecision.of(decision, at) for decision, at in found]

    @strawberry.field(description="The webhook that told of it; null if its registry was asked.")
    async def delivery(self, info: Info) -> Annotated["Delivery", strawberry.lazy("schema.pushes")] | None:
        found = await info.context.follow(deliveries.many, self.row.delivery_id)
        return Delivery.of(found) if found else None


@strawberry.type(description="A webhook that told of images, kept as it was posted; one that was posted several times is one.")
class Delivery(Node):
    number: int = strawberry.field(description="What its sender was answered: deliveries are counted from 1.")
    sender: Sender = strawberry.field(description="Who posted it.")
    key: str = strawberry.field(description="The sender's own id for it, or a hash of the body: what tells it from another.")
    received_at: datetime = strawberry.field(description="When it came first.")
    last_at: datetime = strawberry.field(description="When it came last.")
    times: int = strawberry.field(description="How often it was posted.")
    headers: JSON = strawberry.field(description="Its headers that tell what it is.")
    body: str = strawberry.field(description="Its body, as text.", metadata={"cost": 10})
    source: strawberry.Private[of_deliveries.Delivery]

    @classmethod
    def of(cls, delivery: of_deliveries.Delivery) -> Self:
        return cls(
            id=node_id("Delivery", delivery.id),
            number=delivery.id,
            sender=Sender(delivery.sender),
            key=delivery.key,
            received_at=delivery.received_at,
            last_at=delivery.last_at,
            times=delivery.times,
            headers=JSON(delivery.headers),
            body=delivery.body.decode(errors="replace"),
            source=delivery,
        )

    @strawberry.field(description="The images it told of, and what came of each.")
    async def pushes(self, info: Info) -> list[Push]:
        return [Push.of(push) for push in await info.context.load(pushes.of_deliveries, self.source.id) or ()]

    @strawberry.field(description="The endpoint it was posted to; null is the address all senders share, or that it was deleted.")
    async def endpoint(self, info: Info) -> Annotated["WebhookEndpoint", strawberry.lazy("schema.endpoints")] | None:
        from schema.endpoints import WebhookEndpoint

        found = await info.context.follow(endpoints.many, self.source.endpoint_id)
        return WebhookEndpoint.of(found) if found else None

    @strawberry.field(description="What operators did with it, newest first. For administrators.")
    async def audit(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[AuditEntry]:
        return await trail(info, Subject(SubjectKind.DELIVERY, str(self.source.id)), first, after)


NEWEST: Key[domain.Push, int] = numbered(LAST, lambda push: push.id)
NEWEST_DELIVERIES: Key[of_deliveries.Delivery, int] = numbered(LAST, lambda delivery: delivery.id)


@strawberry.input(description="Which pushes are meant; what is left out asks nothing.")
class PushFilterInput:
    waiting: bool | None = strawberry.field(description="Those that wait for something, or those that are decided.", default=None)
    repository: str | None = strawberry.field(description="To this repository: `nginx`, `ghcr.io/acme/app`.", default=None)
    source: PushSource | None = strawberry.field(description="Of which this one told.", default=None)
    since: datetime | None = strawberry.field(description="Not told of before.", default=None)

    def wanted(self) -> domain.PushFilter:
        return domain.PushFilter(
            waiting=self.waiting,
            repository=None if self.repository is None else of_images.Image.parse(self.repository).repository,
            source=None if self.source is None else PushSource(self.source).value,
            since=self.since,
        )


@strawberry.input(description="Which deliveries are meant; what is left out asks nothing.")
class DeliveryFilterInput:
    endpoint: strawberry.ID | None = strawberry.field(description="Posted to this endpoint.", default=None)
    sender: Sender | None = strawberry.field(description="Posted by this sender.", default=None)
    since: datetime | None = strawberry.field(description="Not posted before.", default=None)

    def wanted(self) -> of_deliveries.DeliveryFilter:
        return of_deliveries.DeliveryFilter(
            endpoint=None if self.endpoint is None else EndpointId(number_of(self.endpoint, "WebhookEndpoint")),
            sender=None if self.sender is None else Sender(self.sender).value,
            since=self.since,
        )


@strawberry.type
class PushQuery:
    @strawberry.field(description="One push, by its id or its number.")
    async def push(self, info: Info, id: ById = None, number: ByNumber = None) -> Push | None:  # noqa: A002 – GraphQL's word
        found = await info.context.load(pushes.many, PushId(number_asked("Push", id, number)))
        return None if found is None else Push.of(found)

    @strawberry.field(description="Images that were pushed, newest first.")
    async def pushes(
        self,
        info: Info,
        first: First = DEFAULT,
        after: After = None,
        filter: Annotated[PushFilterInput | None, WHICH] = None,  # noqa: A002
    ) -> Connection[Push]:
        wanted = (filter or PushFilterInput()).wanted()

        async def read(before: int, limit: int) -> Any:
            return await pushes.page(info.context.ctx, PushId(before), limit, wanted)

        async def count() -> int:
            return await pushes.count(info.context.ctx, wanted)

        return await paged(first, after, NEWEST, read, Push.of, count)

    @strawberry.field(description="One webhook, and what came of it, by its id or by the number that its sender was answered.")
    async def delivery(self, info: Info, id: ById = None, number: ByNumber = None) -> Delivery | None:  # noqa: A002 – GraphQL's word
        found = await info.context.load(deliveries.many, DeliveryId(number_asked("Delivery", id, number)))
        return None if found is None else Delivery.of(found)

    @strawberry.field(description="What senders posted, newest first.")
    async def deliveries(
        self,
        info: Info,
        first: First = DEFAULT,
        after: After = None,
        filter: Annotated[DeliveryFilterInput | None, WHICH] = None,  # noqa: A002
    ) -> Connection[Delivery]:
        wanted = (filter or DeliveryFilterInput()).wanted()

        async def read(before: int, limit: int) -> Any:
            return await deliveries.page(info.context.ctx, DeliveryId(before), limit, wanted)

        async def count() -> int:
            return await deliveries.count(info.context.ctx, wanted)

        return await paged(first, after, NEWEST_DELIVERIES, read, Delivery.of, count)


@strawberry.type(description="That a webhook was received, once more perhaps, or something was decided about what it told.")
class DeliveryChange:
    cursor: str = strawberry.field(description=PLACE)
    at: datetime = strawberry.field(description="When.")
    delivery: Delivery = strawberry.field(description="The webhook as it is by now.")

    @classmethod
    def of(cls, trace: Trace[of_deliveries.Delivery]) -> Self:
        return cls(cursor=str(trace.cursor), at=trace.at, delivery=Delivery.of(trace.of))


@strawberry.type
class PushSubscription:
    @strawberry.subscription(
        description="Webhooks as they are received, and again whenever something is decided about what they told, waits for something "
        "else, or is to be decided anew: from now on, or from where a cursor left off. At least once."
    )
    async def deliveries(
        self,
        info: Info,
        filter: Annotated[DeliveryFilterInput | None, WHICH] = None,  # noqa: A002 – GraphQL's word
        after: Since = None,
    ) -> AsyncIterable[or_expired(DeliveryChange, "DeliveriesResult")]:  # type: ignore[valid-type]
        wanted = (filter or DeliveryFilterInput()).wanted()
        return await resume(info, deliveries.stream, wanted, after, DeliveryChange.of)
