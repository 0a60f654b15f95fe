"""Images that somebody says were pushed, and what has become of them."""

from domain.ids import PushId
from domain.images import Image
from domain.pushes import Decision, Push
from domain.rollouts import Rollout
from monitor.intake import take_in
from resolvers.context import Context
from storage import pushes, rollouts
from tests.registry import LittleRegistry
from tools.pushing import pushed

APP = "acme/app"


def at(little: LittleRegistry, tag: str | None = None, digest: str | None = None) -> str:
    """The app as it is kept there."""
    return str(little.image(APP, tag, digest))


def everything_of(little: LittleRegistry) -> dict[str, object]:
    """The settings of a policy for whatever is kept there."""
    return {"image_pattern": f"{little.host}/**"}


async def told(ctx: Context, image: str, source: str = "test") -> Push:
    """An image that was pushed, once it was looked at."""
    await pushed(ctx, image, source)
    return (await all_pushes(ctx))[-1]


async def looked_at(ctx: Context, push: Push) -> Push:
    """A push after whatever is due was looked at."""
    await take_in(ctx)
    async with ctx.db.reading() as conn:
        found = await pushes.one(conn, push.id)
    assert found is not None
    return found


async def all_pushes(ctx: Context) -> list[Push]:
    """Every push, oldest first."""
    async with ctx.db.reading() as conn:
        return (await pushes.page(conn, PushId(2**62), 1000))[::-1]


async def decided(ctx: Context, push: Push) -> list[Decision]:
    """What came of a push."""
    async with ctx.db.reading() as conn:
        return [decision for decision, _ in await pushes.decisions(conn, push.id)]


async def decision(ctx: Context, push: Push) -> str:
    """The one thing that came of a push, in words."""
    [only] = await decided(ctx, push)
    return only.decision


async def waits_for(ctx: Context) -> list[str]:
    """What the pushes that wait do wait for."""
    return [push.waits_for or "nobody looked" for push in await all_pushes(ctx) if push.due_at is not None]


async def rolled_out(ctx: Context) -> list[Image]:
    """The image of every rollout, oldest first."""
    return [rollout.image for rollout in await all_rollouts(ctx)]


async def all_rollouts(ctx: Context) -> list[Rollout]:
    """Every rollout, oldest first."""
    async with ctx.db.reading() as conn:
        rows = await conn.fetch("select id from rollouts order by id")
        found = [await rollouts.one(conn, row["id"]) for row in rows]
    return [rollout for rollout in found if rollout is not None]
