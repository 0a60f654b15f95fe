"""The fleet, as a client sees it: devices found by what they have in common, and changed many at a time."""

import base64
import binascii
from datetime import datetime
from typing import Self

import strawberry
from strawberry.scalars import JSON

from domain import fleet as domain
from domain.errors import BadInput
from domain.fleet import Chosen, DeviceFilter, DeviceOrder, Done, OrderBy, Place
from domain.ids import DeviceId
from domain.patches import Patch
from resolvers import bulk, fleet, targets
from resolvers.bulk import Changed
from schema.devices import Device, TargetState
from schema.enums import AsideKind, DeviceOrderBy, DeviceStanding, OrderDirection
from schema.paging import DEFAULT, Connection, Edge, PageInfo, checked
from schema.session import Info

MANY = 100


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


@strawberry.type(description="A page of devices.")
class DeviceConnection(Connection[Device]):
    wanted: strawberry.Private[DeviceFilter]

    @classmethod
    def found(cls, edges: list[Edge[Device]], first: int, wanted: DeviceFilter) -> Self:
        """The first so many of `edges`, which holds one more if there is one."""
        kept = edges[:first]
        info = PageInfo(has_next_page=len(edges) > first, end_cursor=kept[-1].cursor if kept else None)
        return cls(edges=kept, nodes=[edge.node for edge in kept], page_info=info, wanted=wanted)

    @strawberry.field(description="How many devices the filter finds on all pages; counted only if asked for.")
    async def total_count(self, info: Info) -> int:
        return await fleet.count(info.context.ctx, self.wanted)


@strawberry.type(description="Devices that were registered together.")
class Fleet:
    name: str | None = strawberry.field(description="As their provisioning key names it; null is none.")
    devices: int = strawberry.field(description="How many there are.")
    online: int = strawberry.field(description="How many of them were heard of within the last eight minutes.")

    @classmethod
    def of(cls, found: domain.Fleet) -> Self:
        return cls(name=found.name, devices=found.devices, online=found.online)


@strawberry.type
class FleetQuery:
    @strawberry.field(description="Devices that have something in common; all of them without a filter.")
    async def devices(
        self,
        info: Info,
        first: int = DEFAULT,
        after: str | None = None,
        filter: DeviceFilterInput | None = None,  # noqa: A002 – GraphQL's word
        order_by: DeviceOrderInput | None = None,
    ) -> DeviceConnection:
        wanted = filter.wanted() if filter else DeviceFilter()
        order = order_by.order() if order_by else DeviceOrder()
        found = await fleet.page(info.context.ctx, wanted, order, _place(after, order), checked(first) + 1)
        edges = [Edge(cursor=_cursor(Place.of(device, order), order), node=Device.of(device)) for device in found]
        return DeviceConnection.found(edges, first, wanted)

    @strawberry.field(description="Every fleet, by name; devices without one are counted last.")
    async def fleets(self, info: Info) -> list[Fleet]:
        return [Fleet.of(found) for found in await fleet.fleets(info.context.ctx)]


@strawberry.input(description="The devices that a change is for; one of the three.")
class DevicesInput:
    uuids: list[strawberry.ID] | None = strawberry.field(description="These: 1 to 500, all in one call.", default=None)
    filter: DeviceFilterInput | None = strawberry.field(description="Those that it finds; it must ask something.", default=None)
    all: bool = strawberry.field(description="Every device there is.", default=False)

    def chosen(self) -> Chosen:
        return Chosen.of(self.uuids, self.filter.wanted() if self.filter else None, everybody=self.all)


@strawberry.input(description="What is to become of one service; give an image, a config, or both, or remove alone.")
class TargetPatchInput:
    image: str | None = strawberry.field(description="What it should run; needed for a service that is not there yet.", default=None)
    config: JSON | None = strawberry.field(
        description="Merged into its config: objects field by field, null takes a field away (RFC 7396).", default=None
    )
    remove: bool = strawberry.field(description="Take the service away, and its app with the last one.", default=False)

    def patch(self, app: str, service: str) -> Patch:
        return Patch.of(app, service, self.image, self.config, remove=self.remove)


@strawberry.type(description="What came of a change for one device.")
class DeviceResult:
    uuid: strawberry.ID = strawberry.field(description="Which device.")
    version: int | None = strawberry.field(description="The version of its target, where that was to be changed.")
    refused: str | None = strawberry.field(description="Why it was left as it is; null: it is as you want it.")

    @classmethod
    def of(cls, done: Done) -> Self:
        return cls(uuid=strawberry.ID(done.uuid), version=done.version, refused=done.refused)


@strawberry.type(description="What came of a change for the devices of one call, each changed whole or not at all.")
class DeviceResults:
    results: list[DeviceResult] = strawberry.field(description="In the order they registered; uuids that nobody has come last.")
    end_cursor: str | None = strawberry.field(description="Pass it as `after` to go on; null after the last device.")
    has_next_page: bool = strawberry.field(description="Whether more devices are meant.")

    @classmethod
    def of(cls, changed: Changed) -> Self:
        return cls(
            results=[DeviceResult.of(done) for done in changed.results],
            end_cursor=None if changed.end is None else _cursor(changed.end, DeviceOrder()),
            has_next_page=changed.end is not None,
        )


@strawberry.type
class FleetMutation:
    @strawberry.mutation(description="Tell one device what to run. A service given another image than it has now leaves its rollout.")
    async def set_device_target(
        self, info: Info, uuid: strawberry.ID, apps: JSON, config: JSON | None = None, expected_version: int | None = None
    ) -> TargetState:
        return TargetState.of(await targets.set_target(info.context.ctx, uuid, apps, config, expected_version))

    @strawberry.mutation(
        description="Change, add or remove one service of what a device should run; the others stay as they are, in their rollouts. What "
        "changes nothing leaves the version where it is."
    )
    async def patch_device_target(
        self, info: Info, uuid: strawberry.ID, app: str, service: str, patch: TargetPatchInput, expected_version: int | None = None
    ) -> TargetState:
        return TargetState.of(await targets.patch_target(info.context.ctx, uuid, patch.patch(app, service), expected_version))

    @strawberry.mutation(
        description="The same on many devices, `first` (1 to 500) a call: each is changed whole, or left as it is with the reason. Called "
        "again with the same patch it changes nobody twice."
    )
    async def patch_device_targets(
        self, info: Info, devices: DevicesInput, app: str, service: str, patch: TargetPatchInput, expected_version: int | None = None,
        first: int = MANY, after: str | None = None,
    ) -> DeviceResults:  # fmt: skip
        changed = await bulk.patch_targets(
            info.context.ctx, devices.chosen(), patch.patch(app, service), expected_version, first, _place(after, DeviceOrder())
        )
        return DeviceResults.of(changed)

    @strawberry.mutation(description="Write labels on many devices beside those they have, and take others away; `first` is 1 to 500.")
    async def label_devices(
        self, info: Info, devices: DevicesInput, set: JSON | None = None, remove: list[str] | None = None,  # noqa: A002
        first: int = MANY, after: str | None = None,
    ) -> DeviceResults:  # fmt: skip
        place = _place(after, DeviceOrder())
        return DeviceResults.of(await bulk.label(info.context.ctx, devices.chosen(), set, remove or (), first, place))

    @strawberry.mutation(description="`pinDevice` for many; `first` is 1 to 500.")
    async def pin_devices(
        self, info: Info, devices: DevicesInput, reason: str | None = None, first: int = MANY, after: str | None = None
    ) -> DeviceResults:
        return DeviceResults.of(await bulk.pin(info.context.ctx, devices.chosen(), reason, first, _place(after, DeviceOrder())))

    @strawberry.mutation(description="`holdDevice` for many; `first` is 1 to 500.")
    async def hold_devices(
        self, info: Info, devices: DevicesInput, until: datetime, reason: str | None = None, first: int = MANY, after: str | None = None
    ) -> DeviceResults:
        return DeviceResults.of(await bulk.hold(info.context.ctx, devices.chosen(), until, reason, first, _place(after, DeviceOrder())))

    @strawberry.mutation(description="`releaseDevice` for many; `first` is 1 to 500.")
    async def release_devices(self, info: Info, devices: DevicesInput, first: int = MANY, after: str | None = None) -> DeviceResults:
        return DeviceResults.of(await bulk.release(info.context.ctx, devices.chosen(), first, _place(after, DeviceOrder())))


def _cursor(place: Place, order: DeviceOrder) -> str:
    key = place.key.isoformat() if isinstance(place.key, datetime) else place.key or ""
    return base64.urlsafe_b64encode(f"2:{order}:{place.device}:{key}".encode()).decode()


def _place(cursor: str | None, order: DeviceOrder) -> Place | None:
    """Where to read on; raises BadInput for what is no cursor, and for one of another order."""
    if cursor is None:
        return None
    try:
        version, of, device, key = base64.b64decode(cursor.encode(), altchars=b"-_", validate=True).decode().split(":", 3)
        if version != "2" or not 0 <= int(device) < 2**63:
            raise ValueError("none of ours")
        if of == str(order):
            return Place(DeviceId(int(device)), _key(key, order))
    except (ValueError, binascii.Error) as bad:
        raise BadInput("after: this is not a cursor that was handed out here") from bad
    if of not in _ORDERS:
        raise BadInput("after: this is not a cursor that was handed out here")
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
