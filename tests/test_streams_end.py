"""How streams end, as clients see it: with too many of them, with their token, and with the server."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from domain.actors import Actor, Role
from domain.ids import RolloutId, TokenId
from domain.requests import Request
from resolvers import rollouts, tokens
from resolvers.context import Context
from server.graphql import connections
from server.process import Running
from server.settings import Settings
from tests.api import Api, eventually
from tests.clock import MovableClock
from tests.test_graceful_end import SERVICE_RESTART, stoppable
from tests.test_graphql_callers import holder
from tests.test_graphql_sse import AS_EVENTS, lines
from tests.transports import TYPENAME, asked, bearer, closed, endless, known, refused, socket, subscribe

TRY_AGAIN_LATER = 1013


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, streams_per_token=2)


async def too_many(api: Api) -> None:
    """Neither transport lets one more stream in."""
    async with socket(api, bearer(api)) as ws:
        assert await closed(ws) == TRY_AGAIN_LATER
    assert await refused(api, json={"query": TYPENAME}, headers=AS_EVENTS) == (429, "RATE_LIMITED")


async def test_a_token_holds_no_more_than_its_share_over_both_transports(server: Running, api: Api) -> None:
    subscription = await endless(api)
    async with known(api), AsyncExitStack() as open_:
        await open_.enter_async_context(asked(api, json={"query": subscription}, headers=AS_EVENTS))
        await too_many(api)
        async with holder(server, Role.READER) as reader, known(reader):
            pass
        async with asked(api, json={"query": TYPENAME}, headers=AS_EVENTS) as response:
            assert response.headers["retry-after"] == str(connections.COME_AGAIN)
        assert await api.graphql(TYPENAME)  # what is answered at once is no stream

        await open_.aclose()
        await eventually(lambda: open_streams(api), {"websocket": 1, "sse": 0})
        async with known(api):
            await too_many(api)


async def test_an_address_holds_no_more_than_its_share_whoever_asks(database_url: str, settings: Settings) -> None:
    async with stoppable(replace(settings, streams_per_address=1), database_url) as (api, _), known(api):
        await too_many(api)
        async with socket(api.stranger()) as ws:
            assert await closed(ws) == TRY_AGAIN_LATER


async def open_streams(api: Api) -> dict[str, float]:
    """How many streams there are of each kind."""
    samples = (await figures(api))["rollwave_stream_connections"].samples
    return {sample.labels["transport"]: sample.value for sample in samples}


async def figures(api: Api) -> dict[str, Metric]:
    """What /metrics tells."""
    async with api.http.get("/metrics", headers=bearer(api)) as response:
        return {family.name: family for family in text_string_to_metric_families(await response.text())}


async def test_streams_are_counted_while_they_are_open(api: Api) -> None:
    subscription = await endless(api)
    async with known(api), asked(api, json={"query": subscription}, headers=AS_EVENTS):
        assert await open_streams(api) == {"websocket": 1, "sse": 1}
    await eventually(lambda: open_streams(api), {"websocket": 0, "sse": 0})


async def test_how_late_events_are_read_is_told(api: Api) -> None:
    await endless(api)
    lag = {sample.name: sample.value for sample in (await figures(api))["rollwave_event_lag_seconds"].samples}
    assert 0 < lag["rollwave_event_lag_seconds_sum"] < 10 * lag["rollwave_event_lag_seconds_count"]


async def test_who_is_silent_is_ended_within_six_seconds_when_the_token_counts_no_more(
    server: Running, api: Api, operator: Context, clock: MovableClock
) -> None:
    subscription = await endless(api)
    async with (
        holder(server, Role.READER) as revoked,
        holder(server, Role.READER, timedelta(hours=1)) as expired,
        known(revoked) as ws,
        asked(expired, json={"query": subscription}, headers=AS_EVENTS) as stream,
        known(api) as other,
    ):
        await subscribe(ws, subscription)
        await tokens.revoke(replace(operator, actor=Actor.administrator("ada")), TokenId(2))
        clock.advance(hours=1)
        async with asyncio.timeout(6):
            told, events = [message async for message in ws], [event async for event in lines(stream)]
        await rollouts.request(operator, RolloutId(1), Request.PAUSE)

        assert ws.close_code == 4403
        assert "PAUSED" not in str([message.data for message in told])
        assert [event for event, _ in events[-2:]] == ["next", "complete"]
        [error] = events[-2][1]["errors"]
        assert error["message"].startswith("the token expired on ")
        assert error["extensions"] == {"code": "UNAUTHENTICATED"}
        await other.send_json({"type": "ping"})
        assert await other.receive_json() == {"type": "pong"}


async def test_a_server_that_stops_ends_streams_one_after_the_other_and_tells_the_others_until_then(
    database_url: str, settings: Settings, operator: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ENDING_PER_SECOND", 20.0)
    settings = replace(settings, streams_per_token=100)
    async with stoppable(settings, database_url) as (api, stop), AsyncExitStack() as followers:
        subscription = await endless(api)
        streams = [heard_on(await followers.enter_async_context(known(api)), subscription) for _ in range(12)]
        streams += [
            heard(await followers.enter_async_context(asked(api, json={"query": subscription}, headers=AS_EVENTS))) for _ in range(12)
        ]
        listening = [asyncio.create_task(until_its_end(stream)) for stream in streams]
        await asyncio.sleep(0.2)

        began = asyncio.get_running_loop().time()
        stopping = asyncio.ensure_future(stop())
        await asyncio.wait(listening, return_when=asyncio.FIRST_COMPLETED)
        await rollouts.request(operator, RolloutId(1), Request.PAUSE)
        with pytest.raises(aiohttp.ClientConnectorError):
            async with aiohttp.ClientSession() as other:
                await other.get(f"{api.url}/healthz")
        ends = sorted([await one for one in listening])
        await stopping

    assert all(time - began > place / 20 - 0.005 for place, (time, _) in enumerate(ends))
    assert ends[-1][0] - began < 5
    assert ["PAUSED" in said for _, said in (ends[0], ends[-1])] == [False, True]


async def until_its_end(stream: AsyncIterator[str]) -> tuple[float, str]:
    """When a stream ended, and everything it said."""
    said = "".join([part async for part in stream])
    return asyncio.get_running_loop().time(), said


async def heard_on(ws: aiohttp.ClientWebSocketResponse, subscription: str) -> AsyncIterator[str]:
    await subscribe(ws, subscription)
    async for message in ws:
        yield str(message.data)
    assert ws.close_code == SERVICE_RESTART


async def heard(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    async for event, data in lines(response):
        assert event != "complete"
        yield str(data)
