"""What those are told who follow something while the server stops: that they may come again, at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import aiohttp
import pytest

from domain.events import Cursor
from resolvers import watching
from resolvers.context import Context
from server.process import running
from server.settings import Settings
from tests.api import Api
from tests.conftest import SECRET
from tests.factories import a_rollout
from tests.following import watch
from tests.roots import SUBSCRIPTIONS
from tests.test_graphql_sse import AS_EVENTS, lines
from tests.transports import asked, endless, known, received, subscribe

SERVICE_RESTART = 1012
Stop = Callable[[], Awaitable[None]]


@asynccontextmanager
async def stoppable(settings: Settings, database_url: str) -> AsyncIterator[tuple[Api, Stop]]:
    """A client of a server, and what ends the server."""
    async with AsyncExitStack() as serving:
        server = await serving.enter_async_context(running(settings, database_url))
        async with Api.of(server, SECRET) as api:
            yield api, serving.aclose


async def test_sockets_are_closed_so_that_clients_come_again_and_not_told_that_all_is_said(database_url: str, settings: Settings) -> None:
    async with stoppable(settings, database_url) as (api, stop):
        subscription = await endless(api)
        async with known(api) as ws:
            await subscribe(ws, subscription)
            await received(ws)
            listening = asyncio.create_task(said(ws))
            await stop()
            assert await listening <= {"next"}

    assert ws.close_code == SERVICE_RESTART


async def said(ws: aiohttp.ClientWebSocketResponse) -> set[str]:
    """The kinds of all messages up to the end."""
    return {message.json()["type"] async for message in ws}


@pytest.mark.parametrize("what", ["rolloutEvents", "rolloutProgress", "device", "deviceCounts"])
async def test_streams_are_cut_off_and_not_told_that_all_is_said(database_url: str, settings: Settings, what: str) -> None:
    async with stoppable(settings, database_url) as (api, stop):
        await endless(api)
        async with asked(api, json={"query": SUBSCRIPTIONS[what]}, headers=AS_EVENTS) as response:
            told = lines(response)
            await anext(told)
            await stop()
            assert {event async for event, _ in told} <= {"next"}


async def test_a_server_stops_within_three_seconds_whoever_follows(database_url: str, settings: Settings) -> None:
    async with stoppable(settings, database_url) as (api, stop), AsyncExitStack() as followers:
        subscription = await endless(api)
        for _ in range(10):
            await subscribe(await followers.enter_async_context(known(api)), subscription)
            await followers.enter_async_context(asked(api, json={"query": subscription}, headers=AS_EVENTS))
        async with asyncio.timeout(3):
            await stop()


async def test_who_begins_to_follow_while_it_stops_is_not_kept_waiting(operator: Context) -> None:
    rollout = (await a_rollout(operator)).id
    operator.feed.close()

    async with asyncio.timeout(1):
        assert [event async for event in watch(operator, rollout, Cursor())] == []
        assert [snapshot async for snapshot in (await watching.progress(operator, rollout)).values()] == []
