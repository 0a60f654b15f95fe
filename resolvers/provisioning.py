"""The keys that let devices register themselves: what operators do with them."""

from collections.abc import Sequence
from dataclasses import replace

from domain import labels as labels_of
from domain import provisioning as rules
from domain.actors import Permission
from domain.devices import Device
from domain.errors import NotFound
from domain.fleet import DeviceFilter, DeviceOrder, Place
from domain.ids import DeviceId, ProvisioningKeyId
from domain.provisioning import ProvisioningKey, Wanted
from resolvers import documents, keys
from resolvers.context import Context
from storage import provisioning, selecting
from storage.selecting import Shared


async def create(ctx: Context, wanted: Wanted) -> tuple[ProvisioningKey, str]:
    """A key that lets devices register themselves. It is told once and cannot be read again. Raises BadInput."""
    ctx.actor.must(Permission.OPERATE)
    documents.check(wanted.labels, "labels")
    key = keys.new("provisioning")
    async with ctx.db.transaction() as conn:
        now = await ctx.db.now(conn)
        checked = replace(rules.checked(wanted, now), labels=labels_of.checked(wanted.labels))
        made = await provisioning.insert(conn, checked, keys.digest(key), ctx.actor.name, now)
    return made, key


async def revoke(ctx: Context, key: ProvisioningKeyId) -> ProvisioningKey:
    """Have a key let nobody in any more; the devices that it has let in stay."""
    ctx.actor.must(Permission.OPERATE)
    async with ctx.db.transaction() as conn:
        revoked = await provisioning.revoke(conn, key, await ctx.db.now(conn))
    if revoked is None:
        raise NotFound(f"there is no provisioning key {key}")
    return revoked


async def one(ctx: Context, key: ProvisioningKeyId) -> ProvisioningKey | None:
    """One key, whether or not it still lets anybody in."""
    return (await many(ctx, [key])).get(key)


async def page(ctx: Context, after: ProvisioningKeyId, limit: int) -> list[ProvisioningKey]:
    """Keys in the order they were made."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await provisioning.page(conn, after, limit)


async def many(ctx: Context, ids: Sequence[ProvisioningKeyId]) -> dict[ProvisioningKeyId, ProvisioningKey]:
    """Those of these keys that there are, whether or not they still let anybody in."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await provisioning.many(conn, ids)


async def of_devices(ctx: Context, ids: Sequence[DeviceId]) -> dict[DeviceId, ProvisioningKey]:
    """The key that each of these devices registered with last."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await provisioning.of_devices(conn, ids)


async def devices_of(
    ctx: Context, ids: Sequence[ProvisioningKeyId], wanted: DeviceFilter, order: DeviceOrder, after: Place | None, limit: int
) -> dict[ProvisioningKeyId, list[Device]]:
    """The devices that registered last with each of these keys, in some order, from a place on: of each key, so many."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await selecting.pages(conn, Shared.PROVISIONING_KEY, ids, wanted, order, after, limit, await ctx.db.now(conn))


async def count_devices_of(ctx: Context, ids: Sequence[ProvisioningKeyId], wanted: DeviceFilter) -> dict[ProvisioningKeyId, int]:
    """How many devices registered last with each of these keys."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await selecting.counts(conn, Shared.PROVISIONING_KEY, ids, wanted, await ctx.db.now(conn))
