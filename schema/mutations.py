"""What can be done."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from domain.catalogue import Standing
from domain.ids import DeliveryId, EndpointId, PolicyId, ProvisioningKeyId, RolloutId
from domain.requests import Request
from resolvers import aside, catalogue, deliveries, devices, endpoints, identity, images, policies, provisioning, registries, rollouts
from schema.devices import Device
from schema.endpoints import CreateWebhookEndpointInput, WebhookEndpoint, WebhookSecret
from schema.fleet import FleetMutation
from schema.paging import number
from schema.policies import CreatePolicyInput, Policy, UpdatePolicyInput, fields_as_written
from schema.provisioning import CreateProvisioningKeyInput, NewProvisioningKey, ProvisioningKey
from schema.pushes import Delivery
from schema.registries import KnownImage, Registry
from schema.rollouts import Rollout
from schema.session import Info


@strawberry.type(description="What can be done. A refused mutation says why and changes nothing.")
class Mutation(FleetMutation):
    @strawberry.mutation(description="Make a policy.")
    async def create_policy(self, info: Info, input: CreatePolicyInput) -> Policy:  # noqa: A002
        with fields_as_written():
            return Policy.of(await policies.create(info.context.ctx, input.values()))

    @strawberry.mutation(description="Change a policy; rollouts under way keep the plan they started with.")
    async def update_policy(self, info: Info, id: strawberry.ID, input: UpdatePolicyInput) -> Policy:  # noqa: A002
        with fields_as_written():
            return Policy.of(await policies.update(info.context.ctx, _policy(id), input.changes()))

    @strawberry.mutation(description="Let a policy act on pushes.")
    async def enable_policy(self, info: Info, id: strawberry.ID) -> Policy:  # noqa: A002
        return Policy.of(await policies.update(info.context.ctx, _policy(id), {"enabled": True}))

    @strawberry.mutation(description="Keep a policy from acting on pushes; its rollouts go on.")
    async def disable_policy(self, info: Info, id: strawberry.ID) -> Policy:  # noqa: A002
        return Policy.of(await policies.update(info.context.ctx, _policy(id), {"enabled": False}))

    @strawberry.mutation(description="Take a policy away; its rollouts go on, and stay in the history.")
    async def delete_policy(self, info: Info, id: strawberry.ID) -> Policy:  # noqa: A002
        return Policy.of(await policies.delete(info.context.ctx, _policy(id)))

    @strawberry.mutation(description="Let a release that was rolled back be rolled out again; false if it was not blocked.")
    async def unblock_release(self, info: Info, policy_id: strawberry.ID, image: str) -> bool:
        return await policies.unblock(info.context.ctx, _policy(policy_id), image)

    @strawberry.mutation(
        description="Roll an image out by hand, to the devices that a policy governs. Images of other repositories in `also` move together "
        "with it: a device has all of them or none."
    )
    async def create_rollout(self, info: Info, policy_id: strawberry.ID, image: str, also: list[str] | None = None) -> Rollout:
        return Rollout.of(await images.create_rollout(info.context.ctx, _policy(policy_id), image, also or ()))

    @strawberry.mutation(description="Start a rollout that waits for an operator.")
    async def start_rollout(self, info: Info, id: strawberry.ID, reason: str | None = None) -> Rollout:  # noqa: A002
        return await _request(info, id, Request.START, reason)

    @strawberry.mutation(
        description="Approve a rollout that needs it: the release and plan that its checksum stood for when you read it, and no other."
    )
    async def approve_rollout(self, info: Info, id: strawberry.ID, checksum: str, remark: str | None = None) -> Rollout:  # noqa: A002
        return await _request(info, id, Request.APPROVE, remark, checksum)

    @strawberry.mutation(description="Refuse a rollout that needs approval; it ends.")
    async def reject_rollout(self, info: Info, id: strawberry.ID, checksum: str, remark: str | None = None) -> Rollout:  # noqa: A002
        return await _request(info, id, Request.REJECT, remark, checksum)

    @strawberry.mutation(
        description="Have a rollout that has not begun take over its policy's settings; approvals given for the old ones are void."
    )
    async def replan_rollout(self, info: Info, id: strawberry.ID) -> Rollout:  # noqa: A002
        return Rollout.of(await rollouts.replan(info.context.ctx, _rollout(id)))

    @strawberry.mutation(
        description="Go on from the open batch, from 1, once it has proved itself: without the delay, gate or operator it waits for."
    )
    async def promote_rollout(self, info: Info, id: strawberry.ID, batch: int, reason: str | None = None) -> Rollout:  # noqa: A002
        return Rollout.of(await rollouts.request(info.context.ctx, _rollout(id), Request.PROMOTE, reason, batch=batch))

    @strawberry.mutation(description="Take the image back from every device that failed, and offer it again.")
    async def retry_rollout(self, info: Info, id: strawberry.ID, reason: str | None = None) -> Rollout:  # noqa: A002
        return await _request(info, id, Request.RETRY, reason)

    @strawberry.mutation(description="Offer the image to nobody new; those who were offered it keep it.")
    async def pause_rollout(self, info: Info, id: strawberry.ID, reason: str | None = None) -> Rollout:  # noqa: A002
        return await _request(info, id, Request.PAUSE, reason)

    @strawberry.mutation(description="Go on, accepting the failures so far; further ones count again.")
    async def resume_rollout(self, info: Info, id: strawberry.ID, reason: str | None = None) -> Rollout:  # noqa: A002
        return await _request(info, id, Request.RESUME, reason)

    @strawberry.mutation(description="End a rollout where it is; devices that were offered the image keep it.")
    async def cancel_rollout(self, info: Info, id: strawberry.ID, reason: str | None = None) -> Rollout:  # noqa: A002
        return await _request(info, id, Request.CANCEL, reason)

    @strawberry.mutation(description="Return one batch, from 1, to the image it had before; the others keep it, and the rollout goes on.")
    async def roll_back_batch(self, info: Info, id: strawberry.ID, batch: int) -> Rollout:  # noqa: A002
        return Rollout.of(await rollouts.roll_back_batch(info.context.ctx, _rollout(id), batch))

    @strawberry.mutation(description="Return one device to the image it had before; it stays out of this rollout.")
    async def roll_back_device(self, info: Info, id: strawberry.ID, uuid: strawberry.ID) -> Rollout:  # noqa: A002
        return Rollout.of(await rollouts.roll_back_device(info.context.ctx, _rollout(id), uuid))

    @strawberry.mutation(
        description="Return every device to the image it had before, and block the release; for a month also after it completed."
    )
    async def roll_back_rollout(self, info: Info, id: strawberry.ID, reason: str | None = None) -> Rollout:  # noqa: A002
        return await _request(info, id, Request.ROLL_BACK, reason)

    @strawberry.mutation(
        description="Write labels on a device in the place of those it has: at most 64 strings, names of 1 to 63 characters, values of at "
        "most 255. A rollout reads them when it ranks its devices; those under way go on by what it read then."
    )
    async def set_device_labels(self, info: Info, uuid: strawberry.ID, labels: JSON) -> Device:
        return Device.of(await devices.set_labels(info.context.ctx, uuid, labels))

    @strawberry.mutation(
        description="Have a device stay exactly at what it is told to run now, until it is released: it leaves the rollouts it is in, "
        "keeps the image it is shown, also should that be rolled back, and joins no other. `setDeviceTarget` still changes it."
    )
    async def pin_device(self, info: Info, uuid: strawberry.ID, reason: str | None = None) -> Device:
        return Device.of(await aside.pin(info.context.ctx, uuid, reason))

    @strawberry.mutation(
        description="Have a device join no rollout until then. It leaves those that have not offered it their image yet; "
        "in those that have it stays. A hold that is there is replaced; a device that is pinned or quarantined must be released first."
    )
    async def hold_device(self, info: Info, uuid: strawberry.ID, until: datetime, reason: str | None = None) -> Device:
        return Device.of(await aside.hold(info.context.ctx, uuid, until, reason))

    @strawberry.mutation(
        description="Let a device that is pinned, held or quarantined join rollouts again: the next one, not those that are under way. "
        "One that is not set aside stays as it is."
    )
    async def release_device(self, info: Info, uuid: strawberry.ID) -> Device:
        return Device.of(await aside.release(info.context.ctx, uuid))

    @strawberry.mutation(description="Let a device that waits for it have what it should run; one that does not wait stays as it is.")
    async def accept_device(self, info: Info, uuid: strawberry.ID) -> Device:
        return Device.of(await identity.accept(info.context.ctx, uuid))

    @strawberry.mutation(
        description="Let a device in no more: its next request is refused, its uuid cannot register. It leaves the rollouts it is in, "
        "keeps the image it is shown, and joins no other."
    )
    async def revoke_device(self, info: Info, uuid: strawberry.ID) -> Device:
        return Device.of(await identity.revoke(info.context.ctx, uuid))

    @strawberry.mutation(description="Let a device that was revoked in again, by the keys it had; one that was not stays as it is.")
    async def restore_device(self, info: Info, uuid: strawberry.ID) -> Device:
        return Device.of(await identity.restore(info.context.ctx, uuid))

    @strawberry.mutation(
        description="Take a device's keys away, as for one that is flashed anew. Whoever next registers its uuid with a provisioning key "
        "that lets devices in, is the device, and keeps its fleet, labels and target."
    )
    async def reset_device_key(self, info: Info, uuid: strawberry.ID) -> Device:
        return Device.of(await identity.reset_key(info.context.ctx, uuid))

    @strawberry.mutation(description="Make a key that lets devices register themselves. It is shown this once.")
    async def create_provisioning_key(self, info: Info, input: CreateProvisioningKeyInput) -> NewProvisioningKey:  # noqa: A002
        made, key = await provisioning.create(info.context.ctx, input.wanted())
        assert key is not None, "only who asks again is told none"
        return NewProvisioningKey(key=key, provisioning_key=ProvisioningKey.of(made))

    @strawberry.mutation(description="Have a provisioning key let nobody in any more; the devices that it has let in stay.")
    async def revoke_provisioning_key(self, info: Info, id: strawberry.ID) -> ProvisioningKey:  # noqa: A002
        return ProvisioningKey.of(await provisioning.revoke(info.context.ctx, ProvisioningKeyId(number(id, "provisioning key"))))

    @strawberry.mutation(description="Make an address for one sender's webhooks. Its secret is shown this once.")
    async def create_webhook_endpoint(self, info: Info, input: CreateWebhookEndpointInput) -> WebhookSecret:  # noqa: A002
        endpoint, secret = await endpoints.create(info.context.ctx, input.wanted())
        return WebhookSecret(endpoint=WebhookEndpoint.of(endpoint), secret=secret)

    @strawberry.mutation(
        description="Give an endpoint another secret, shown this once; the old one counts for so many minutes, 0 to 10080, so that "
        "nothing is refused until the sender knows the new one."
    )
    async def rotate_webhook_secret(self, info: Info, id: strawberry.ID, keep_old_minutes: float = 0) -> WebhookSecret:  # noqa: A002
        endpoint, secret = await endpoints.rotate(info.context.ctx, _endpoint(id), keep_old_minutes)
        return WebhookSecret(endpoint=WebhookEndpoint.of(endpoint), secret=secret)

    @strawberry.mutation(description="Hear an endpoint again.")
    async def enable_webhook_endpoint(self, info: Info, id: strawberry.ID) -> WebhookEndpoint:  # noqa: A002
        return WebhookEndpoint.of(await endpoints.set_enabled(info.context.ctx, _endpoint(id), True))

    @strawberry.mutation(description="Refuse whatever is posted to an endpoint; its secret stays.")
    async def disable_webhook_endpoint(self, info: Info, id: strawberry.ID) -> WebhookEndpoint:  # noqa: A002
        return WebhookEndpoint.of(await endpoints.set_enabled(info.context.ctx, _endpoint(id), False))

    @strawberry.mutation(description="Take an endpoint away; what it told stays in the history.")
    async def delete_webhook_endpoint(self, info: Info, id: strawberry.ID) -> WebhookEndpoint:  # noqa: A002
        return WebhookEndpoint.of(await endpoints.delete(info.context.ctx, _endpoint(id)))

    @strawberry.mutation(description="Have everything that a delivery told decided anew, as things are now.")
    async def replay_delivery(self, info: Info, id: strawberry.ID) -> Delivery:  # noqa: A002
        return Delivery.of(await deliveries.replay(info.context.ctx, DeliveryId(number(id, "delivery"))))

    @strawberry.mutation(
        description="Let a registry be asked: docker.io, ghcr.io, registry.acme.example:5000. Username and password are for it alone, "
        "and kept encrypted; what was said of it before is replaced. plainHttp asks it without TLS."
    )
    async def set_registry(
        self, info: Info, host: str, username: str | None = None, password: str | None = None, plain_http: bool = False
    ) -> Registry:
        return Registry.of(*await registries.save(info.context.ctx, host, username, password, plain_http=plain_http))

    @strawberry.mutation(description="Let a registry be asked no more; false if it was not.")
    async def remove_registry(self, info: Info, host: str) -> bool:
        return await registries.delete(info.context.ctx, host)

    @strawberry.mutation(
        description="Approve an image, for policies that take approved ones only: ghcr.io/acme/app:1.27@sha256:… for this very image, "
        "ghcr.io/acme/app:1.27 for whatever has the tag, ghcr.io/acme/app for the whole repository. What waits for it goes on."
    )
    async def approve_image(self, info: Info, name: str, remark: str | None = None) -> KnownImage:
        return KnownImage.of(await catalogue.judge(info.context.ctx, name, Standing.APPROVED, remark))

    @strawberry.mutation(description="Reject an image, or a repository with all that is in it; rollouts under way go on.")
    async def reject_image(self, info: Info, name: str, remark: str | None = None) -> KnownImage:
        return KnownImage.of(await catalogue.judge(info.context.ctx, name, Standing.REJECTED, remark))

    @strawberry.mutation(description="Have nobody new get an image that was fine once; devices that run it keep it.")
    async def deprecate_image(self, info: Info, name: str, remark: str | None = None) -> KnownImage:
        return KnownImage.of(await catalogue.judge(info.context.ctx, name, Standing.DEPRECATED, remark))


async def _request(info: Info, id: strawberry.ID, what: Request, reason: str | None, decided_on: str | None = None) -> Rollout:  # noqa: A002
    return Rollout.of(await rollouts.request(info.context.ctx, _rollout(id), what, reason, decided_on))


def _rollout(id: strawberry.ID) -> RolloutId:  # noqa: A002
    return RolloutId(number(id, "rollout"))


def _policy(id: strawberry.ID) -> PolicyId:  # noqa: A002
    return PolicyId(number(id, "policy"))


def _endpoint(id: strawberry.ID) -> EndpointId:  # noqa: A002
    return EndpointId(number(id, "webhook endpoint"))
