"""Decides about images that were pushed, some at a time: what a sender was promised with its 202.

A push is leased while it is looked at, and decided in one transaction; whoever dies in between is replaced when the lease is over.
"""

import asyncio
import logging
from dataclasses import replace
from datetime import timedelta

from domain.actors import Actor
from domain.pushes import POLLING, Push, try_again_after
from resolvers.context import Context
from resolvers.pushes import consider
from storage import pushes

AT_ONCE = 4
"""So many pushes are looked at together; one that waits for a slow registry holds up a quarter of them."""
LEASE = timedelta(minutes=1)
log = logging.getLogger(__name__)


async def take_in(ctx: Context) -> None:
    """Look at every push that is due, until none is."""
    async with ctx.db.reading() as conn:
        if not await pushes.are_due(conn, await ctx.db.now(conn)):
            return
    ends = await asyncio.gather(*(_work(ctx) for _ in range(AT_ONCE)), return_exceptions=True)
    # One that fails leaves the others their work, and is told of when none of them is left behind.
    for end in ends:
        if end is not None:
            raise end


async def _work(ctx: Context) -> None:
    while push := await _claim(ctx):
        try:
            await consider(replace(ctx, actor=Actor(push.source if push.source == POLLING else f"webhook {push.source}")), push)
        except Exception:
            log.exception("push %s of %s could not be decided; it will be tried again", push.id, push.image)
            await _put_off(ctx, push)


async def _claim(ctx: Context) -> Push | None:
    async with ctx.db.unheard() as conn:
        return await pushes.claim(conn, await ctx.db.now(conn), LEASE)


async def _put_off(ctx: Context, push: Push) -> None:
    async with ctx.db.transaction() as conn:
        now = await ctx.db.now(conn)
        await pushes.put_off(conn, push, now + try_again_after(push.attempts), "something went wrong here; the server's log says what")
