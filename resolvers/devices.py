"""What operators do with devices: read them, and write labels on them."""

import re
import uuid as uuids
from collections.abc import Sequence

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
from storage import devices, members, selecting, targets
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
    return (await many(ctx, [device])).get(device)


async def target(ctx: Context, device: DeviceId) -> Target:
    """What a device should run now, as people see it; unlike a poll this leaves no trace."""
    return (await targets_of(ctx, [device]))[device]


async def current_state(ctx: Context, device: DeviceId) -> CurrentState | None:
    """What a device last reported."""
    return (await current_states_of(ctx, [device])).get(device)


async def places(ctx: Context, device: DeviceId, before: RolloutId, limit: int) -> list[Member]:
    """A device's places in rollouts, newest first."""
    return (await places_of(ctx, [device], before, limit)).get(device, [])


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


async def many(ctx: Context, ids: Sequence[DeviceId]) -> dict[DeviceId, Device]:
    """Those of these devices that there are."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await devices.many(conn, ids)


async def by_uuids(ctx: Context, asked: Sequence[str]) -> dict[str, Device]:
    """Those of these devices that there are, by what they were asked by; nobody is found by what is no uuid."""
    ctx.actor.must(Permission.READ)
    known = {text: uuid for text in asked if (uuid := canonical(text))}
    async with ctx.db.reading() as conn:
        found = {device.uuid: device for device in await selecting.by_uuids(conn, list(known.values()))}
    return {text: found[uuid] for text, uuid in known.items() if uuid in found}


async def targets_of(ctx: Context, ids: Sequence[DeviceId]) -> dict[DeviceId, Target]:
    """What devices should run now, at one moment."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await targets.many(conn, ids)


async def current_states_of(ctx: Context, ids: Sequence[DeviceId]) -> dict[DeviceId, CurrentState]:
    """What devices last reported; one that never did is absent."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await devices.current_states(conn, ids)


async def places_of(ctx: Context, ids: Sequence[DeviceId], before: RolloutId, limit: int) -> dict[DeviceId, list[Member]]:
    """The places of devices in rollouts, newest first: of each, so many."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await members.of_devices(conn, ids, before, limit, await ctx.db.now(conn))


async def count_places_of(ctx: Context, ids: Sequence[DeviceId]) -> dict[DeviceId, int]:
    """In how many rollouts each of these devices has a place."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await members.count_of_devices(conn, ids)
