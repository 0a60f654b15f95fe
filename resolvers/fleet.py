"""What may be asked of the whole fleet: which devices there are, how many, and where they are not as they should be."""

from domain.actors import Permission
from domain.devices import Device
from domain.differences import Difference, differences
from domain.fleet import DeviceFilter, DeviceOrder, Fleet, Place
from domain.ids import DeviceId
from resolvers.context import Context
from storage import devices, selecting, targets


async def page(ctx: Context, wanted: DeviceFilter, order: DeviceOrder, after: Place | None, limit: int) -> list[Device]:
    """Devices that have something in common, in some order, from a place on."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await selecting.page(conn, wanted, order, after, limit, await ctx.db.now(conn))


async def count(ctx: Context, wanted: DeviceFilter) -> int:
    """How many devices have something in common."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await selecting.count(conn, wanted, await ctx.db.now(conn))


async def fleets(ctx: Context) -> list[Fleet]:
    """Every fleet, by name."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await selecting.fleets(conn, await ctx.db.now(conn))


async def is_online(ctx: Context, device: Device) -> bool:
    """Whether a device was heard of lately."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return device.is_online(await ctx.db.now(conn))


async def differences_of(ctx: Context, device: DeviceId) -> list[Difference]:
    """Where what a device last reported is not what it should run, at one moment."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.snapshot() as conn:
        return differences(await targets.target(conn, device), await devices.current_state(conn, device))
