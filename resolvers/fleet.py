"""What may be asked of the whole fleet: which devices there are, how many, and where they are not as they should be."""

from collections.abc import Sequence
from datetime import datetime

from domain.actors import Permission
from domain.devices import Device
from domain.differences import Difference, differences
from domain.fleet import DeviceFilter, DeviceOrder, Fleet, Place
from domain.ids import DeviceId, PolicyId, ProvisioningKeyId, RolloutId
from domain.policies import Policy
from domain.provisioning import ProvisioningKey
from domain.rollouts import Rollout
from resolvers.context import Context
from storage import devices, policies, provisioning, rollouts, selecting, targets
from storage.selecting import Shared


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


async def names(ctx: Context) -> list[str | None]:
    """Every fleet that has a device, by its name; None is for the devices without one."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await selecting.fleets(conn)


async def now(ctx: Context) -> datetime:
    """The time by which devices are online or not: who tells it of many asks once."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await ctx.db.now(conn)


async def differences_of(ctx: Context, ids: Sequence[DeviceId]) -> dict[DeviceId, list[Difference]]:
    """Where what devices last reported is not what they should run, at one moment."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.snapshot() as conn:
        told, reported = await targets.many(conn, ids), await devices.current_states(conn, ids)
    return {device: differences(target, reported.get(device)) for device, target in told.items()}


async def by_names(ctx: Context, names: Sequence[str | None]) -> dict[str | None, Fleet]:
    """Those of these fleets that have a device; None is for the devices without one."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await selecting.fleets_named(conn, names, await ctx.db.now(conn))


async def devices_of(
    ctx: Context, names: Sequence[str | None], wanted: DeviceFilter, order: DeviceOrder, after: Place | None, limit: int
) -> dict[str | None, list[Device]]:
    """The devices of fleets that have something in common, in some order, from a place on: of each fleet, so many."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await selecting.pages(conn, Shared.FLEET, names, wanted, order, after, limit, await ctx.db.now(conn))


async def count_devices_of(ctx: Context, names: Sequence[str | None], wanted: DeviceFilter) -> dict[str | None, int]:
    """How many devices of each of these fleets have something in common."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await selecting.counts(conn, Shared.FLEET, names, wanted, await ctx.db.now(conn))


async def policies_of(ctx: Context, names: Sequence[str | None], after: PolicyId, limit: int) -> dict[str | None, list[Policy]]:
    """The policies that are for each of these fleets and no other, in the order they were made."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await policies.of_fleets(conn, names, after, limit)


async def count_policies_of(ctx: Context, names: Sequence[str | None]) -> dict[str | None, int]:
    """How many policies are for each of these fleets and no other."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await policies.count_of_fleets(conn, names)


async def rollouts_of(ctx: Context, names: Sequence[str | None], before: RolloutId, limit: int) -> dict[str | None, list[Rollout]]:
    """The rollouts that are for each of these fleets, alone or with others, newest first."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await rollouts.of_fleets(conn, names, before, limit)


async def count_rollouts_of(ctx: Context, names: Sequence[str | None]) -> dict[str | None, int]:
    """How many rollouts are for each of these fleets, alone or with others."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await rollouts.count_of_fleets(conn, names)


async def provisioning_keys_of(
    ctx: Context, names: Sequence[str | None], after: ProvisioningKeyId, limit: int
) -> dict[str | None, list[ProvisioningKey]]:
    """The keys whose devices join each of these fleets, in the order they were made."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await provisioning.of_fleets(conn, names, after, limit)


async def count_provisioning_keys_of(ctx: Context, names: Sequence[str | None]) -> dict[str | None, int]:
    """How many keys have their devices join each of these fleets."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await provisioning.count_of_fleets(conn, names)
