"""Who a device is: it registers, and proves itself from then on."""

import hmac
from dataclasses import dataclass

from domain.devices import Device
from domain.errors import Conflict, NotFound, Unauthenticated
from domain.ids import DeviceId
from resolvers import keys
from resolvers.context import Context
from resolvers.devices import checked_uuid
from storage import devices, identity, provisioning


@dataclass(frozen=True, slots=True)
class Registration:
    """What an agent says when it registers; it made its uuid and its key itself."""

    uuid: str
    name: str
    type: str
    key: str


async def register(ctx: Context, provisioning_key: str, asked: Registration) -> Device:
    """Let a device in. Registering again with the same key is answered alike; a uuid with another key is a Conflict."""
    async with ctx.db.transaction() as conn:
        allowed = await provisioning.enrolment(conn, keys.digest(provisioning_key))
        if allowed is None:
            raise Unauthenticated("the provisioning key is missing or unknown")
        device = await identity.register(
            conn, asked.uuid, asked.name, asked.type, allowed.fleet, keys.digest(asked.key), await ctx.db.now(conn)
        )
    if device is None:
        raise Conflict(f"device {asked.uuid} is already registered, with another key")
    return device


async def authenticate(ctx: Context, uuid: str, key: str | None) -> DeviceId:
    """Which device this is; raises NotFound for a stranger and Unauthenticated for a missing or wrong key."""
    async with ctx.db.reading() as conn:
        known = await identity.key_of(conn, checked_uuid(uuid))
    if known is None:
        raise NotFound(f"there is no device {uuid}: register it first")
    device, key_hash = known
    if key is None or not hmac.compare_digest(keys.digest(key), key_hash):
        raise Unauthenticated("the device key is missing or wrong: send it as X-Device-API-Key")
    return device


async def itself(ctx: Context, device: DeviceId) -> Device:
    """A device that has been authenticated, as it is stored."""
    async with ctx.db.reading() as conn:
        found = await devices.by_id(conn, device)
    assert found is not None, "it was authenticated a moment ago"
    return found
