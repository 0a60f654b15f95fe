"""What operators do with many devices at once: so many a call, and each device is changed whole or left as it is, with the reason.

Each device that was changed has an entry of its own on record; the request's id ties those of one call together.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain import aside as asides
from domain import labels as labels_of
from domain.actors import Permission
from domain.audit import Action
from domain.devices import Device
from domain.errors import BadInput, NotFound, Refused
from domain.fleet import MOST_AT_ONCE, Chosen, DeviceOrder, Done, Place
from domain.patches import Patch
from resolvers import aside, documents
from resolvers.context import Context
from resolvers.devices import checked_uuid, subject
from resolvers.targets import patch_target
from storage import selecting

_IN_ORDER = DeviceOrder()


@dataclass(frozen=True, slots=True)
class Portion:
    """The devices of one call."""

    devices: tuple[Device, ...]
    unknown: tuple[str, ...] = ()
    """Named, and not there."""
    end: Place | None = None
    """Where the next call goes on; None after the last."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What came of one call."""

    results: tuple[Done, ...]
    end: Place | None


async def patch_targets(
    ctx: Context, chosen: Chosen, patch: Patch, expected_version: int | None, first: int, after: Place | None
) -> Changed:
    """Change one service of what many devices should run."""
    ctx.actor.must(Permission.OPERATE)
    documents.check(patch.config, "patch.config")

    async def change(device: Device) -> int:
        return (await patch_target(ctx, device.uuid, patch, expected_version)).version

    return await _each(ctx, chosen, first, after, change)


async def label(ctx: Context, chosen: Chosen, labels: object, without: Sequence[str], first: int, after: Place | None) -> Changed:
    """Write labels on many devices beside those they have, and take others away."""
    ctx.actor.must(Permission.OPERATE)
    documents.check(labels, "set")
    written = {} if labels is None else labels_of.checked(labels)
    if not written and not without:
        raise BadInput("give labels to set, or names of labels to remove")
    if both := written.keys() & without:
        raise BadInput(f"label {min(both)} is to be set and to be removed; say one of them")
    portion = await _portion(ctx, chosen, first, after)
    async with ctx.changing(Action.LABEL_DEVICES) as change:
        fitting = await selecting.relabel(change.conn, [device.id for device in portion.devices], written, without, labels_of.MOST)
        for device in portion.devices:
            if fitting.get(device.id):
                change.of(subject(device), set=written, remove=list(without))
    full = BadInput(f"set: at most {labels_of.MOST} labels, and with these it would have more")
    return _changed(portion, [Done(device.uuid, None if device.id in fitting else full) for device in portion.devices])


async def pin(ctx: Context, chosen: Chosen, reason: str | None, first: int, after: Place | None) -> Changed:
    """Have many devices stay exactly at what they are told to run now."""
    ctx.actor.must(Permission.OPERATE)
    asides.pinned(await _now(ctx), ctx.actor.name, reason)  # what is refused for all is refused before any is changed

    async def change(device: Device) -> None:
        await aside.pin(ctx, device.uuid, reason)

    return await _each(ctx, chosen, first, after, change)


async def hold(ctx: Context, chosen: Chosen, until: datetime, reason: str | None, first: int, after: Place | None) -> Changed:
    """Have many devices join no rollout until then."""
    ctx.actor.must(Permission.OPERATE)
    asides.held(None, until, await _now(ctx), ctx.actor.name, reason)

    async def change(device: Device) -> None:
        await aside.hold(ctx, device.uuid, until, reason)

    return await _each(ctx, chosen, first, after, change)


async def release(ctx: Context, chosen: Chosen, first: int, after: Place | None) -> Changed:
    """Let many devices join rollouts again, from the next one on."""
    ctx.actor.must(Permission.OPERATE)
    portion = await _portion(ctx, chosen, first, after)
    async with ctx.changing(Action.RELEASE_DEVICE) as change:
        released = await selecting.release(change.conn, [device.id for device in portion.devices])
        for device in portion.devices:
            if device.id in released:
                change.of(subject(device))
    return _changed(portion, [Done(device.uuid, None) for device in portion.devices])


async def _each(
    ctx: Context, chosen: Chosen, first: int, after: Place | None, change: Callable[[Device], Awaitable[int | None]]
) -> Changed:
    """Change one device after the other, each in a transaction of its own."""
    portion = await _portion(ctx, chosen, first, after)
    return _changed(portion, [await _one(device, change) for device in portion.devices])


async def _one(device: Device, change: Callable[[Device], Awaitable[int | None]]) -> Done:
    try:
        return Done(device.uuid, None, await change(device))
    except Refused as refused:
        return Done(device.uuid, refused)


async def _portion(ctx: Context, chosen: Chosen, first: int, after: Place | None) -> Portion:
    if not 1 <= first <= MOST_AT_ONCE:
        raise BadInput(f"first: 1 to {MOST_AT_ONCE}")
    if chosen.uuids is not None:
        return await _named(ctx, [checked_uuid(uuid) for uuid in chosen.uuids])
    async with ctx.db.reading() as conn:
        found = await selecting.page(conn, chosen.filter, _IN_ORDER, after, first + 1, await ctx.db.now(conn))
    kept = tuple(found[:first])
    return Portion(kept, end=Place.of(kept[-1], _IN_ORDER) if len(found) > first else None)


async def _named(ctx: Context, uuids: Sequence[str]) -> Portion:
    async with ctx.db.reading() as conn:
        found = await selecting.by_uuids(conn, uuids)
    known = {device.uuid for device in found}
    return Portion(tuple(found), tuple(uuid for uuid in dict.fromkeys(uuids) if uuid not in known))


def _changed(portion: Portion, done: Sequence[Done]) -> Changed:
    unknown = [Done(uuid, NotFound.of("device", uuid)) for uuid in portion.unknown]
    return Changed((*done, *unknown), portion.end)


async def _now(ctx: Context) -> datetime:
    async with ctx.db.reading() as conn:
        return await ctx.db.now(conn)
