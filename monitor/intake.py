"""Decides about images that were pushed, some at a time: what a sender was promised with its 202.

A push is leased while it is looked at, and decided in one transaction; whoever dies in between is replaced when the lease is over.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from domain.actors import Actor
from domain.pushes import POLLING, Push, try_again_after
from monitor.abreast import abreast
from resolvers.context import Context
from resolvers.pushes import consider, put_off
from storage import pushes

LEASE = timedelta(minutes=1)
log = logging.getLogger(__name__)


async def take_in(ctx: Context) -> None:
    """Look at every push that is due, until none is."""

    async def claim(spared: Sequence[str]) -> tuple[str, Push] | None:
        return await _claim(ctx, spared)

    async def look(push: Push) -> None:
        await _look(ctx, push)

    await abreast(claim, look)


async def _claim(ctx: Context, spared: Sequence[str]) -> tuple[str, Push] | None:
    async with ctx.db.reading() as conn:
        if not await pushes.are_due(conn, await ctx.db.now(conn)):
            return None
    async with ctx.db.unheard() as conn:
        push = await pushes.claim(conn, spared, await ctx.db.now(conn), LEASE)
    return None if push is None else (push.image.repository.partition("/")[0], push)


async def _look(ctx: Context, push: Push) -> None:
    try:
        await consider(replace(ctx, actor=Actor(push.source if push.source == POLLING else f"webhook {push.source}")), push)
    except Exception:
        log.exception("push %s of %s could not be decided; it will be tried again", push.id, push.image)
        await _put_off(ctx, push)


async def _put_off(ctx: Context, push: Push) -> None:
    async with ctx.db.transaction() as conn:
        now = await ctx.db.now(conn)
        await put_off(conn, push, now + try_again_after(push.attempts), "something went wrong here; the server's log says what", now)
