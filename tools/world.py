"""A rollout that is written about, servers that tell of it, and clients who follow."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

from domain.events import Cursor, EventType
from domain.ids import RolloutId
from domain.requests import Request
from monitor.reconciler import reconcile
from resolvers import policies, rollouts
from resolvers.context import Context
from schema.nodes import node_id
from tools.crowd import crowd
from tools.followers import STEADY, Follower, Whims
from tools.lines import Asked, over_events, over_websocket
from tools.pushing import pushed
from tools.writers import Writer, table

OF_ONE = "subscription ($id: ID!, $after: String) { rolloutEvents(id: $id, after: $after) { cursor } }"
OF_SOME = """
subscription ($id: ID!, $after: String) { events(filter: {rollout: $id}, after: $after) { __typename ... on Event { cursor } } }"""
TYPES = ", ".join(EventType.__members__)  # by name, so that the devices of batches are among them
OF_ALL = (
    f"subscription ($after: String) {{ events(filter: {{types: [{TYPES}]}}, after: $after) {{ __typename ... on Event {{ cursor }} }} }}"
)
SUBSCRIPTIONS = {"rolloutEvents": OF_ONE, "events of the rollout": OF_SOME, "events": OF_ALL}
WAYS = {"websocket": over_websocket, "stream": over_events}
BEGINNING = str(Cursor())
"""After this comes everything."""
DEVICES = 5
COMES_AGAIN = frozenset({"cut off", "no connection", "closed with 1012", "closed with 1013", "answered with 503"})
"""How connections may end while something is away: after these, clients that others wrote come again."""


async def a_paused_rollout(operator: Context) -> RolloutId:
    """One that does nothing by itself, and has devices of which a batch may tell."""
    await crowd(operator.db, DEVICES)
    await policies.create(operator, {"image_pattern": "nginx*", "update_strategy": "staged", "health_check_enabled": False})
    [decision] = await pushed(operator, "nginx:2.0.0")
    assert decision.rollout_id is not None, decision
    await reconcile(operator.db)
    await rollouts.request(operator, decision.rollout_id, Request.PAUSE)
    return decision.rollout_id


@dataclass(frozen=True, slots=True)
class World:
    """Such a rollout, of which everything else is written here, and the servers."""

    operator: Context
    rollout: RolloutId
    urls: Sequence[str]
    token: str

    @property
    def rollout_id(self) -> str:
        """As clients name it."""
        return node_id("Rollout", self.rollout)

    def asked(self, query: str, after: str = BEGINNING) -> Asked:
        """One of the subscriptions above, or one like them."""
        return Asked(self.token, query, {"after": after} if query is OF_ALL else {"id": self.rollout_id, "after": after})

    def followers(self, whims: Whims = STEADY, begin: str = BEGINNING) -> list[Follower]:
        """One by each way to each server for each of the subscriptions, and one by each who comes again to any."""
        places = {**{f"server {at}": [url] for at, url in enumerate(self.urls, 1)}, "any server": self.urls}
        return [
            Follower(f"{name} to {place}, {what}", [partial(way, url, self.asked(query, begin)) for url in urls], begin, whims)
            for (name, way), (place, urls), (what, query) in product(WAYS.items(), places.items(), SUBSCRIPTIONS.items())
        ]

    async def mistakes(self, followers: Sequence[Follower], seconds: float) -> list[str]:
        """What any of them was told wrongly, or not at all: they are waited for until for so long nobody was told anything.

        Nothing may be written meanwhile.
        """
        every, some = [BEGINNING, *await table(self.operator.db)], [BEGINNING, *await table(self.operator.db, self.rollout)]
        tables = [every if follower.name.endswith(", events") else some for follower in followers]
        told, since = 0, time.monotonic()
        while any(follower.last != table[-1] for follower, table in zip(followers, tables, strict=True)):
            await asyncio.sleep(0.02)
            if told != (told := sum(follower.told for follower in followers)):
                since = time.monotonic()
            if time.monotonic() - since > seconds:
                break
        accounts = [(follower.name, follower.account(table)) for follower, table in zip(followers, tables, strict=True)]
        return [f"{name}: {mistake}" for name, account in accounts for mistake in account.mistakes]

    def writers(self, count: int) -> list[Writer]:
        """Whoever writes about the rollout."""
        return [Writer(self.operator.db, [self.rollout], DEVICES, seed) for seed in range(count)]


@asynccontextmanager
async def at_work(*jobs: Awaitable[Any]) -> AsyncIterator[None]:
    """These go on for as long as the block runs; none may end before."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended), ended
