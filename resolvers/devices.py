"""What devices do: register, poll, report. And what operators do with devices: read them, and write labels on them."""

import hmac
import uuid as uuids
from dataclasses import dataclass
from datetime import timedelta

from domain import labels as labels_of
from domain.actors import Permission
from domain.devices import CurrentState, Device, Report, services_of
from domain.errors import BadInput, Conflict, NotFound, Unauthenticated
from domain.ids import DeviceId, RolloutId
from domain.members import Member
from domain.targets import Target
from resolvers import documents, keys, reports
from resolvers.context import Context
from storage import devices, members, targets
from storage.connection import Connection

# A device that polls every minute is written down as seen every half: enough to rank the awake first, and few writes.
SEEN_EVERY = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Registration:
    """What an agent says when it registers; it made its uuid and its key itself."""

    uuid: str
    name: str
    type: str
    key: str


async def create_provisioning_key(ctx: Context, fleet: str | None) -> str:
    """A key that lets devices register themselves in a fleet. It is told once and cannot be read again."""
    ctx.actor.must(Permission.OPERATE)
    if fleet is not None and not 0 < len(fleet) <= 255:
        raise BadInput("fleet: 1 to 255 characters")
    key = keys.new("provisioning")
    async with ctx.db.transaction() as conn:
        await devices.insert_provisioning_key(conn, keys.digest(key), fleet, await ctx.db.now(conn))
    return key


async def register(ctx: Context, provisioning_key: str, asked: Registration) -> Device:
    """Let a device in. Registering again with the same key is answered alike; a uuid with another key is a Conflict."""
    async with ctx.db.transaction() as conn:
        allowed = await devices.enrolment(conn, keys.digest(provisioning_key))
        if allowed is None:
            raise Unauthenticated("the provisioning key is missing or unknown")
        device = await devices.register(
            conn, asked.uuid, asked.name, asked.type, allowed.fleet, keys.digest(asked.key), await ctx.db.now(conn)
        )
    if device is None:
        raise Conflict(f"device {asked.uuid} is already registered, with another key")
    return device


async def authenticate(ctx: Context, uuid: str, key: str | None) -> DeviceId:
    """Which device this is; raises NotFound for a stranger and Unauthenticated for a missing or wrong key."""
    async with ctx.db.reading() as conn:
        known = await devices.key_of(conn, checked_uuid(uuid))
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


async def poll(ctx: Context, device: DeviceId) -> Target:
    """What the device should run. Asking is taking: from now on the device is expected to run what it was told."""
    async with ctx.db.transaction() as conn:
        now = await ctx.db.now(conn)
        await devices.seen(conn, device, now, SEEN_EVERY)
        # Noted before it is told: a rollback in between then waits for this device rather than forgetting it.
        while (target := await targets.target(conn, device)).has_untaken_offer:
            await devices.lock(conn, device)
            await members.taken(conn, device, now)
    return target


async def report(ctx: Context, device: DeviceId, uuid: str, said: Report) -> None:
    """Keep what the device says, and what it shows of the images it was offered. An old report, replayed, changes nothing."""
    services = None if said.apps is None else services_of(said.apps)
    async with ctx.db.transaction() as conn:
        now = await ctx.db.now(conn)
        await devices.seen(conn, device, now, SEEN_EVERY)
        if await devices.is_replay(conn, device, said.version):
            return
        await devices.lock(conn, device)
        await devices.save_report(conn, device, said, now)
        if services is not None:
            await reports.weigh(conn, device, uuid, services, now)


async def set_labels(ctx: Context, uuid: str, labels: object) -> Device:
    """Write labels on a device in the place of those it has; rollouts that it is in go by the ones it had when they began."""
    ctx.actor.must(Permission.OPERATE)
    documents.check(labels, "labels")
    checked = labels_of.checked(labels)
    async with ctx.db.transaction() as conn:
        device = await named(conn, uuid)
        return await devices.set_labels(conn, device.id, checked)


async def one(ctx: Context, uuid: str) -> Device | None:
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await devices.by_uuid(conn, checked_uuid(uuid))


async def by_id(ctx: Context, device: DeviceId) -> Device | None:
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await devices.by_id(conn, device)


async def target(ctx: Context, device: DeviceId) -> Target:
    """What a device should run now, as people see it; unlike a poll this leaves no trace."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await targets.target(conn, device)


async def current_state(ctx: Context, device: DeviceId) -> CurrentState | None:
    """What a device last reported."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await devices.current_state(conn, device)


async def places(ctx: Context, device: DeviceId, before: RolloutId, limit: int) -> list[Member]:
    """A device's places in rollouts, newest first."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await members.of_device(conn, device, before, limit, await ctx.db.now(conn))


def checked_uuid(text: str) -> str:
    """A uuid in its usual form; raises BadInput for anything else."""
    try:
        return str(uuids.UUID(text))
    except ValueError as bad:
        raise BadInput(f"“{text[:64]}” is not a uuid") from bad


async def named(conn: Connection, uuid: str) -> Device:
    """The device of that uuid; raises NotFound."""
    device = await devices.by_uuid(conn, checked_uuid(uuid))
    if device is None:
        raise NotFound(f"there is no device {uuid}")
    return device
