"""The repositories that something is known of, and the tags that were heard of in them."""

from collections.abc import Sequence

from domain.actors import Permission
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


async def tags_of(ctx: Context, names: Sequence[str], after: str, limit: int) -> dict[str, list[HeardTag]]:
    """The tags of each of these repositories that were heard of, by name; one of which nothing was heard is absent."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await repositories.tags_of(conn, names, after, limit)


async def count_tags_of(ctx: Context, names: Sequence[str]) -> dict[str, int]:
    """How many there are."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await repositories.count_tags_of(conn, names)


async def many_tags(ctx: Context, named: Sequence[tuple[str, str]]) -> dict[tuple[str, str], HeardTag]:
    """Those of these tags that were heard of, each by its repository and its name."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await repositories.many_tags(conn, named)
