"""What can be done with webhook endpoints, and with what was posted to them."""

import strawberry

from domain.ids import DeliveryId, EndpointId
from resolvers import deliveries, endpoints
from resolvers.endpoints import Wanted
from schema.endpoints import WebhookEndpoint
from schema.enums import Scheme, Sender
from schema.mutations.inputs import ChangeInput, CreateInput
from schema.nodes import number_of
from schema.pushes import Delivery
from schema.results import mutation
from schema.session import Info


@strawberry.input(description="An address for one sender.")
class CreateWebhookEndpointInput(CreateInput):
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


@strawberry.input(description="Which endpoint is to get another secret.")
class RotateWebhookSecretInput(ChangeInput):
    keep_old_minutes: float = strawberry.field(description="For so long the old one counts as well; 0 to 10080.", default=0)


@strawberry.input(description="Which endpoint to hear again.")
class EnableWebhookEndpointInput(ChangeInput):
    pass


@strawberry.input(description="Which endpoint to hear no more.")
class DisableWebhookEndpointInput(ChangeInput):
    pass


@strawberry.input(description="Which endpoint to take away.")
class DeleteWebhookEndpointInput(ChangeInput):
    pass


@strawberry.input(description="What to decide anew.")
class ReplayDeliveryInput:
    id: strawberry.ID = strawberry.field(description="Which delivery.")


@strawberry.type
class _EndpointPayload:
    webhook_endpoint: WebhookEndpoint = strawberry.field(description="The endpoint as it is now.")


@strawberry.type
class _SecretPayload(_EndpointPayload):
    secret: str | None = strawberry.field(
        description="What the sender must know, shown this once; null where Google signs, or if this `idempotencyKey` was answered before."
    )


@strawberry.type(description="What was made.")
class CreateWebhookEndpointPayload(_SecretPayload):
    pass


@strawberry.type(description="What became of it.")
class RotateWebhookSecretPayload(_SecretPayload):
    pass


@strawberry.type(description="What became of it.")
class EnableWebhookEndpointPayload(_EndpointPayload):
    pass


@strawberry.type(description="What became of it.")
class DisableWebhookEndpointPayload(_EndpointPayload):
    pass


@strawberry.type(description="What was taken away.")
class DeleteWebhookEndpointPayload(_EndpointPayload):
    pass


@strawberry.type(description="What is being decided anew.")
class ReplayDeliveryPayload:
    delivery: Delivery = strawberry.field(description="The delivery.")


@strawberry.type
class EndpointMutation:
    @mutation("Make an address for one sender's webhooks. Its secret is shown this once.")
    async def create_webhook_endpoint(self, info: Info, input: CreateWebhookEndpointInput) -> CreateWebhookEndpointPayload:  # noqa: A002
        endpoint, secret = await endpoints.create(info.context.ctx, input.wanted(), idempotency_key=input.idempotency_key)
        return CreateWebhookEndpointPayload(webhook_endpoint=WebhookEndpoint.of(endpoint), secret=secret)

    @mutation(
        "Give an endpoint another secret, shown this once; the old one counts for so many minutes, so that nothing is refused until the "
        "sender knows the new one."
    )
    async def rotate_webhook_secret(self, info: Info, input: RotateWebhookSecretInput) -> RotateWebhookSecretPayload:  # noqa: A002
        endpoint, secret = await endpoints.rotate(
            info.context.ctx, _endpoint(input), input.keep_old_minutes, expected_version=input.expected_version
        )
        return RotateWebhookSecretPayload(webhook_endpoint=WebhookEndpoint.of(endpoint), secret=secret)

    @mutation("Hear an endpoint again.")
    async def enable_webhook_endpoint(self, info: Info, input: EnableWebhookEndpointInput) -> EnableWebhookEndpointPayload:  # noqa: A002
        return EnableWebhookEndpointPayload(webhook_endpoint=await _set_enabled(info, input, enabled=True))

    @mutation("Refuse whatever is posted to an endpoint; its secret stays.")
    async def disable_webhook_endpoint(self, info: Info, input: DisableWebhookEndpointInput) -> DisableWebhookEndpointPayload:  # noqa: A002
        return DisableWebhookEndpointPayload(webhook_endpoint=await _set_enabled(info, input, enabled=False))

    @mutation("Take an endpoint away; what it told stays in the history.")
    async def delete_webhook_endpoint(self, info: Info, input: DeleteWebhookEndpointInput) -> DeleteWebhookEndpointPayload:  # noqa: A002
        deleted = await endpoints.delete(info.context.ctx, _endpoint(input), expected_version=input.expected_version)
        return DeleteWebhookEndpointPayload(webhook_endpoint=WebhookEndpoint.of(deleted))

    @mutation("Have everything that a delivery told decided anew, as things are now.")
    async def replay_delivery(self, info: Info, input: ReplayDeliveryInput) -> ReplayDeliveryPayload:  # noqa: A002
        delivery = DeliveryId(number_of(input.id, "Delivery"))
        return ReplayDeliveryPayload(delivery=Delivery.of(await deliveries.replay(info.context.ctx, delivery)))


async def _set_enabled(info: Info, asked: ChangeInput, *, enabled: bool) -> WebhookEndpoint:
    changed = await endpoints.set_enabled(info.context.ctx, _endpoint(asked), enabled, expected_version=asked.expected_version)
    return WebhookEndpoint.of(changed)


def _endpoint(asked: ChangeInput) -> EndpointId:
    return EndpointId(number_of(asked.id, "WebhookEndpoint"))
