"""Following events within one process, as those who subscribe are told them."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from domain.events import Cursor, Event, EventFilter
from domain.ids import RolloutId
from monitor.relay import Relay
from resolvers import events as use
from resolvers.context import Context
from resolvers.feed import Feed
from storage import events
from storage.database import Database


async def watch(ctx: Context, rollout: RolloutId, after: Cursor) -> AsyncGenerator[Event, None]:
    """A rollout's events after a cursor, for as long as somebody listens."""
    async with aclosing(follow(ctx, await use.stream(ctx, EventFilter(rollout=rollout), after))) as happening:
        async for event in happening:
            yield event


async def follow(ctx: Context, stream: use.RolloutEvents) -> AsyncGenerator[Event, None]:
    """What a stream tells, for as long as somebody listens."""
    async with ctx.feed.follow(stream.rollout) as mailbox:
        # Subscribed before reading, so an event between the two is seen twice rather than never; the cursor drops the second.
        last = stream.after
        while not mailbox.closed:
            recent = ctx.feed.since(last)
            mailbox.overflowed = False
            async for told in stream.replay(last) if recent is None else stream.meant(recent, last):
                last = told.cursor
                yield told.value
            while not mailbox.closed and not mailbox.overflowed:
                async for told in stream.meant(await mailbox.take(), last):
                    last = told.cursor
                    yield told.value


async def table(db: Database) -> list[Event]:
    """Every event that is settled."""
    async with db.reading() as conn:
        return await events.page(conn, Cursor(), 100_000)


async def replay(ctx: Context, wanted: EventFilter, after: Cursor) -> list[Event]:
    """What the table tells after a cursor."""
    return [told.value async for told in (await use.stream(ctx, wanted, after)).replay(after)]


@asynccontextmanager
async def relaying(db: Database, feed: Feed) -> AsyncIterator[Relay]:
    """What settles is published, and what is committed is heard of, while the block runs: as in a server."""
    relay = await Relay.beginning(db, feed, feed.bells.ring)
    async with feed.running():
        task = asyncio.create_task(relay.run())
        try:
            yield relay
        finally:
            task.cancel()
            await asyncio.wait([task])


async def published(ctx: Context) -> None:
    """Wait until all that has happened so far has been published."""
    last = (await table(ctx.db))[-1].cursor
    async with asyncio.timeout(10):
        while ctx.feed.position < last:
            await asyncio.sleep(0.01)
