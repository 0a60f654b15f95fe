"""Webhook endpoints, as a client sees them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry

from domain import endpoints as domain
from domain.audit import Subject
from domain.ids import DeliveryId, EndpointId
from resolvers import deliveries, endpoints
from schema.arguments import ById, ByNumber
from schema.audit import AuditEntry, trail
from schema.enums import Scheme, Sender, SubjectKind
from schema.nodes import Node, node_id, number_asked
from schema.paging import DEFAULT, After, Connection, First, Key, numbered, paged
from schema.session import Info

if TYPE_CHECKING:
    from schema.pushes import Delivery


@strawberry.type(description="An address that one sender posts its webhooks to.")
class WebhookEndpoint(Node):
    number: int = strawberry.field(description="As in its address: endpoints are counted from 1.")
    version: int = strawberry.field(description="Rises with every change; `expectedVersion` is compared with it.")
    name: str = strawberry.field(description="What people call it.")
    sender: Sender = strawberry.field(description="Whose webhooks it understands.")
    scheme: Scheme = strawberry.field(description="How they prove where they come from.")
    path: str = strawberry.field(description="Where to post, on this server; with scheme PATH, a slash and the secret follow.")
    default_host: str | None = strawberry.field(description="The registry of images whose sender does not say which registry it is.")
    repositories: list[str] = strawberry.field(description="Patterns of the images it may speak for; none are all.")
    audience: str | None = strawberry.field(description="OIDC: for whom Google's token must be made.")
    service_account: str | None = strawberry.field(description="OIDC: the e-mail address the token must be of.")
    enabled: bool = strawberry.field(description="Whether it is heard.")
    created_at: datetime = strawberry.field(description="When it was made.")
    rotated_at: datetime = strawberry.field(description="When its secret was made.")
    key: strawberry.Private[EndpointId]

    @classmethod
    def of(cls, endpoint: domain.Endpoint) -> Self:
        return cls(
            id=node_id("WebhookEndpoint", endpoint.id),
            number=endpoint.id,
            version=endpoint.version,
            key=endpoint.id,
            name=endpoint.name,
            sender=endpoint.sender,
            scheme=endpoint.scheme,
            path=f"/api/v1/webhooks/{endpoint.sender}/{endpoint.id}",
            default_host=endpoint.default_host,
            repositories=list(endpoint.repositories),
            audience=endpoint.audience,
            service_account=endpoint.service_account,
            enabled=endpoint.enabled,
            created_at=endpoint.created_at,
            rotated_at=endpoint.rotated_at,
        )

    @strawberry.field(description="What was posted to it, newest first.")
    async def deliveries(
        self, info: Info, first: First = DEFAULT, after: After = None
    ) -> Connection[Annotated["Delivery", strawberry.lazy("schema.pushes")]]:
        from schema.pushes import NEWEST_DELIVERIES, Delivery

        async def read(before: int, limit: int) -> Any:
            return await info.context.load(deliveries.of_endpoints, self.key, DeliveryId(before), limit)

        async def count() -> int:
            return await info.context.load(deliveries.count_of_endpoints, self.key) or 0

        return await paged(first, after, NEWEST_DELIVERIES, read, Delivery.of, count)

    @strawberry.field(description="What operators did with it, newest first. For administrators.")
    async def audit(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[AuditEntry]:
        return await trail(info, Subject(SubjectKind.WEBHOOK_ENDPOINT, str(self.key)), first, after)


_IN_ORDER: Key[domain.Endpoint, int] = numbered(0, lambda endpoint: endpoint.id)


@strawberry.type
class EndpointQuery:
    @strawberry.field(description="One address that a sender posts to, by its id or its number.")
    async def webhook_endpoint(self, info: Info, id: ById = None, number: ByNumber = None) -> WebhookEndpoint | None:  # noqa: A002
        found = await info.context.load(endpoints.many, EndpointId(number_asked("WebhookEndpoint", id, number)))
        return None if found is None else WebhookEndpoint.of(found)

    @strawberry.field(description="The addresses that senders post to, in the order they were made.")
    async def webhook_endpoints(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[WebhookEndpoint]:
        async def read(place: int, limit: int) -> Any:
            return await endpoints.page(info.context.ctx, EndpointId(place), limit)

        async def count() -> int:
            return await endpoints.count(info.context.ctx)

        return await paged(first, after, _IN_ORDER, read, WebhookEndpoint.of, count)
