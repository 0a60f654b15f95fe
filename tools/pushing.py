"""A push that nobody posted: written straight into the queue, and decided."""

from domain.ids import PushId
from domain.images import Image
from domain.pushes import Decision
from monitor.intake import take_in
from resolvers.context import Context
from storage import pushes


async def pushed(ctx: Context, image: str, source: str = "test") -> list[Decision]:
    """What is decided about an image that somebody says was pushed; nothing for as long as it waits."""
    async with ctx.db.transaction() as conn:
        await pushes.insert(conn, source, [Image.parse(image)], await ctx.db.now(conn))
        [push] = await pushes.page(conn, PushId(2**62), 1)
    await take_in(ctx)
    async with ctx.db.reading() as conn:
        return [decision for decision, _ in await pushes.decisions(conn, push.id)]
