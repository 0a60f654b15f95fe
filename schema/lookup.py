"""What has an id, found by it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from domain.errors import BadInput
from domain.events import Cursor
from domain.ids import DeliveryId, EndpointId, EntryId, PolicyId, ProvisioningKeyId, PushId, RolloutId, TokenId
from domain.images import Image
from resolvers import (
    audit,
    catalogue,
    deliveries,
    devices,
    endpoints,
    events,
    policies,
    polling,
    provisioning,
    pushes,
    registries,
    repositories,
    rollouts,
    tokens,
)
from resolvers.devices import canonical
from schema.audit import AuditEntry
from schema.devices import Device
from schema.endpoints import WebhookEndpoint
from schema.events import Event
from schema.fleets import Fleet
from schema.images import Repository, Tag
from schema.nodes import Node
from schema.policies import Policy
from schema.provisioning import ProvisioningKey
from schema.pushes import Delivery, Push
from schema.registries import KnownImage, PolledRepository, Registry
from schema.rollouts import Rollout, RolloutDevice
from schema.session import Info
from schema.tokens import Token


@dataclass(frozen=True, slots=True)
class _Kind:
    """How objects of a kind are read, many at once, and shown."""

    key: Callable[[str], Any]
    """Raises ValueError for what is no key of this kind."""
    many: Callable[..., Awaitable[Any]]
    show: Callable[[Any], Node]


def _number(key: str) -> int:
    if not (key.isascii() and key.isdigit() and len(key) <= 18):
        raise ValueError(key)
    return int(key)


def _device(key: str) -> str:
    if (uuid := canonical(key)) is None:
        raise ValueError(key)
    return uuid


def _place(key: str) -> tuple[RolloutId, str]:
    rollout, _, device = key.partition(":")
    return RolloutId(_number(rollout)), _device(device)


def _tag(key: str) -> tuple[str, str]:
    repository, colon, tag = key.rpartition(":")
    if not colon:
        raise ValueError(key)
    return repository, tag


def _fleet(key: str) -> Fleet:
    if key and not (key.startswith("=") and len(key) > 1):
        raise ValueError(key)
    return Fleet.of(key[1:] or None)


def _repository(key: str) -> Repository:
    if Image.parse(key).repository != key:
        raise ValueError(key)
    return Repository.of(key)


_KINDS = {
    "AuditEntry": _Kind(lambda key: EntryId(_number(key)), audit.many, AuditEntry.of),
    "Delivery": _Kind(lambda key: DeliveryId(_number(key)), deliveries.many, Delivery.of),
    "Device": _Kind(_device, devices.by_uuids, Device.of),
    "Event": _Kind(Cursor.parse, events.many, Event.of),
    "KnownImage": _Kind(_number, catalogue.many, KnownImage.of),
    "Policy": _Kind(lambda key: PolicyId(_number(key)), policies.many, Policy.of),
    "PolledRepository": _Kind(str, polling.many, PolledRepository.of),
    "ProvisioningKey": _Kind(lambda key: ProvisioningKeyId(_number(key)), provisioning.many, ProvisioningKey.of),
    "Push": _Kind(lambda key: PushId(_number(key)), pushes.many, Push.of),
    "Registry": _Kind(str, registries.many, lambda known: Registry.of(*known)),
    "Rollout": _Kind(lambda key: RolloutId(_number(key)), rollouts.many, Rollout.of),
    "RolloutDevice": _Kind(_place, rollouts.places, RolloutDevice.of),
    "Tag": _Kind(_tag, repositories.many_tags, Tag.of),
    "Token": _Kind(lambda key: TokenId(_number(key)), tokens.many, Token.of),
    "WebhookEndpoint": _Kind(lambda key: EndpointId(_number(key)), endpoints.many, WebhookEndpoint.of),
}


_NAMED: dict[str, Callable[[str], Node]] = {"Fleet": _fleet, "Repository": _repository}
"""What is there as soon as somebody names it."""


async def find(info: Info, kind: str, key: str) -> Node | None:
    """The object of a kind with this key, or None; raises BadInput for what was never an id."""
    try:
        if kind in _NAMED:
            return _NAMED[kind](key)
        known = _KINDS[kind]
        place = known.key(key)
    except (KeyError, ValueError, BadInput) as bad:
        raise BadInput("id: this is not an id that was handed out here") from bad
    found = await info.context.load(known.many, place)
    return None if found is None else known.show(found)


TYPES = [
    AuditEntry, Delivery, Device, Event, Fleet, KnownImage, Policy, PolledRepository, ProvisioningKey, Push, Registry, Repository, Rollout,
    RolloutDevice, Tag, Token, WebhookEndpoint,
]  # fmt: skip
"""Everything that has an id."""
