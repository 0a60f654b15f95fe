"""What can be read."""

from typing import Any

import strawberry

from domain.catalogue import KnownImageFilter
from domain.ids import DeliveryId, EndpointId, PolicyId, ProvisioningKeyId, PushId, RolloutId
from domain.pushes import PushFilter
from domain.rollouts import RolloutFilter
from resolvers import (
    catalogue,
    deliveries,
    devices,
    endpoints,
    policies,
    polling,
    previews,
    provisioning,
    pushes,
    registries,
    rollouts,
    trials,
)
from schema.devices import Device
from schema.endpoints import WebhookEndpoint
from schema.enums import Standing, Status
from schema.fleet import FleetQuery
from schema.paging import DEFAULT, Connection, number, paged
from schema.policies import Policy
from schema.previews import RolloutPreview
from schema.provisioning import ProvisioningKey
from schema.pushes import Delivery, Push
from schema.registries import KnownImage, PolledRepository, Registry
from schema.rollouts import Rollout
from schema.session import Info
from schema.trials import PolicyTest


@strawberry.type(description="What can be read.")
class Query(FleetQuery):
    @strawberry.field(description="One policy.")
    async def policy(self, info: Info, id: strawberry.ID) -> Policy | None:  # noqa: A002
        found = await policies.one(info.context.ctx, PolicyId(number(id, "policy")))
        return None if found is None else Policy.of(found)

    @strawberry.field(description="Policies, in the order they were made.")
    async def policies(self, info: Info, first: int = DEFAULT, after: str | None = None) -> Connection[Policy]:
        async def read(place: int, limit: int) -> Any:
            return await policies.page(info.context.ctx, PolicyId(place), limit)

        return await paged(first, after, 0, read, lambda policy: policy.id, Policy.of)

    @strawberry.field(description="One rollout.")
    async def rollout(self, info: Info, id: strawberry.ID) -> Rollout | None:  # noqa: A002
        found = await rollouts.one(info.context.ctx, RolloutId(number(id, "rollout")))
        return None if found is None else Rollout.of(found)

    @strawberry.field(description="Rollouts, newest first.")
    async def rollouts(
        self, info: Info, first: int = DEFAULT, after: str | None = None, status: list[Status] | None = None
    ) -> Connection[Rollout]:
        async def read(place: int, limit: int) -> Any:
            return await rollouts.page(info.context.ctx, RolloutId(place), limit, RolloutFilter(None if status is None else tuple(status)))

        return await paged(first, after, 2**62, read, lambda rollout: rollout.id, Rollout.of)

    @strawberry.field(
        description="What createRollout would do now: who would take part, in which batches, who would not and why, what stands in the "
        "way, and how long it may take. `sample` is how many devices to name for each reason, 0 to 100."
    )
    async def preview_rollout(
        self, info: Info, policy_id: strawberry.ID, image: str, also: list[str] | None = None, sample: int = 10
    ) -> RolloutPreview:
        policy = PolicyId(number(policy_id, "policy"))
        return RolloutPreview.of(await previews.preview(info.context.ctx, policy, image, also or (), sample))

    @strawberry.field(
        description="What a policy would make of an image that is pushed now, or, of a bare repository such as ghcr.io/acme/app, of the "
        "tags that its registry has. The registry is asked, if it may be; nothing is changed."
    )
    async def test_policy(self, info: Info, policy_id: strawberry.ID, image: str) -> PolicyTest:
        return PolicyTest.of(await trials.trial(info.context.ctx, PolicyId(number(policy_id, "policy")), image))

    @strawberry.field(description="The repositories whose registries are asked for new tags again and again.")
    async def polled_repositories(self, info: Info) -> list[PolledRepository]:
        return [PolledRepository.of(polled) for polled in await polling.page(info.context.ctx)]

    @strawberry.field(description="One device.")
    async def device(self, info: Info, uuid: strawberry.ID) -> Device | None:
        found = await devices.one(info.context.ctx, uuid)
        return None if found is None else Device.of(found)

    @strawberry.field(description="The keys that let devices register themselves, in the order they were made.")
    async def provisioning_keys(self, info: Info, first: int = DEFAULT, after: str | None = None) -> Connection[ProvisioningKey]:
        async def read(place: int, limit: int) -> Any:
            return await provisioning.page(info.context.ctx, ProvisioningKeyId(place), limit)

        return await paged(first, after, 0, read, lambda key: key.id, ProvisioningKey.of)

    @strawberry.field(description="One key that lets devices register themselves.")
    async def provisioning_key(self, info: Info, id: strawberry.ID) -> ProvisioningKey | None:  # noqa: A002
        found = await provisioning.one(info.context.ctx, ProvisioningKeyId(number(id, "provisioning key")))
        return None if found is None else ProvisioningKey.of(found)

    @strawberry.field(description="The addresses that senders post to, in the order they were made.")
    async def webhook_endpoints(self, info: Info, first: int = DEFAULT, after: str | None = None) -> Connection[WebhookEndpoint]:
        async def read(place: int, limit: int) -> Any:
            return await endpoints.page(info.context.ctx, EndpointId(place), limit)

        return await paged(first, after, 0, read, lambda endpoint: endpoint.id, WebhookEndpoint.of)

    @strawberry.field(description="One address that a sender posts to.")
    async def webhook_endpoint(self, info: Info, id: strawberry.ID) -> WebhookEndpoint | None:  # noqa: A002
        found = await endpoints.one(info.context.ctx, EndpointId(number(id, "webhook endpoint")))
        return None if found is None else WebhookEndpoint.of(found)

    @strawberry.field(description="What senders posted, newest first.")
    async def deliveries(self, info: Info, first: int = DEFAULT, after: str | None = None) -> Connection[Delivery]:
        async def read(place: int, limit: int) -> Any:
            return await deliveries.page(info.context.ctx, DeliveryId(place), limit)

        return await paged(first, after, 2**62, read, lambda delivery: delivery.id, Delivery.of)

    @strawberry.field(description="One webhook, and what came of it.")
    async def delivery(self, info: Info, id: strawberry.ID) -> Delivery | None:  # noqa: A002
        found = await deliveries.one(info.context.ctx, DeliveryId(number(id, "delivery")))
        return None if found is None else Delivery.of(found)

    @strawberry.field(description="Images that were pushed, newest first; those that wait for something, or those that are decided.")
    async def pushes(self, info: Info, first: int = DEFAULT, after: str | None = None, waiting: bool | None = None) -> Connection[Push]:
        async def read(place: int, limit: int) -> Any:
            return await pushes.page(info.context.ctx, PushId(place), limit, PushFilter(waiting))

        return await paged(first, after, 2**62, read, lambda push: push.id, Push.of)

    @strawberry.field(description="The registries that may be asked, by host.")
    async def registries(self, info: Info) -> list[Registry]:
        return [Registry.of(*known) for known in await registries.known(info.context.ctx)]

    @strawberry.field(description="What is known of images, the newest request first.")
    async def known_images(
        self, info: Info, first: int = DEFAULT, after: str | None = None, standing: Standing | None = None
    ) -> Connection[KnownImage]:
        async def read(place: int, limit: int) -> Any:
            return await catalogue.page(info.context.ctx, place, limit, KnownImageFilter(standing))

        return await paged(first, after, 2**62, read, lambda known: known.id, KnownImage.of)
