"""What operators do with devices that rollouts are to leave alone."""

from collections.abc import Sequence
from datetime import datetime

from domain import aside as rules
from domain.actors import Permission
from domain.aside import Aside
from domain.audit import Action
from domain.devices import Device
from domain.ids import DeviceId
from resolvers.context import Context
from resolvers.devices import locked, tell
from storage import devices, enrolment, folding, rollouts, targets
from storage.connection import Connection


async def pin(ctx: Context, uuid: str, reason: str | None, *, expected_version: int | None = None) -> Device:
    """Have a device stay exactly at what it is told to run now; it leaves every rollout it is in and keeps what that shows it."""
    async with ctx.changing(Action.PIN_DEVICE) as change:
        before = await alone_with(change.conn, uuid, expected_version)
        device = await devices.set_aside(change.conn, before.id, rules.pinned(change.now, ctx.actor.name, reason))
        await folding.keep(change.conn, device.id, change.now, only_unoffered=False)
        tell(change, before, device, reason=reason)
    return device


async def hold(ctx: Context, uuid: str, until: datetime, reason: str | None, *, expected_version: int | None = None) -> Device:
    """Have a device join no rollout until then; it leaves those that have not offered it their image yet, and stays in the others."""
    async with ctx.changing(Action.HOLD_DEVICE) as change:
        before = await alone_with(change.conn, uuid, expected_version)
        was = await devices.aside(change.conn, before.id, change.now)
        device = await devices.set_aside(change.conn, before.id, rules.held(was, until, change.now, ctx.actor.name, reason))
        await folding.keep(change.conn, device.id, change.now, only_unoffered=True)
        tell(change, before, device, until=until, reason=reason)
    return device


async def release(ctx: Context, uuid: str, *, expected_version: int | None = None) -> Device:
    """Let a device join rollouts again, from the next one on; one that is not set aside stays as it is."""
    async with ctx.changing(Action.RELEASE_DEVICE) as change:
        before = await locked(change.conn, uuid, expected_version)
        device = await devices.release(change.conn, before.id)
        tell(change, before, device)
    return device


async def alone_with(conn: Connection, uuid: str, expected_version: int | None) -> Device:
    """A device that nobody else ranks, moves or changes before this transaction ends; raises StaleVersion."""
    device = await locked(conn, uuid, expected_version)
    await enrolment.shared(conn, await targets.repositories(conn, device.id))
    await rollouts.locked_around(conn, device, [])
    await targets.locked_services(conn, device.id)
    return device


async def of_devices(ctx: Context, ids: Sequence[DeviceId]) -> dict[DeviceId, Aside]:
    """Why each of these devices joins no rollout now; one that does is absent."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await devices.asides(conn, ids, await ctx.db.now(conn))
