"""What the database is busy with."""

from domain.actors import Permission
from resolvers.context import Context
from storage import activity


async def oldest_write(ctx: Context) -> float:
    """For how many seconds the oldest transaction that writes has been open: events that came after it wait for its end."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await activity.oldest_write(conn)
