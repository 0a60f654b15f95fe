"""The keys that let devices register themselves: what operators do with them."""

from dataclasses import replace

from domain import labels as labels_of
from domain import provisioning as rules
from domain.actors import Permission
from domain.errors import NotFound
from domain.ids import ProvisioningKeyId
from domain.provisioning import ProvisioningKey, Wanted
from resolvers import documents, keys
from resolvers.context import Context
from storage import provisioning


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
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await provisioning.one(conn, key)


async def page(ctx: Context, after: ProvisioningKeyId, limit: int) -> list[ProvisioningKey]:
    """Keys in the order they were made."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await provisioning.page(conn, after, limit)
