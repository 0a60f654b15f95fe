"""Webhook endpoints, as a client sees them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry

from domain import endpoints as domain
from domain.deliveries import DeliveryFilter
from domain.ids import DeliveryId, EndpointId
from resolvers import deliveries
from resolvers.endpoints import Wanted
from schema.enums import Scheme, Sender
from schema.paging import DEFAULT, Connection, paged
from schema.session import Info

if TYPE_CHECKING:
    from schema.pushes import Delivery


@strawberry.type(description="An address that one sender posts its webhooks to.")
class WebhookEndpoint:
    id: strawberry.ID = strawberry.field(description="Names this endpoint in every other call, and in its address.")
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

    @classmethod
    def of(cls, endpoint: domain.Endpoint) -> Self:
        return cls(
            id=strawberry.ID(str(endpoint.id)),
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
        self, info: Info, first: int = DEFAULT, after: str | None = None
    ) -> Connection[Annotated["Delivery", strawberry.lazy("schema.pushes")]]:
        from schema.pushes import Delivery

        async def read(before: int, limit: int) -> Any:
            return await deliveries.page(info.context.ctx, DeliveryId(before), limit, DeliveryFilter(EndpointId(int(self.id))))

        return await paged(first, after, 2**62, read, lambda row: row.id, Delivery.of)


@strawberry.type(description="An endpoint, and a secret that is shown this once.")
class WebhookSecret:
    endpoint: WebhookEndpoint = strawberry.field(description="The endpoint.")
    secret: str | None = strawberry.field(description="What the sender must know; null where Google signs.")


@strawberry.input(description="An address for one sender.")
class CreateWebhookEndpointInput:
    name: str = strawberry.field(description="What people call it.")
    sender: Sender = strawberry.field(description="Whose webhooks it understands.")
    scheme: Scheme | None = strawberry.field(
        description="How they prove where they come from; null is the best that the sender can do.", default=None
    )
    default_host: str | None = strawberry.field(
        description="The registry of images whose sender does not say which registry it is.", default=None
    )
    repositories: list[str] = strawberry.field(description="Patterns of the images it may speak for; none are all.", default_factory=list)
    audience: str | None = strawberry.field(description="OIDC: for whom Google's token must be made.", default=None)
    service_account: str | None = strawberry.field(description="OIDC: the e-mail address the token must be of.", default=None)

    def wanted(self) -> Wanted:
        return Wanted(self.name, self.sender, self.scheme, self.default_host, self.repositories, self.audience, self.service_account)
