"""Reading what was missed from the table of events, page by page; only a few do that at a time."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from domain.errors import NotFound
from domain.events import Cursor, Event
from domain.ids import RolloutId
from resolvers.context import Context
from storage import events

PAGE = 500


async def beginning(ctx: Context, after: Cursor | None, rollout: RolloutId | None = None) -> Cursor:
    """Where to begin after a cursor; without one, now. Raises NotFound for a rollout that there is not, and CursorExpired."""
    now = ctx.feed.position
    async with ctx.db.reading() as conn:
        kept = await events.kept(conn, rollout)
    if kept is None:
        raise NotFound.of("rollout", rollout)
    if after is None:
        return now
    kept.check(after)
    return after


async def pages(ctx: Context, after: Cursor, rollout: RolloutId | None = None) -> AsyncGenerator[list[Event], None]:
    """What there is of which something lies after a cursor, up to what is settled by now: a rollout's, or everybody's and of every kind.

    Raises CursorExpired where some of it was forgotten meanwhile.
    """
    while page := await _page(ctx, after, rollout):
        yield page
        if len(page) < PAGE:
            return
        after = page[-1].cursor.past


async def _page(ctx: Context, after: Cursor, rollout: RolloutId | None) -> list[Event]:
    async with _turn(ctx), ctx.db.reading() as conn:
        page = await (events.page(conn, after, PAGE) if rollout is None else events.page_of(conn, rollout, after, PAGE))
        kept = await events.kept(conn)  # after the page: what was here by now was here before
    assert kept is not None, "there is one row"
    kept.check(after)
    return page


@asynccontextmanager
async def _turn(ctx: Context) -> AsyncIterator[None]:
    with ctx.load.replay_waits():
        await ctx.feed.replays.acquire()
    try:
        yield
    finally:
        ctx.feed.replays.release()
