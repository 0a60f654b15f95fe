"""Which devices are asked for, in which order, and how far a list of them has been read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from domain.aside import AsideKind
from domain.devices import Device
from domain.errors import BadInput, Refused
from domain.ids import DeviceId
from domain.images import Image, split
from domain.selectors import Selector

LONGEST_SEARCH, MOST_AT_ONCE = 255, 500


class DeviceStanding(StrEnum):
    """Whether a device may take part."""

    ACCEPTED = "accepted"
    WAITING = "waiting"
    """For an operator to accept it."""
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True)
class Told:
    """An image as it is asked for: of a repository, and perhaps with this tag, and perhaps with this digest."""

    repository: str
    tag: str | None
    digest: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read nginx, nginx:1.27 or nginx@sha256:…; without a tag any is meant. Raises BadInput."""
        image = Image.parse(text)
        return cls(image.repository, image.tag if split(text)[1] is not None else None, image.digest)


@dataclass(frozen=True, slots=True)
class DeviceFilter:
    """What devices must have in common; None asks nothing."""

    fleet: str | None = None
    selector: Selector | None = None
    online: bool | None = None
    standing: DeviceStanding | None = None
    search: str | None = None
    """In the name, whatever the case, or at the beginning of the uuid."""
    told: Told | None = None
    """What one of its services is told to run."""
    set_aside: AsideKind | None = None

    @classmethod
    def of(
        cls, *, fleet: str | None = None, selector: str | None = None, online: bool | None = None, standing: DeviceStanding | None = None,
        search: str | None = None, told: str | None = None, set_aside: AsideKind | None = None,
    ) -> Self:  # fmt: skip
        """Check what somebody asked for; raises BadInput naming the field that is wrong."""
        if search is not None and not 0 < len(search) <= LONGEST_SEARCH:
            raise BadInput(f"search: 1 to {LONGEST_SEARCH} characters")
        parsed = None if selector is None else Selector.parse(selector)
        return cls(fleet, parsed, online, standing, search, None if told is None else Told.parse(told), set_aside)

    @property
    def means_all(self) -> bool:
        """It asks nothing of a device."""
        return self == DeviceFilter()


class OrderBy(StrEnum):
    """What decides which of two devices comes first."""

    REGISTERED = "registered"
    NAME = "name"
    LAST_SEEN = "last_seen"
    """Those that were never seen as if that were longest ago."""


@dataclass(frozen=True, slots=True)
class DeviceOrder:
    """In which order devices are listed."""

    by: OrderBy = OrderBy.REGISTERED
    is_descending: bool = False

    def __str__(self) -> str:
        return f"{self.by}{' descending' if self.is_descending else ''}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a device stands in a list; what follows it is read next."""

    device: DeviceId
    key: str | datetime | None
    """Its name, or when it was last seen."""

    @classmethod
    def of(cls, device: Device, order: DeviceOrder) -> Self:
        match order.by:
            case OrderBy.REGISTERED:
                return cls(device.id, None)
            case OrderBy.NAME:
                return cls(device.id, device.name)
            case OrderBy.LAST_SEEN:
                return cls(device.id, device.last_seen_at)


@dataclass(frozen=True, slots=True)
class Fleet:
    """Devices that were registered together."""

    name: str | None
    devices: int
    online: int


@dataclass(frozen=True, slots=True)
class Counts:
    """How many devices have something in common, and how they are."""

    devices: int
    online: int
    waiting: int
    """For an operator to accept them."""
    revoked: int
    pinned: int
    held: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class Chosen:
    """The devices that a change is for: these, or those that a filter finds."""

    uuids: tuple[str, ...] | None
    """Each once."""
    filter: DeviceFilter

    @classmethod
    def of(cls, uuids: Sequence[str] | None, filter: DeviceFilter | None, *, everybody: bool) -> Self:  # noqa: A002 – GraphQL's word
        """Check whom an operator means; raises BadInput where that is nobody, or everybody by accident."""
        if (uuids is not None) + (filter is not None) + everybody != 1:
            raise BadInput("devices: give one of uuids, filter and all")
        if uuids is not None and not 0 < len(uuids) <= MOST_AT_ONCE:
            raise BadInput(f"devices.uuids: 1 to {MOST_AT_ONCE}")
        if filter is not None and filter.means_all:
            raise BadInput("devices.filter says nothing, which would be every device; say all: true if that is what you want")
        return cls(None if uuids is None else tuple(dict.fromkeys(uuids)), filter or DeviceFilter())


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a change for one device."""

    uuid: str
    refused: Refused | None
    """Why it was not changed."""
    version: int | None = None
    """Of its target, where that was changed."""
