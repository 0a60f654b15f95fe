"""The tasks that one process keeps running beside its requests."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from monitor.checking import check
from monitor.checks.addresses import Allowed
from monitor.checks.outside import way_out
from monitor.janitor import tidy
from monitor.loop import keep_running, resting
from monitor.reconciler import reconcile
from monitor.relay import Relay
from resolvers.feed import Feed
from storage.database import Database


@asynccontextmanager
async def monitoring(db: Database, feed: Feed, allowed: Allowed) -> AsyncIterator[None]:
    """Reconcile, relay, check and tidy while the block runs; checks from outside reach the addresses that are allowed."""
    wake = asyncio.Event()
    relay = await Relay.beginning(db, feed.publish, wake.set)
    async with way_out(allowed) as outside, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(relay.run(), name="relay"),
            group.create_task(keep_running("the reconciler", resting(lambda: reconcile(db)), wake, every=1.0), name="reconciler"),
            group.create_task(keep_running("the checker", lambda: check(db, outside), asyncio.Event(), every=1.0), name="checker"),
            group.create_task(keep_running("the janitor", resting(lambda: tidy(db)), asyncio.Event(), every=10.0), name="janitor"),
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
