"""The keys that let devices register themselves: what operators do with them."""

from domain.actors import Permission
from domain.errors import BadInput
from resolvers import keys
from resolvers.context import Context
from storage import provisioning


async def create(ctx: Context, fleet: str | None) -> str:
    """A key that lets devices register themselves in a fleet. It is told once and cannot be read again."""
    ctx.actor.must(Permission.OPERATE)
    if fleet is not None and not 0 < len(fleet) <= 255:
        raise BadInput("fleet: 1 to 255 characters")
    key = keys.new("provisioning")
    async with ctx.db.transaction() as conn:
        await provisioning.insert(conn, keys.digest(key), fleet, await ctx.db.now(conn))
    return key
