"""Fleets, and devices found by what they have in common, as a client sees them."""

import base64
import binascii
from collections.abc import AsyncIterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Self

import strawberry

from domain import fleet as domain
from domain.devices import Device as DomainDevice
from domain.errors import BadInput
from domain.fleet import DeviceFilter, DeviceOrder, OrderBy, Place
from domain.ids import DeviceId, PolicyId, ProvisioningKeyId, RolloutId
from domain.texts import LONGEST
from resolvers import devices, fleet, watching
from resolvers.watching import Counts
from schema.arguments import WHICH
from schema.devices import Device
from schema.enums import AsideKind, DeviceOrderBy, DeviceStanding, OrderDirection
from schema.following import Following
from schema.nodes import Node, key_of, node_id
from schema.paging import DEFAULT, After, Connection, First, Key, listed, no_cursor, paged
from schema.policies import IN_ORDER, Policy
from schema.resuming import SO_FAR
from schema.rollouts import BY_NUMBER, Rollout
from schema.scalars import UUID
from schema.session import Info

if TYPE_CHECKING:
    from schema.provisioning import ProvisioningKey


@strawberry.input(description="What devices must have in common; what is left out asks nothing.")
class DeviceFilterInput:
    fleet: str | None = strawberry.field(description="Of this fleet.", default=None)
    selector: str | None = strawberry.field(
        description="With such labels, as Kubernetes reads it: `site=berlin, tier in (edge, lab), owner!=ann, !frozen`.", default=None
    )
    online: bool | None = strawberry.field(description="Heard of within the last eight minutes, or not.", default=None)
    standing: DeviceStanding | None = strawberry.field(description="Whether they may take part.", default=None)
    search: str | None = strawberry.field(
        description="Words in the name, whatever the case, or the beginning of the uuid; 1 to 255 characters.", default=None
    )
    runs: str | None = strawberry.field(
        description="Told to run this image now, rollouts included, by one of their services at least: `nginx` for any tag, `nginx:1.27`, "
        "`nginx@sha256:…`.",
        default=None,
    )
    set_aside: AsideKind | None = strawberry.field(description="Pinned, held or quarantined now.", default=None)

    def wanted(self) -> DeviceFilter:
        return DeviceFilter.of(
            fleet=self.fleet, selector=self.selector, online=self.online, standing=self.standing, search=self.search, told=self.runs,
            set_aside=self.set_aside,
        )  # fmt: skip


@strawberry.input(description="In which order devices are listed; those that are alike in it in the order they registered.")
class DeviceOrderInput:
    by: DeviceOrderBy = strawberry.field(description="What decides.", default=OrderBy.REGISTERED)
    direction: OrderDirection = strawberry.field(description="Which end comes first.", default=OrderDirection.ASCENDING)

    def order(self) -> DeviceOrder:
        # Strawberry hands over an enum's value rather than the enum.
        return DeviceOrder(OrderBy(self.by), self.direction == OrderDirection.DESCENDING)


Filter = Annotated[DeviceFilterInput | None, WHICH]
OrderedBy = Annotated[DeviceOrderInput | None, strawberry.argument(description="In which order; null is that in which they registered.")]


@strawberry.type(description="Devices that were registered together, by provisioning keys that name the same fleet.")
class Fleet(Node):
    name: str | None = strawberry.field(description="As its provisioning keys name it; null is the devices without one.")

    @classmethod
    def of(cls, name: str | None) -> Self:
        return cls(id=node_id("Fleet", "" if name is None else f"={name}"), name=name)

    @strawberry.field(description="How many devices it has.", metadata={"cost": 10})
    async def device_count(self, info: Info) -> int:
        found = await info.context.load(fleet.by_names, self.name)
        return found.devices if found else 0

    @strawberry.field(description="How many of them were heard of within the last eight minutes.", metadata={"cost": 10})
    async def online_count(self, info: Info) -> int:
        found = await info.context.load(fleet.by_names, self.name)
        return found.online if found else 0

    @strawberry.field(description="Its devices.")
    async def devices(
        self,
        info: Info,
        first: First = DEFAULT,
        after: After = None,
        filter: Filter = None,  # noqa: A002 – GraphQL's word
        order_by: OrderedBy = None,
    ) -> Connection[Device]:
        wanted, order = wanted_devices(filter, order_by)

        async def read(place: Place | None, limit: int) -> Any:
            return await info.context.load(fleet.devices_of, self.name, wanted, order, place, limit)

        async def count() -> int:
            return await info.context.load(fleet.count_devices_of, self.name, wanted) or 0

        return await paged(first, after, in_order(order), read, Device.of, count)

    @strawberry.field(description="The policies for it alone, in the order they were made.")
    async def policies(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[Policy]:
        async def read(place: int, limit: int) -> Any:
            return await info.context.load(fleet.policies_of, self.name, PolicyId(place), limit)

        async def count() -> int:
            return await info.context.load(fleet.count_policies_of, self.name) or 0

        return await paged(first, after, IN_ORDER, read, Policy.of, count)

    @strawberry.field(description="The rollouts that may reach it, newest first.")
    async def rollouts(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[Rollout]:
        async def read(before: int, limit: int) -> Any:
            return await info.context.load(fleet.rollouts_of, self.name, RolloutId(before), limit)

        async def count() -> int:
            return await info.context.load(fleet.count_rollouts_of, self.name) or 0

        return await paged(first, after, BY_NUMBER, read, Rollout.of, count)

    @strawberry.field(description="The keys that let devices into it, in the order they were made.")
    async def provisioning_keys(
        self, info: Info, first: First = DEFAULT, after: After = None
    ) -> Connection[Annotated["ProvisioningKey", strawberry.lazy("schema.provisioning")]]:
        from schema.provisioning import KEYS_IN_ORDER, ProvisioningKey

        async def read(place: int, limit: int) -> Any:
            return await info.context.load(fleet.provisioning_keys_of, self.name, ProvisioningKeyId(place), limit)

        async def count() -> int:
            return await info.context.load(fleet.count_provisioning_keys_of, self.name) or 0

        return await paged(first, after, KEYS_IN_ORDER, read, ProvisioningKey.of, count)


@strawberry.type(description="How many devices have something in common, and how they are.")
class DeviceTotals:
    devices: int = strawberry.field(description="All of them.")
    online: int = strawberry.field(description="Heard of within the last eight minutes.")
    waiting: int = strawberry.field(description="Wait for an operator to accept them.")
    revoked: int = strawberry.field(description="Let in no more.")
    pinned: int = strawberry.field(description="To stay exactly as they are.")
    held: int = strawberry.field(description="No rollout begins on them for a while.")
    quarantined: int = strawberry.field(description="Failed in several rollouts in a row.")

    @classmethod
    def of(cls, counts: domain.Counts) -> Self:
        return cls(
            devices=counts.devices,
            online=counts.online,
            waiting=counts.waiting,
            revoked=counts.revoked,
            pinned=counts.pinned,
            held=counts.held,
            quarantined=counts.quarantined,
        )


@strawberry.type(description="How many devices there are of a kind: at once, and whenever that has changed.")
class DeviceCountsChange:
    counts: DeviceTotals = strawberry.field(description="The counts, all of one moment.")
    at: datetime = strawberry.field(description="When this was so.")
    cursor: str = strawberry.field(description=SO_FAR)

    @classmethod
    def of(cls, counted: Counts) -> Self:
        return cls(counts=DeviceTotals.of(counted.counts), at=counted.at, cursor=str(counted.cursor))


@strawberry.type
class FleetQuery:
    @strawberry.field(description="One device, by its id or its uuid.")
    async def device(
        self,
        info: Info,
        id: Annotated[strawberry.ID | None, strawberry.argument(description="Its id; give this or its uuid.")] = None,  # noqa: A002
        uuid: Annotated[UUID | None, strawberry.argument(description="Its uuid; give this or its id.")] = None,
    ) -> Device | None:
        if (id is None) == (uuid is None):
            raise BadInput("give one of id and uuid")
        found = await info.context.load(devices.by_uuids, str(uuid) if id is None else key_of(id, "Device"))
        return None if found is None else Device.of(found)

    @strawberry.field(description="Devices that have something in common; all of them without a filter.")
    async def devices(
        self,
        info: Info,
        first: First = DEFAULT,
        after: After = None,
        filter: Filter = None,  # noqa: A002 – GraphQL's word
        order_by: OrderedBy = None,
    ) -> Connection[Device]:
        wanted, order = wanted_devices(filter, order_by)

        async def read(place: Place | None, limit: int) -> Any:
            return await fleet.page(info.context.ctx, wanted, order, place, limit)

        async def count() -> int:
            return await fleet.count(info.context.ctx, wanted)

        return await paged(first, after, in_order(order), read, Device.of, count)

    @strawberry.field(description="Every fleet, by name; the devices without one first, if there are any.")
    async def fleets(self, info: Info, first: First = DEFAULT, after: After = None) -> Connection[Fleet]:
        found = await fleet.names(info.context.ctx)
        return listed(sorted(f"={name}" if name else "-" for name in found), str, first, after, _fleet)

    @strawberry.field(description="One fleet, by its name; null is the devices without one. A fleet is there as soon as somebody names it.")
    async def fleet(
        self, name: Annotated[str | None, strawberry.argument(description="As its provisioning keys name it.")] = None
    ) -> Fleet:
        if name is not None and not 0 < len(name) <= LONGEST:
            raise BadInput(f"name: 1 to {LONGEST} characters, or null for the devices without a fleet")
        return Fleet.of(name)


@strawberry.type
class FleetSubscription:
    @strawberry.subscription(
        description="How many devices have something in common, and how they are, now and whenever that changes; without a filter, of all. "
        "Counted once a second at most, and less often where that takes long.",
        metadata={"cost": 20},
    )
    async def device_counts(self, info: Info, filter: Filter = None) -> AsyncIterable[DeviceCountsChange]:  # noqa: A002 – GraphQL's word
        wanted = filter.wanted() if filter else DeviceFilter()
        return Following(watching.counts(info.context.ctx, wanted), DeviceCountsChange.of)


def wanted_devices(wanted: DeviceFilterInput | None, order: DeviceOrderInput | None) -> tuple[DeviceFilter, DeviceOrder]:
    """What a client asked for, checked; raises BadInput."""
    return (wanted.wanted() if wanted else DeviceFilter()), (order.order() if order else DeviceOrder())


def in_order(order: DeviceOrder) -> Key[DomainDevice, Place | None]:
    """A list of devices in this order."""
    return Key(None, lambda device: place_written(Place.of(device, order), order), lambda cursor: place_read(cursor, order))


def _fleet(key: str) -> Fleet:
    return Fleet.of(key[1:] if key.startswith("=") else None)


def place_written(place: Place, order: DeviceOrder) -> str:
    key = place.key.isoformat() if isinstance(place.key, datetime) else place.key or ""
    return base64.urlsafe_b64encode(f"2:{order}:{place.device}:{key}".encode()).decode()


def place_read(cursor: str, order: DeviceOrder) -> Place:
    """Where to read on; raises BadInput for what is no cursor, and for one of another order."""
    try:
        version, of, device, key = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode().split(":", 3)
        if version != "2" or not 0 <= int(device) < 2**63:
            raise ValueError("none of ours")
        if of == str(order):
            return Place(DeviceId(int(device)), _key(key, order))
    except (ValueError, binascii.Error) as bad:
        raise no_cursor() from bad
    if of not in _ORDERS:
        raise no_cursor()
    raise BadInput(f"after: this cursor is of a list ordered by {of}, and this one is ordered by {order}: begin at its beginning")


def _key(text: str, order: DeviceOrder) -> str | datetime | None:
    if "\0" in text:
        raise ValueError("no name has null characters")
    match order.by:
        case OrderBy.REGISTERED:
            return None
        case OrderBy.NAME:
            return text
        case OrderBy.LAST_SEEN:
            return _moment(text) if text else None


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not 2000 <= moment.year <= 2200:
        raise ValueError("no moment of ours")
    return moment


_ORDERS = {str(DeviceOrder(by, is_descending)) for by in OrderBy for is_descending in (False, True)}
