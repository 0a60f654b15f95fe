"""The tasks that one process keeps running beside its requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from monitor.checking import check
from monitor.checks.addresses import Allowed
from monitor.checks.outside import way_out
from monitor.intake import take_in
from monitor.janitor import tidy
from monitor.loop import keep_running, resting
from monitor.polling import poll
from monitor.presence import watch
from monitor.reconciler import reconcile
from monitor.relay import Relay
from resolvers.context import Context


@asynccontextmanager
async def monitoring(ctx: Context, allowed: Allowed) -> AsyncIterator[None]:
    """Take in pushes, reconcile, relay, check, watch and tidy while the block runs; checks reach the addresses that are allowed."""
    db, wake, pushed = ctx.db, asyncio.Event(), asyncio.Event()

    def woken() -> None:
        db.notifier.heard()
        ctx.feed.bells.ring()
        wake.set()
        pushed.set()

    async with db.reading() as conn:
        began = await db.now(conn)
    relay = await Relay.beginning(db, ctx.feed, woken)
    async with way_out(allowed) as outside, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(relay.run(), name="relay"),
            group.create_task(keep_running("the reconciler", resting(lambda: reconcile(db)), wake, every=1.0), name="reconciler"),
            group.create_task(keep_running("the intake", lambda: take_in(ctx), pushed, every=1.0), name="intake"),
            group.create_task(keep_running("the poller", lambda: poll(ctx), asyncio.Event(), every=5.0), name="poller"),
            group.create_task(keep_running("the checker", lambda: check(db, outside), asyncio.Event(), every=1.0), name="checker"),
            group.create_task(keep_running("the watch", lambda: watch(db, began), asyncio.Event(), every=30.0), name="watch"),
            group.create_task(keep_running("the janitor", resting(lambda: tidy(db)), asyncio.Event(), every=10.0), name="janitor"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
