"""What operators do with devices: read them, and write labels on them."""

import re
import uuid as uuids

from domain import expected
from domain import labels as labels_of
from domain.actors import Permission
from domain.audit import Action, Subject, SubjectType
from domain.devices import CurrentState, Device
from domain.errors import BadInput, NotFound
from domain.ids import DeviceId, RolloutId
from domain.members import Member
from domain.targets import Target
from resolvers import documents
from resolvers.changing import Change
from resolvers.context import Context
from storage import devices, members, targets
from storage.connection import Connection

# uuids.UUID would also take signs, spaces, underscores and the digits of every script, as int() does.
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{12}")


async def set_labels(ctx: Context, uuid: str, labels: object, *, expected_version: int | None = None) -> Device:
    """Write labels on a device in the place of those it has; rollouts that it is in go by the ones it had when they began."""
    async with ctx.changing(Action.SET_DEVICE_LABELS) as change:
        documents.check(labels, "labels")
        checked = labels_of.checked(labels)
        before = await locked(change.conn, uuid, expected_version)
        device = await devices.set_labels(change.conn, before.id, checked)
        tell(change, before, device, labels=checked)
    return device


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
    if (uuid := canonical(text)) is None:
        raise BadInput(f"“{text[:64]}” is not a uuid")
    return uuid


def canonical(text: str) -> str | None:
    """The same, or None."""
    return str(uuids.UUID(text)) if _UUID.fullmatch(text) else None


async def named(conn: Connection, uuid: str) -> Device:
    """The device of that uuid; raises NotFound."""
    return _found(await devices.by_uuid(conn, checked_uuid(uuid)), uuid)


async def locked(conn: Connection, uuid: str, expected_version: int | None = None) -> Device:
    """The same, which nobody else changes before this transaction ends; raises StaleVersion."""
    device = _found(await devices.locked(conn, checked_uuid(uuid)), uuid)
    expected.check(f"device {uuid}", device.version, expected_version)
    return device


def tell(change: Change, before: Device, after: Device, **details: object) -> None:
    """Have it on record that a device was changed, if it was: asking for what is so already changes nothing."""
    if after.version != before.version:
        change.of(subject(after), **details)


def subject(device: Device) -> Subject:
    """What a device is called on record."""
    return Subject.of(SubjectType.DEVICE, device.uuid)


def _found(device: Device | None, uuid: str) -> Device:
    if device is None:
        raise NotFound.of("device", uuid)
    return device
