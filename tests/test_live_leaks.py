"""What those leave behind who do not read, fall silent, or come and go: nothing."""

import asyncio
import gc
import re
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from resource import getpagesize
from typing import Any

import aiohttp
import pytest
import uvicorn
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp

from server import process, slow_readers
from server.graphql import events as streams
from server.process import served
from server.settings import Settings
from tests.api import eventually
from tests.world import a_world, all_are_told
from tools.conversation import come_and_go
from tools.lines import fall_silent
from tools.world import OF_ONE, OF_SOME, WAYS, World, at_work
from tools.writers import table

HEAVY = f"""
subscription ($id: ID!, $after: String) {{
  events(filter: {{rollout: $id}}, after: $after) {{ ... on Event {{ cursor {" ".join(f"a{n}: data" for n in range(40))} }} }}
}}"""
MUCH, SIZE = 2_000, 1_000
"""So many events, of each of which HEAVY tells so many bytes forty times: 80 MB, which no kernel keeps for anybody."""
OURS = re.compile("(domain|storage|resolvers|schema|monitor|server|graphql|strawberry|starlette|uvicorn|websockets|broadcaster)[.]")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers of which nothing is heard are given up within a second or two."""
    monkeypatch.setattr(slow_readers, "PATIENCE_MS", 1000)
    monkeypatch.setattr(streams, "QUIET", 0.3)
    monkeypatch.setattr(process, "served", _served_impatiently)


def _served_impatiently(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    config = served(app, settings)
    config.ws_ping_interval = config.ws_ping_timeout = 0.7
    return config


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_whoever_never_reads_holds_up_nobody_costs_little_and_is_cut_off(database_url: str, settings: Settings, way: Any) -> None:
    async with a_world(replace(settings, graphql_points=10**9), database_url, database_url) as world:
        [follower, *_] = world.followers()
        async with at_work(follower.follow()):
            await eventually(lambda: _subscribers(world), 1)
            async with AsyncExitStack() as stack:
                line = await stack.enter_async_context(way(world.urls[0], world.asked(HEAVY), None))
                stack.callback(lambda: line.transport.abort())
                await eventually(lambda: _subscribers(world), 2)
                before = _resident()
                await _happen(world, MUCH)
                await all_are_told(world, [follower])
                assert await _subscribers(world) == 2, "he is still waited for"
                assert _resident() - before < 40_000_000
                await eventually(lambda: _subscribers(world), 1)
    assert follower.ends == {}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_a_peer_that_falls_silent_is_cut_off_though_nothing_happens(database_url: str, settings: Settings, way: Any) -> None:
    async with a_world(settings, database_url, database_url) as world, AsyncExitStack() as stack:
        for _ in range(10):
            async with way(world.urls[0], world.asked(OF_ONE), None) as line:
                await line.hear()
                stack.enter_context(fall_silent(line.transport))
                line.transport.abort()
        await eventually(lambda: _subscribers(world), 0)


async def test_subscriptions_by_the_thousand_leave_nothing_when_they_are_gone(database_url: str, settings: Settings) -> None:
    async with a_world(replace(settings, graphql_points=10**9), database_url, database_url) as world:
        await _happen(world, 2)
        after = (await table(world.operator.db, world.rollout))[-2]
        await _come_and_go(world, after)
        before, tasks, held = _ours(), len(asyncio.all_tasks()), _resident()
        for _ in range(2):
            await _come_and_go(world, after)

        assert {kind: grown for kind, count in _ours().items() if (grown := count - before[kind]) > 50} == {}
        assert len(asyncio.all_tasks()) <= tasks + 2
        assert _resident() - held < 20_000_000
        figures = await _figures(world)
        assert figures == {**figures, "subscription_groups": 0, "mailbox_events": 0, "stream_connections": 0}


async def _come_and_go(world: World, after: str) -> None:
    await come_and_go(world.urls[0], world.token, [OF_ONE, OF_SOME], id=world.rollout_id, after=after)
    await eventually(lambda: _subscribers(world), 0)


async def _happen(world: World, count: int) -> None:
    """So many events at once."""
    async with world.operator.db.transaction() as conn:
        await conn.execute(
            """
            insert into events (at, type, rollout_id, data)
            select now(), 'image.device_updated', $1, jsonb_build_object('text', repeat('x', $2)) from generate_series(1, $3)
            """,
            world.rollout, SIZE, count,
        )  # fmt: skip


async def _subscribers(world: World) -> float:
    return (await _figures(world))["subscribers"]


async def _figures(world: World) -> dict[str, float]:
    """What the server tells of its load."""
    headers = {"Authorization": f"Bearer {world.token}"}
    async with aiohttp.ClientSession() as http, http.get(f"{world.urls[0]}/metrics", headers=headers) as told:
        families = text_string_to_metric_families(await told.text())
    return {sample.name.removeprefix("rollwave_"): sample.value for family in families for sample in family.samples}


def _ours() -> Counter[str]:
    """How many objects there are of each kind that ours is, or that a connection, a document or an answer is made of."""
    gc.collect()
    kinds = (f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    return Counter(kind for kind in kinds if OURS.match(kind))


def _resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()
