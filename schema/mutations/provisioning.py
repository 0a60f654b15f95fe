"""What can be done with provisioning keys."""

from datetime import datetime
from typing import Any, cast

import strawberry
from strawberry.scalars import JSON

from domain import provisioning as domain
from domain.ids import ProvisioningKeyId
from resolvers import provisioning
from schema.mutations.inputs import ChangeInput, CreateInput
from schema.nodes import number_of
from schema.provisioning import ProvisioningKey
from schema.results import mutation
from schema.session import Info


@strawberry.input(description="A key that lets devices register themselves.")
class CreateProvisioningKeyInput(CreateInput):
    name: str = strawberry.field(description="What people call it.")
    fleet: str | None = strawberry.field(description="The fleet that its devices join; null is none.", default=None)
    labels: JSON | None = strawberry.field(description="Written on its devices, as setDeviceLabels would.", default=None)
    max_uses: int | None = strawberry.field(description="How many devices it is for; null is no limit.", default=None)
    expires_at: datetime | None = strawberry.field(description="From when on it lets nobody in; null is never.", default=None)
    needs_acceptance: bool = strawberry.field(description="Whether its devices get nothing until `acceptDevice`.", default=False)

    def wanted(self) -> domain.Wanted:
        labels = cast(Any, {} if self.labels is None else self.labels)  # whatever they are, they are checked before they are kept
        return domain.Wanted(self.name, self.fleet, labels, self.max_uses, self.expires_at, self.needs_acceptance)


@strawberry.input(description="Which key is to let nobody in any more.")
class RevokeProvisioningKeyInput(ChangeInput):
    pass


@strawberry.type(description="What was made.")
class CreateProvisioningKeyPayload:
    provisioning_key: ProvisioningKey = strawberry.field(description="What is kept of it.")
    secret: str | None = strawberry.field(
        description="What devices register with: `Authorization: Bearer …`. It is shown this once: null if this `idempotencyKey` was "
        "answered before."
    )


@strawberry.type(description="What became of it.")
class RevokeProvisioningKeyPayload:
    provisioning_key: ProvisioningKey = strawberry.field(description="The key as it is now.")


@strawberry.type
class ProvisioningMutation:
    @mutation("Make a key that lets devices register themselves. It is shown this once.")
    async def create_provisioning_key(self, info: Info, input: CreateProvisioningKeyInput) -> CreateProvisioningKeyPayload:  # noqa: A002
        made, secret = await provisioning.create(info.context.ctx, input.wanted(), idempotency_key=input.idempotency_key)
        return CreateProvisioningKeyPayload(provisioning_key=ProvisioningKey.of(made), secret=secret)

    @mutation("Have a provisioning key let nobody in any more; the devices that it has let in stay.")
    async def revoke_provisioning_key(self, info: Info, input: RevokeProvisioningKeyInput) -> RevokeProvisioningKeyPayload:  # noqa: A002
        key = ProvisioningKeyId(number_of(input.id, "ProvisioningKey"))
        revoked = await provisioning.revoke(info.context.ctx, key, expected_version=input.expected_version)
        return RevokeProvisioningKeyPayload(provisioning_key=ProvisioningKey.of(revoked))
