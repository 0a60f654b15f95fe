"""What operators do with devices that rollouts are to leave alone."""

from collections.abc import Sequence
from datetime import datetime

from domain import aside as rules
from domain.actors import Permission
from domain.aside import Aside
from domain.devices import Device
from domain.ids import DeviceId
from resolvers.context import Context
from resolvers.devices import named
from storage import devices, enrolment, folding, rollouts, targets
from storage.connection import Connection


async def pin(ctx: Context, uuid: str, reason: str | None) -> Device:
    """Have a device stay exactly at what it is told to run now; it leaves every rollout it is in and keeps what that shows it."""
    ctx.actor.must(Permission.OPERATE)
    async with ctx.db.transaction() as conn:
        device, now = await alone_with(conn, uuid), await ctx.db.now(conn)
        await devices.set_aside(conn, device.id, rules.pinned(now, ctx.actor.name, reason))
        await folding.keep(conn, device.id, now, only_unoffered=False)
    return device


async def hold(ctx: Context, uuid: str, until: datetime, reason: str | None) -> Device:
    """Have a device join no rollout until then; it leaves those that have not offered it their image yet, and stays in the others."""
    ctx.actor.must(Permission.OPERATE)
    async with ctx.db.transaction() as conn:
        device, now = await alone_with(conn, uuid), await ctx.db.now(conn)
        before = await devices.aside(conn, device.id, now)
        await devices.set_aside(conn, device.id, rules.held(before, until, now, ctx.actor.name, reason))
        await folding.keep(conn, device.id, now, only_unoffered=True)
    return device


async def release(ctx: Context, uuid: str) -> Device:
    """Let a device join rollouts again, from the next one on; one that is not set aside stays as it is."""
    ctx.actor.must(Permission.OPERATE)
    async with ctx.db.transaction() as conn:
        device = await named(conn, uuid)
        await devices.release(conn, device.id)
    return device


async def of_device(ctx: Context, device: DeviceId) -> Aside | None:
    """Why a device joins no rollout now; None if it does."""
    return (await of_devices(ctx, [device])).get(device)


async def alone_with(conn: Connection, uuid: str) -> Device:
    """A device that nobody else ranks, moves or changes before this transaction ends."""
    device = await named(conn, uuid)
    await devices.lock(conn, device.id)
    await enrolment.shared(conn, await targets.repositories(conn, device.id))
    await rollouts.locked_around(conn, device, [])
    await targets.locked_services(conn, device.id)
    return device


async def of_devices(ctx: Context, ids: Sequence[DeviceId]) -> dict[DeviceId, Aside]:
    """Why each of these devices joins no rollout now; one that does is absent."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await devices.asides(conn, ids, await ctx.db.now(conn))
