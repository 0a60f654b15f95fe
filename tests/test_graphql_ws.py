"""GraphQL over WebSocket: graphql-transport-ws message by message, and what is done to those who do not keep to it."""

import asyncio
import gc
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from socket import create_connection
from typing import Any

import aiohttp
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from domain.events import Cursor
from server import slow_readers
from server.graphql import socket as sockets
from server.graphql.answers import refusal
from server.graphql.channels import Answer, Channel
from server.graphql.connections import Connections, Transport
from server.graphql.events import Events
from server.graphql.members import Member
from server.graphql.messages import Code, closing
from server.graphql.pace import Pace
from server.process import Running, Serving, served
from server.settings import Settings
from tests.api import Api, eventually, everything
from tests.test_graphql_sse import followers
from tests.transports import ANSWERED, PROTOCOL, TYPENAME, bearer, closed, endless, known, received, socket, subscribe, unknown

QUERY = {"query": TYPENAME}
HANDSHAKE = b"\r\n".join([
    b"GET / HTTP/1.1", b"Host: a", b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Version: 13",
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", b"", b"",
])  # fmt: skip
NO_IDS: list[Any] = [None, [], {}, 7, "", "x" * 129]
NO_PAYLOADS: list[Any] = [None, [], "text", {}, {"query": 7}, {"query": ""}, {"documentId": 7}]
NO_OBJECTS: list[Any] = [[1], 7, "text"]
STRANGE: list[Any] = [
    7, "text", [], None, {}, {"type": 7}, {"type": "nonsense"}, {"type": "connection_ack"}, {"type": "next", "id": "1", "payload": {}},
    {"type": "connection_init", "payload": []}, {"type": "ping", "payload": 7}, {"type": "pong", "payload": "text"}, {"type": "subscribe"},
    *[{"type": "subscribe", "id": wrong, "payload": QUERY} for wrong in NO_IDS],
    *[{"type": "complete", "id": wrong} for wrong in NO_IDS],
    *[{"type": "subscribe", "id": "1", "payload": wrong} for wrong in NO_PAYLOADS],
    *[{"type": "subscribe", "id": "1", "payload": {**QUERY, "variables": wrong}} for wrong in NO_OBJECTS],
    *[{"type": "subscribe", "id": "1", "payload": {**QUERY, "extensions": wrong}} for wrong in [*NO_OBJECTS, {"persistedQuery": 7}]],
    {"type": "subscribe", "id": "1", "payload": {**QUERY, "operationName": 7}},
    {"type": "subscribe", "id": "1", "payload": {**QUERY, "variables": {"a": "\0"}}},
]  # fmt: skip


@pytest.fixture(autouse=True)
def _nothing_is_logged_as_our_mistake(caplog: pytest.LogCaptureFixture) -> Any:
    yield
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def ending(ws: aiohttp.ClientWebSocketResponse) -> int | None:
    """The code that it is closed with, after whatever is said before."""
    async with asyncio.timeout(10):
        while (await ws.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
    return ws.close_code


# Who it is


async def test_who_introduces_himself_with_a_good_token_is_answered(api: Api) -> None:
    for init in (bearer(api), {"authorization": f"bearer {api.token}"}):
        async with socket(api, init) as ws:
            assert await ws.receive_json() == {"type": "connection_ack"}
            await subscribe(
                ws,
                "query A($v: Boolean!) { __typename @include(if: $v) } query B { a: __typename }",
                variables={"v": True},
                operationName="A",
            )
            assert await received(ws) == {"id": "1", "type": "next", "payload": ANSWERED}
            assert await received(ws) == {"id": "1", "type": "complete"}
    async with socket(api, headers=bearer(api)) as ws:
        await ws.send_json({"type": "connection_init", "payload": None})
        assert await ws.receive_json() == {"type": "connection_ack"}


async def test_without_a_good_token_it_ends_with_4403(api: Api) -> None:
    for init in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": api.token}, {"Authorization": ["Bearer"]}, {"token": api.token}):
        async with socket(api, init) as ws:
            assert await closed(ws) == 4403, init


async def test_who_asks_before_he_introduces_himself_ends_with_4401_and_who_does_it_twice_with_4429(api: Api) -> None:
    async with socket(api) as ws:
        await ws.send_json({"type": "ping"})
        assert await ws.receive_json() == {"type": "pong"}
        await subscribe(ws, TYPENAME)
        assert await closed(ws) == 4401
    async with known(api) as ws:
        await ws.send_json({"type": "connection_init", "payload": bearer(api)})
        assert await closed(ws) == 4429


async def test_who_says_nothing_ends_with_4408_whatever_he_pings(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "PATIENCE", 0.3)

    async with socket(api) as ws, asyncio.timeout(3):
        await ws.send_json({"type": "ping"})
        assert await ws.receive_json() == {"type": "pong"}
        assert await closed(ws) == 4408


async def test_only_the_one_protocol_is_spoken(api: Api) -> None:
    for protocols in ([], ["graphql-ws"], ["nonsense"]):
        async with api.http.ws_connect("/graphql", protocols=protocols) as ws:
            assert await closed(ws) == 4406
    async with api.http.ws_connect("/graphql", protocols=["graphql-ws", PROTOCOL]) as ws:
        assert ws.protocol == PROTOCOL


class TestOrigins:
    """Pages of which other origins may connect."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, allowed_origins=frozenset({"https://fleet.example"}))

    async def test_a_page_of_elsewhere_is_refused_in_the_handshake(self, api: Api) -> None:
        for good in (api.url, "https://fleet.example", "https://FLEET.example:443"):
            async with socket(api, bearer(api), headers={"Origin": good}) as ws:
                assert await ws.receive_json() == {"type": "connection_ack"}, good
        for bad in (
            "https://evil.example",
            "http://fleet.example",
            "https://fleet.example.evil.example",
            "null",
            "",
            "https://[",
            api.url + "1",
        ):
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await api.http.ws_connect("/graphql", protocols=[PROTOCOL], headers={"Origin": bad})
            assert refused.value.status == 403, bad


# What is said


async def test_a_message_of_another_shape_ends_it_with_4400_and_says_why(server: Running, api: Api) -> None:
    before = await everything(server.db)
    for message in [*map(json.dumps, STRANGE), "", "not JSON", "[" * 60_000, '{"type":' * 8_000, '{"type": "ping", "payload": {"a": NaN}}']:
        async with known(api) as ws:
            await ws.send_str(message)
            assert await closed(ws) == 4400, message[:80]
    async with known(api) as ws:
        await ws.send_bytes(b'{"type": "ping"}')
        assert await closed(ws) == 4400
    assert await everything(server.db) == before


async def test_what_may_be_null_may_be_null(api: Api) -> None:
    async with known(api) as ws:
        for message in ({"type": "pong", "payload": None}, {"type": "ping", "payload": None}, {"type": "ping", "payload": {"a": 1}}):
            await ws.send_json(message)
        assert await ws.receive_json() == {"type": "pong"}
        assert await ws.receive_json() == {"type": "pong", "payload": {"a": 1}}
        await subscribe(ws, TYPENAME, variables=None, operationName=None, extensions=None)
        assert (await received(ws))["payload"] == ANSWERED


async def test_what_cannot_be_executed_is_an_error_and_the_connection_lives_on(api: Api) -> None:
    async with known(api) as ws:
        for query in ("{", "{ nonsense }", "subscription { nonsense }", "fragment A on Query { __typename }"):
            await subscribe(ws, query)
            answer = await ws.receive_json()
            assert (answer["id"], answer["type"]) == ("1", "error")
            assert answer["payload"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
        await subscribe(ws, "mutation { __typename }")
        assert await received(ws) == {"id": "1", "type": "next", "payload": {"data": {"__typename": "Mutation"}}}


async def test_a_subscription_that_cannot_begin_is_an_error_and_its_id_is_free_again(api: Api) -> None:
    async with known(api) as ws:
        for subscription in unknown():
            await subscribe(ws, subscription)
            answer = await received(ws)
            [error] = answer["payload"]
            assert (answer["id"], answer["type"]) == ("1", "error")
            assert (error["message"], error["extensions"]) == ("there is no rollout 999", {"code": "NOT_FOUND"})
        await subscribe(ws, TYPENAME)
        assert await received(ws) == {"id": "1", "type": "next", "payload": ANSWERED}


async def test_an_id_is_of_one_operation_at_a_time(api: Api) -> None:
    query = await endless(api)
    async with known(api) as ws:
        await subscribe(ws, query)
        assert (await ws.receive_json())["type"] == "next"
        await ws.send_json({"type": "complete", "id": "1"})
        await eventually(followers, 0)
        await subscribe(ws, query)
        await subscribe(ws, query)
        assert await ending(ws) == 4409
    await eventually(followers, 0)


async def test_an_error_of_ours_names_its_operation(server: Running, api: Api, caplog: pytest.LogCaptureFixture) -> None:
    async with server.db.transaction() as conn:
        await conn.execute("alter table policies rename to hidden")

    async with socket(api, bearer(api), headers={"X-Request-ID": "find-me"}) as ws:
        await ws.receive_json()
        for number in ("1", "2"):
            await subscribe(ws, "{ policies { nodes { id } } }", number)
            [error] = (await ws.receive_json())["payload"]["errors"]
            assert error["extensions"] == {"code": "INTERNAL", "requestId": f"find-me.{number}"}
            await ws.receive_json()
    logged = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    caplog.clear()
    assert [f"find-me.{number}" in line for number, line in zip("12", logged, strict=True)] == [True, True]


# Too much


async def test_more_than_fifty_operations_at_once_are_refused_one_by_one(api: Api) -> None:
    query = await endless(api)
    async with known(api) as ws:
        for number in range(51):
            await subscribe(ws, query, str(number))
        async with asyncio.timeout(10):
            while (answer := await ws.receive_json())["type"] != "error":
                pass
        assert (answer["id"], answer["payload"][0]["extensions"]) == ("50", {"code": "RATE_LIMITED"})
        await eventually(followers, 50)
    await eventually(followers, 0)


async def test_a_flood_of_messages_ends_it(api: Api) -> None:
    for message in ({"type": "ping"}, {"type": "pong"}, {"type": "complete", "id": "1"}):
        for init in (None, bearer(api)):
            async with socket(api, init) as ws:
                for _ in range(300):
                    await ws.send_json(message)
                assert await ending(ws) == 1008, message


async def test_a_flood_of_introductions_ends_at_the_second(api: Api) -> None:
    async with socket(api, bearer(api)) as ws:
        for _ in range(20):
            await ws.send_json({"type": "connection_init", "payload": bearer(api)})
        assert await ws.receive_json() == {"type": "connection_ack"}
        assert await closed(ws) == 4429


async def test_a_frame_that_is_too_large_ends_it_and_all_that_runs_on_it(api: Api) -> None:
    query = await endless(api)
    for size, codes in ((65_537, {1009}), (17_000_000, {1009, 1006})):  # the rest of it meets a closed connection, and may undo it
        async with known(api) as ws:
            await subscribe(ws, query)
            await eventually(followers, 1)
            with suppress(ConnectionError):
                await ws.send_str("x" * size)
            assert await ending(ws) in codes
        await eventually(followers, 0)


async def test_what_a_connection_leaves_is_gone_without_the_collector(api: Api) -> None:
    """It looks seldom at what has lived for a while, and would find gigabytes."""
    query = await endless(api)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            async with known(api) as ws:
                for id_ in ("1", "2"):
                    await subscribe(ws, query, id_)
                    await received(ws)
        await eventually(followers, 0)
        await eventually(_sockets, 0)
    finally:
        gc.enable()


async def _sockets() -> int:
    return sum(isinstance(one, sockets.Socket | Member) for one in gc.get_objects())


# Clients that do not read


class Flood:
    """An application that says more to everybody than buffers hold, for as long as it is let."""

    def __init__(self) -> None:
        self.running = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.running += 1
        try:
            await (self._socket(send) if scope["type"] == "websocket" else self._stream(scope, receive, send))
        finally:
            self.running -= 1

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        with Connections(1, 1).opened("127.0.0.1", Transport.SSE) as connection:
            await Events(_too_much, connection, "a")(scope, receive, send)

    async def _socket(self, send: Send) -> None:
        await send({"type": "websocket.accept"})
        while True:
            await send({"type": "websocket.send", "text": "x" * 60_000})


async def _too_much(channel: Channel) -> None:
    while True:
        await channel.write([Answer(Cursor(), b"x" * 60_000, b"")])


@asynccontextmanager
async def flooding(settings: Settings, ping: float = 20) -> AsyncIterator[tuple[Flood, int]]:
    """Such an application, served as ours is, and its port."""
    flood = Flood()
    config = served(flood, settings)
    config.lifespan, config.ws_ping_interval, config.ws_ping_timeout = "off", ping, ping
    server = Serving(config, Connections(1, 1).drain, lambda: None)
    task = asyncio.create_task(server.serve())
    await eventually(lambda: _started(server), True)
    try:
        yield flood, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def _started(server: uvicorn.Server) -> bool:
    return server.started


async def test_a_websocket_that_does_not_read_is_cut_and_what_runs_on_it_ends(settings: Settings) -> None:
    async with flooding(settings, ping=0.2) as (flood, port):
        with create_connection(("127.0.0.1", port)) as unread:
            unread.sendall(HANDSHAKE)
            await eventually(lambda: _running(flood), 1)
            await eventually(lambda: _running(flood), 0, 5)


async def test_a_stream_that_is_not_read_is_cut_by_the_kernel(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slow_readers, "PATIENCE_MS", 500)
    async with flooding(settings) as (flood, port):
        with create_connection(("127.0.0.1", port)) as unread:
            unread.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await eventually(lambda: _running(flood), 1)
            await eventually(lambda: _running(flood), 0, 5)


async def _running(flood: Flood) -> int:
    return flood.running


def test_so_many_at_once_and_so_many_a_second() -> None:
    now = 0.0
    pace = Pace(3, 2, lambda: now)
    assert [pace.allows() for _ in range(4)] == [True, True, True, False]
    now = 1.5
    assert [pace.allows() for _ in range(3)] == [True, True, False]
    now = 100.0
    assert [pace.allows() for _ in range(4)] == [True, True, True, False]


def test_while_the_database_is_away_clients_are_told_to_come_again() -> None:
    for error in (TimeoutError(), ConnectionRefusedError()):
        answer = refusal(error, None, "a")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert json.loads(bytes(answer.body))["errors"][0]["extensions"] == {"code": "UNAVAILABLE"}
        assert closing(error, "a").code is Code.TRY_AGAIN_LATER
