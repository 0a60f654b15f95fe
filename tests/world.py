"""Servers in this process that tell of a rollout, and what is written about it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from domain.actors import Actor
from resolvers import tokens
from resolvers.context import Context
from resolvers.feed import Feed
from resolvers.vault import Vault
from server.process import running
from server.settings import Settings
from storage.database import Database
from storage.migrate import migrate
from tests.conftest import KEYS
from tools.followers import Follower
from tools.world import World, a_paused_rollout, at_work


@asynccontextmanager
async def a_world(settings: Settings, direct: str, *urls: str) -> AsyncIterator[World]:
    """A server for each of these ways to one database."""
    await migrate(direct)
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(Database.connect(direct))
        operator = Context(db, Feed(), Actor.operator("ops"), Vault(KEYS))
        rollout = await a_paused_rollout(operator)
        servers = [await stack.enter_async_context(running(settings, url)) for url in urls]
        yield World(operator, rollout, [server.url for server in servers], await tokens.issue(db, "ops"))


@asynccontextmanager
async def writing(world: World, transactions: int = 0) -> AsyncIterator[None]:
    """Events happen while the block runs, and after it until there were so many transactions."""
    writers = world.writers(9)
    async with at_work(*(writer.write_for_ever(0.01) for writer in writers)):
        yield
        while sum(writer.committed for writer in writers) < transactions:
            await asyncio.sleep(0.02)


async def all_are_told(world: World, followers: Sequence[Follower]) -> None:
    """Everybody is told everything, and rightly."""
    mistakes = await world.mistakes(followers, 20)
    assert not mistakes, mistakes
