"""The repositories that something is known of, and the tags that were heard of in them."""

from domain.actors import Permission
from domain.images import Image
from domain.repositories import HeardTag
from resolvers.context import Context
from storage import repositories


async def page(ctx: Context, after: str, limit: int, search: str | None = None) -> list[str]:
    """Repositories that devices run images of, that were pushed to, or that operators said something of, by name."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await repositories.page(conn, after, limit, search)


async def count(ctx: Context, search: str | None = None) -> int:
    """How many there are."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await repositories.count(conn, search)


async def tags(ctx: Context, repository: str, after: str, limit: int) -> list[HeardTag]:
    """Tags that were heard of lately, by name; raises BadInput for what is no repository."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await repositories.tags(conn, Image.parse(repository).repository, after, limit)
