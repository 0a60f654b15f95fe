"""Provisioning keys, as a client sees them."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry
from strawberry.scalars import JSON

from domain import provisioning as domain
from domain.audit import Subject
from domain.fleet import DeviceFilter, DeviceOrder, Place
from domain.ids import ProvisioningKeyId
from resolvers import provisioning
from schema.arguments import ById, ByNumber
from schema.audit import AuditEntry, trail
from schema.enums import SubjectKind
from schema.nodes import Node, node_id, number_asked
from schema.paging import DEFAULT, After, Connection, First, Key, numbered, paged
from schema.session import Info

if TYPE_CHECKING:
    from schema.devices import Device
    from schema.fleets import Fleet


@strawberry.type(description="What lets devices register themselves.")
class ProvisioningKey(Node):
    number: int = strawberry.field(description="Provisioning keys are counted from 1; the key itself is kept nowhere.")
    version: int = strawberry.field(description="Rises with every change; `expectedVersion` is compared with it.")
    name: str = strawberry.field(description="What people call it.")
    labels: JSON = strawberry.field(description="What is written on its devices when they register, strings by name.")
    max_uses: int | None = strawberry.field(description="How many devices it is for; null is no limit.")
    uses: int = strawberry.field(description="How many devices it has let in.")
    expires_at: datetime | None = strawberry.field(description="From when on it lets nobody in; null is never.")
    revoked_at: datetime | None = strawberry.field(description="When it was revoked.")
    needs_acceptance: bool = strawberry.field(description="Whether its devices get nothing until `acceptDevice`.")
    created_at: datetime = strawberry.field(description="When it was made.")
    created_by: str = strawberry.field(description="Who made it.")
    source: strawberry.Private[domain.ProvisioningKey]

    @classmethod
    def of(cls, key: domain.ProvisioningKey) -> Self:
        return cls(
            id=node_id("ProvisioningKey", key.id),
            number=key.id,
            version=key.version,
            name=key.name,
            source=key,
            labels=JSON(key.labels),
            max_uses=key.max_uses,
            uses=key.uses,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            needs_acceptance=key.needs_acceptance,
            created_at=key.created_at,
            created_by=key.created_by,
        )

    @strawberry.field(description="The fleet that its devices join; null is none.")
    def fleet(self) -> Annotated["Fleet", strawberry.lazy("schema.fleets")] | None:
        from schema.fleets import Fleet

        return None if self.source.fleet is None else Fleet.of(self.source.fleet)

    @strawberry.field(description="The devices that last registered with it, in the order they first did.")
    async def devices(
        self, info: Info, first: First = DEFAULT, after: After = None
    ) -> Connection[Annotated["Device", strawberry.lazy("schema.devices")]]:
        from schema.devices import Device
        from schema.fleets import in_order

        async def read(place: Place | None, limit: int) -> Any:
            return await info.context.load(provisioning.devices_of, self.source.id, DeviceFilter(), DeviceOrder(), place, limit)

        async def count() -> int:
            return await info.context.load(provisioning.count_devices_of, self.source.id, DeviceFilter()) or 0

        return await paged(first, after, in_order(DeviceOrder()), read, Device.of, count)

    @strawberry.field(description="What operators did with it, newest first. For administrators.")
    async def audit(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[AuditEntry]:
        return await trail(info, Subject(SubjectKind.PROVISIONING_KEY, str(self.source.id)), first, after)


KEYS_IN_ORDER: Key[domain.ProvisioningKey, int] = numbered(0, lambda key: key.id)


@strawberry.type
class ProvisioningQuery:
    @strawberry.field(description="One key that lets devices register themselves, by its id or its number.")
    async def provisioning_key(self, info: Info, id: ById = None, number: ByNumber = None) -> ProvisioningKey | None:  # noqa: A002
        found = await info.context.load(provisioning.many, ProvisioningKeyId(number_asked("ProvisioningKey", id, number)))
        return None if found is None else ProvisioningKey.of(found)

    @strawberry.field(description="The keys that let devices register themselves, in the order they were made.")
    async def provisioning_keys(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[ProvisioningKey]:
        async def read(place: int, limit: int) -> Any:
            return await provisioning.page(info.context.ctx, ProvisioningKeyId(place), limit)

        async def count() -> int:
            return await provisioning.count(info.context.ctx)

        return await paged(first, after, KEYS_IN_ORDER, read, ProvisioningKey.of, count)
