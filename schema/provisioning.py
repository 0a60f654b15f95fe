"""Provisioning keys, as a client sees them."""

from datetime import datetime
from typing import Any, Self, cast

import strawberry
from strawberry.scalars import JSON

from domain import provisioning as domain


@strawberry.type(description="What lets devices register themselves.")
class ProvisioningKey:
    id: strawberry.ID = strawberry.field(description="Names it in every other call; the key itself is kept nowhere.")
    name: str = strawberry.field(description="What people call it.")
    fleet: str | None = strawberry.field(description="The fleet that its devices join.")
    labels: JSON = strawberry.field(description="What is written on its devices when they register, strings by name.")
    max_uses: int | None = strawberry.field(description="How many devices it is for; null is no limit.")
    uses: int = strawberry.field(description="How many devices it has let in.")
    expires_at: datetime | None = strawberry.field(description="From when on it lets nobody in; null is never.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked.")
    needs_acceptance: bool = strawberry.field(description="Whether its devices get nothing until `acceptDevice`.")
    created_at: datetime = strawberry.field(description="When it was made.")
    created_by: str = strawberry.field(description="Who made it.")

    @classmethod
    def of(cls, key: domain.ProvisioningKey) -> Self:
        return cls(
            id=strawberry.ID(str(key.id)),
            name=key.name,
            fleet=key.fleet,
            labels=JSON(key.labels),
            max_uses=key.max_uses,
            uses=key.uses,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            needs_acceptance=key.needs_acceptance,
            created_at=key.created_at,
            created_by=key.created_by,
        )


@strawberry.type(description="A provisioning key, and what to give to devices, which is shown this once.")
class NewProvisioningKey:
    key: str = strawberry.field(description="What devices register with: `Authorization: Bearer …`.")
    provisioning_key: ProvisioningKey = strawberry.field(description="What is kept of it.")


@strawberry.input(description="A key that lets devices register themselves.")
class CreateProvisioningKeyInput:
    name: str = strawberry.field(description="What people call it.")
    fleet: str | None = strawberry.field(description="The fleet that its devices join; null is none.", default=None)
    labels: JSON | None = strawberry.field(description="Written on its devices, as setDeviceLabels would.", default=None)
    max_uses: int | None = strawberry.field(description="How many devices it is for; null is no limit.", default=None)
    expires_at: datetime | None = strawberry.field(description="From when on it lets nobody in; null is never.", default=None)
    needs_acceptance: bool = strawberry.field(description="Whether its devices get nothing until `acceptDevice`.", default=False)

    def wanted(self) -> domain.Wanted:
        labels = cast(Any, {} if self.labels is None else self.labels)  # whatever they are, they are checked before they are kept
        return domain.Wanted(self.name, self.fleet, labels, self.max_uses, self.expires_at, self.needs_acceptance)
