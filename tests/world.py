"""A rollout that is written about, servers that tell of it, and clients that follow."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from domain.actors import Actor
from domain.events import Cursor
from domain.ids import RolloutId
from domain.requests import Request
from resolvers import rollouts, tokens
from resolvers.context import Context
from resolvers.feed import Feed
from resolvers.vault import Vault
from schema.nodes import node_id
from server.process import running
from server.settings import Settings
from storage.database import Database
from storage.migrate import migrate
from tests.conftest import KEYS
from tests.factories import a_rollout
from tools.followers import STEADY, Follower, Whims
from tools.lines import Asked, over_events, over_websocket
from tools.writers import Writer, table

OF_ONE = "subscription ($id: ID!, $after: String) { rolloutEvents(id: $id, after: $after) { cursor } }"
OF_SOME = """
subscription ($id: ID!, $after: String) { events(filter: {rollout: $id}, after: $after) { __typename ... on Event { cursor } } }"""
OF_ALL = "subscription ($after: String) { events(after: $after) { __typename ... on Event { cursor } } }"
BEGINNING = str(Cursor())
DEVICES = 5


@dataclass
class World:
    """A rollout of which everything is written by the test, and servers that tell of it."""

    operator: Context
    rollout: RolloutId
    urls: list[str]
    token: str
    beginning: str = BEGINNING
    """The cursor before all events."""

    def follower(self, name: str, way: Any, query: str, urls: Sequence[str], whims: Whims, begin: str | None) -> Follower:
        """Who follows this by this way, on any of these servers."""
        id_ = {} if query is OF_ALL else {"id": node_id("Rollout", self.rollout)}
        asked = Asked(self.token, query, {**id_, "after": begin or BEGINNING})
        return Follower(f"{name} about {query}", [partial(way, url, asked) for url in urls], begin, whims)

    def followers(self, whims: Whims = STEADY, begin: str | None = None) -> list[Follower]:
        """One by each way to each server for each subscription, and one by each who comes again to any."""
        ways = {"websocket": over_websocket, "stream": over_events}
        places = {**{f"server {at}": [url] for at, url in enumerate(self.urls, 1)}, "any server": self.urls}
        return [
            self.follower(f"{name} to {place}", way, query, urls, whims, begin)
            for (name, way), (place, urls), query in product(ways.items(), places.items(), (OF_ONE, OF_SOME, OF_ALL))
        ]

    async def all_told(self, followers: Sequence[Follower], seconds: float = 20) -> None:
        """Everybody is told everything, and as it is right."""
        every, some = await table(self.operator.db), await table(self.operator.db, self.rollout)
        tables = [every if OF_ALL in follower.name else some for follower in followers]
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while any(follower.last != table[-1] for follower, table in zip(followers, tables, strict=True)):
                    await asyncio.sleep(0.02)
        accounts = {follower.name: follower.account(table).mistakes for follower, table in zip(followers, tables, strict=True)}
        wrong = {name: mistakes for name, mistakes in accounts.items() if mistakes}
        assert not wrong, wrong


@asynccontextmanager
async def a_world(settings: Settings, direct: str, *urls: str) -> AsyncIterator[World]:
    """Servers on one database, reached by these ways."""
    await migrate(direct)
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(Database.connect(direct))
        operator = Context(db, Feed(), Actor.operator("ops"), Vault(KEYS))
        rollout = await a_rollout(operator, DEVICES)
        await rollouts.request(operator, rollout.id, Request.PAUSE)
        servers = [await stack.enter_async_context(running(settings, url)) for url in urls]
        yield World(operator, rollout.id, [server.url for server in servers], await tokens.issue(db, "ops"))


@asynccontextmanager
async def at_work(*jobs: Awaitable[None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """These go on for as long as the block runs; none may fail."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        failed = [end for end in ended if not isinstance(end, asyncio.CancelledError)]
        assert not failed, failed


@asynccontextmanager
async def writing(world: World, transactions: int = 0, writers: int = 9, pause: float = 0.01) -> AsyncIterator[None]:
    """Events happen while the block runs, and after it until there were so many transactions."""
    each = [Writer(world.operator.db, [world.rollout], DEVICES, seed) for seed in range(writers)]
    async with at_work(*(writer.write_for_ever(pause) for writer in each)):
        yield
        while sum(writer.committed for writer in each) < transactions:
            await asyncio.sleep(0.02)
