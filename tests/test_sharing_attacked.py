"""Those who ask the same and may not see the same: whoever comes first, and however, nobody is ever told a byte of another's answer."""

import asyncio
import json
import logging
import socket as sockets
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import permutations
from typing import Any

import aiohttp
import pytest

from domain.actors import Actor, Role
from domain.events import Cursor
from domain.ids import RolloutId, TokenId
from resolvers import events as use
from resolvers import tokens
from resolvers.context import Context
from server import slow_readers
from server.graphql import connections, members, replayed
from server.process import Running
from server.settings import Settings
from tests.api import Api, eventually
from tests.factories import a_rollout
from tests.subscribers import EVENTS, ROLLOUT, happens, settled
from tests.test_graphql_sse import AS_EVENTS
from tests.test_streams_end import figures
from tests.transports import asked, known

NAMES = {Role.READER: "rita-reads", Role.OPERATOR: "otto-operates", Role.ADMINISTRATOR: "ada-administers"}
AUDITED = """subscription ($id: ID!, $after: String) { rolloutEvents(id: $id, after: $after) {
  cursor name rollout { number audit(first: 3) { nodes { actor requestId action token { name } } } } } }"""
POINTS = 1_000
FORBIDDEN = "a subscriber may not administer: that takes a token of the role administrator"


@pytest.fixture
def settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(connections, "LOOK_EVERY", 0.2)
    return replace(settings, graphql_points=POINTS)


@pytest.fixture
async def rollout(operator: Context) -> None:
    """A rollout of 20 devices, made before there is a server that would go on with it."""
    await a_rollout(operator, 20)
    await settled(operator)


@asynccontextmanager
async def holder(server: Running, role: Role, name: str | None = None) -> AsyncIterator[Api]:
    """Somebody with a token of this role."""
    async with Api.at(server.url, await tokens.issue(server.db, name or NAMES[role], role), "") as api:
        yield api


class Stream:
    """What is told over one transport, byte by byte."""

    def __init__(self, next_: Callable[[], Any]) -> None:
        self._next = next_
        self.told: list[bytes] = []
        self.end: str | None = None
        """The last message, or the code that the connection was closed with; None until then, and if it was cut off."""
        self.is_over = False

    async def has(self, count: int) -> None:
        """Wait until so much was told."""
        await self.reach(count)
        assert len(self.told) >= count

    async def reach(self, count: int) -> list[bytes]:
        """Everything up to the end, or until so much was told."""
        async with asyncio.timeout(10):
            while len(self.told) < count and not self.is_over:
                if payload := await self._next():
                    self.told.append(payload)
                else:
                    self.is_over = True
        return self.told


@asynccontextmanager
async def over_a_websocket(api: Api, document: str, **variables: Any) -> AsyncIterator[Stream]:
    async with known(api) as ws:
        await ws.send_json({"type": "subscribe", "id": "1", "payload": {"query": document, "variables": variables}})

        async def payload() -> bytes:
            message = await ws.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                stream.end = str(ws.close_code)
                return b""
            if (kind := message.json()["type"]) == "complete":
                stream.end = kind
                return b""
            stream.is_over = kind == "error"
            text: str = message.data
            return text.split('"payload":', 1)[1].removesuffix("}").encode()

        stream = Stream(payload)
        yield stream


@asynccontextmanager
async def as_events(api: Api, document: str, **variables: Any) -> AsyncIterator[Stream]:
    async with asked(api, json={"query": document, "variables": variables}, headers=AS_EVENTS) as response:

        async def payload() -> bytes:
            while line := await response.content.readuntil(b"\n"):
                if line.startswith(b"data: {"):
                    return bytes(line[6:].rstrip(b"\n"))
                if line == b"event: complete\n":
                    stream.end = "complete"
            return b""

        stream = Stream(payload)
        yield stream


TRANSPORTS = (over_a_websocket, as_events)


async def told(api: Api, document: str, over: Any, **variables: Any) -> bytes:
    """The first thing that is told."""
    async with over(api, document, **variables) as stream:
        await stream.has(1)
    [first] = stream.told
    return bytes(first)


# What only some may see


async def test_nobody_is_told_what_only_another_may_see_whoever_comes_first(rollout: None, server: Running, operator: Context) -> None:
    async with AsyncExitStack() as open_:
        apis = {role: await open_.enter_async_context(holder(server, role)) for role in Role}
        for order in permutations(Role):
            await _nobody_is_told(apis, operator, order)


async def _nobody_is_told(apis: dict[Role, Api], operator: Context, order: tuple[Role, ...]) -> None:
    after = str([event.cursor for event in await use.page(operator, RolloutId(1), Cursor(), 1000)][-2])
    async with AsyncExitStack() as open_:
        streams: list[tuple[Role, Stream]] = []
        for role in (*order, *order):
            over = TRANSPORTS[len(streams) % 2]
            streams.append((role, await open_.enter_async_context(over(apis[role], AUDITED, id=ROLLOUT, after=after))))
            if len(streams) % 2:
                await streams[-1][1].has(1)
        await happens(operator, said="live")
        for _, stream in streams:
            await stream.has(2)
        assert (await figures(apis[Role.READER]))["rollwave_subscription_groups"].samples[0].value == 3

    answers = {role: [stream.told for whose, stream in streams if whose is role] for role in order}
    assert all(one == other for one, other in answers.values())
    for role, (payloads, _) in answers.items():
        for payload in map(json.loads, payloads):
            _is_what_he_may_see(role, payload)
        if role is not Role.ADMINISTRATOR:
            _says_nothing_of_anybody(payloads)


def _is_what_he_may_see(role: Role, payload: Any) -> None:
    event = payload["data"]["rolloutEvents"]
    assert payload.keys() == ({"data"} if role is Role.ADMINISTRATOR else {"data", "errors"})
    if role is Role.ADMINISTRATOR:
        assert event["rollout"]["number"] == 1
    else:
        [error] = payload["errors"]
        assert event["rollout"] is None
        assert (error["message"], error["extensions"]) == (FORBIDDEN, {"code": "FORBIDDEN"})


def _says_nothing_of_anybody(payloads: Iterable[bytes]) -> None:
    for payload in payloads:
        for name in (*NAMES.values(), "command line", "ops", "cost", "remaining", "requestId"):
            assert name.encode() not in payload


@pytest.mark.parametrize("over", TRANSPORTS, ids=lambda over: over.__name__)
async def test_what_only_administrators_follow_is_refused_to_others_while_they_follow_it(rollout: None, server: Running, over: Any) -> None:
    audit = "subscription ($after: String) { audit(after: $after) { ... on AuditRecord { cursor entry { actor } } } }"
    async with AsyncExitStack() as open_:
        apis = {role: await open_.enter_async_context(holder(server, role)) for role in Role}
        following = await open_.enter_async_context(over(apis[Role.ADMINISTRATOR], audit, after=str(Cursor())))
        await following.has(1)
        for role in (Role.READER, Role.OPERATOR):
            payload = await told(apis[role], audit, over, after=str(Cursor()))
            assert b"FORBIDDEN" in payload
            assert b"AuditRecord" not in payload
            assert b'"entry"' not in payload
        await apis[Role.ADMINISTRATOR].change("createProvisioningKey", name="hall")
        await following.has(2)


async def test_a_cursor_that_is_too_old_is_told_to_each_alone(rollout: None, server: Running) -> None:
    document = "subscription ($after: String) { events(after: $after) { ... on Event { cursor } ... on CursorExpiredError { oldest } } }"
    async with holder(server, Role.READER) as reader, over_a_websocket(reader, document, after=None) as sound:
        for over in TRANSPORTS:
            async with over(reader, document, after=str(Cursor(2**60))) as late:
                assert b"oldest" in (await late.reach(2))[0]
                assert late.end == "complete"
        async with holder(server, Role.OPERATOR) as other:
            await other.change("pauseRollout", id=ROLLOUT)
        await sound.has(1)
        assert b"oldest" not in sound.told[0]


# What is said of mistakes

MISSPELT = "subscription ($id: ID!) { rolloutEvents(id: $id) { nam } }"
MISVALUED = "subscription ($types: [EventType!]) { events(filter: {types: $types}) { __typename } }"
INTROSPECTING = "subscription ($id: ID!) { rolloutEvents(id: $id) { name } } query Q { __schema { types { name } } }"


@pytest.mark.parametrize("over", TRANSPORTS, ids=lambda over: over.__name__)
async def test_only_those_who_may_look_are_told_what_they_may_have_meant(rollout: None, server: Running, over: Any) -> None:
    wrong: list[tuple[str, dict[str, Any]]] = [(MISSPELT, {"id": ROLLOUT}), (MISVALUED, {"types": ["ROLLOUT_CREATE"]})]
    async with AsyncExitStack() as open_:
        apis = {role: await open_.enter_async_context(holder(server, role)) for role in Role}
        for order in permutations(Role):
            for document, variables in wrong:
                for role in order:
                    payload = await told(apis[role], document, over, **variables)
                    assert (b"Did you mean" in payload) == (role is not Role.READER), payload


@pytest.mark.parametrize("order", [(Role.READER, Role.OPERATOR), (Role.OPERATOR, Role.READER)], ids=" ".join)
async def test_a_document_that_is_refused_to_readers_is_refused_to_them_while_others_follow_it(
    rollout: None, server: Running, order: tuple[Role, ...]
) -> None:
    document = INTROSPECTING.replace("subscription (", "subscription S (")
    async with AsyncExitStack() as open_:
        for role in order:
            ws = await open_.enter_async_context(known(await open_.enter_async_context(holder(server, role))))
            asked = {"query": document, "variables": {"id": ROLLOUT}, "operationName": "S"}
            await ws.send_json({"type": "subscribe", "id": "1", "payload": asked})
            message = await ws.receive_json(timeout=5)
            assert message["type"] == ("error" if role is Role.READER else "next")


async def test_a_mistake_of_ours_names_nobodys_request_and_is_in_the_log(
    rollout: None, server: Running, operator: Context, caplog: pytest.LogCaptureFixture
) -> None:
    nested = "subscription ($id: ID!, $after: String) { rolloutEvents(id: $id, after: $after) { rollout { policy { version } } } }"
    after = str([event.cursor for event in await use.page(operator, RolloutId(1), Cursor(), 1000)][-1])
    roles = (Role.READER, Role.READER, Role.OPERATOR)
    async with AsyncExitStack() as open_:
        streams = []
        for number, role in enumerate(roles):
            api = await open_.enter_async_context(holder(server, role))
            over = TRANSPORTS[number % 2]
            api.http.headers["X-Request-ID"] = f"find-{number}"
            streams.append(await open_.enter_async_context(over(api, nested, id=ROLLOUT, after=after)))
        await eventually(lambda: _subscribers(api), 3)
        async with operator.db.transaction() as conn:
            await conn.execute("alter table policies rename to hidden")
        await happens(operator)
        for stream in streams:
            await stream.has(1)
        async with operator.db.transaction() as conn:
            await conn.execute("alter table hidden rename to policies")

    one, same, other = (stream.told[0] for stream in streams)
    logged = "\n".join(record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR)
    caplog.clear()
    requests = {json.loads(payload)["errors"][0]["extensions"]["requestId"] for payload in (one, other)}
    assert one == same != other
    assert len(requests) == 2
    assert all(request in logged for request in requests)
    assert b"find-" not in one + other


async def _subscribers(api: Api) -> float:
    return (await figures(api))["rollwave_subscribers"].samples[0].value


# Tokens that count no more, or have spent all


async def test_a_token_that_is_revoked_ends_alone_though_the_others_followed_with_it(
    rollout: None, server: Running, operator: Context
) -> None:
    after = await _newest(operator)
    async with AsyncExitStack() as open_:
        revoked, other = [await open_.enter_async_context(holder(server, Role.READER, name)) for name in ("first", "second")]
        gone, going_on = [
            [await open_.enter_async_context(over(api, EVENTS, id=ROLLOUT, after=after)) for over in TRANSPORTS] for api in (revoked, other)
        ]
        await eventually(lambda: _subscribers(other), 4)
        await happens(operator)
        for stream in (*gone, *going_on):
            await stream.has(1)
        assert (await figures(other))["rollwave_subscription_groups"].samples[0].value == 1
        [token] = [token for token in await _tokens(operator) if token.name == "first"]
        await tokens.revoke(replace(operator, actor=Actor.administrator("ada")), token.id)
        await eventually(lambda: _subscribers(other), 2)
        await happens(operator, said="secret")
        for stream in going_on:
            await stream.has(2)
        over_a_socket, by_events = [await stream.reach(9) for stream in gone]

    assert len(over_a_socket) == 1
    assert len(by_events) == 2
    assert b"UNAUTHENTICATED" in by_events[1]
    assert b"first" not in b"".join(going_on[0].told + going_on[1].told)


async def _newest(operator: Context) -> str:
    return str([event.cursor for event in await use.page(operator, RolloutId(1), Cursor(), 1000)][-1])


async def _tokens(operator: Context) -> Any:
    return (await tokens.many(replace(operator, actor=Actor.administrator("ada")), [TokenId(number) for number in range(1, 6)])).values()


@pytest.mark.parametrize("over", TRANSPORTS, ids=lambda over: over.__name__)
async def test_a_token_that_has_spent_all_ends_alone(rollout: None, server: Running, operator: Context, over: Any) -> None:
    devices = "rollout { devices(first: 100) { nodes { id } } }"
    dear = f"subscription ($id: ID!, $after: String) {{ rolloutEvents(id: $id, after: $after) {{ {devices} }} }}"
    after = await _newest(operator)
    async with AsyncExitStack() as open_:
        poor, rich = [await open_.enter_async_context(holder(server, Role.READER, name)) for name in ("poor", "rich")]
        await poor.graphql("{ rollouts(first: 5) { nodes { devices(first: 100) { nodes { id } } } } }")
        ends, ends_too, goes_on = [await open_.enter_async_context(over(api, dear, id=ROLLOUT, after=after)) for api in (poor, poor, rich)]
        await eventually(lambda: _subscribers(rich), 3)
        for number in range(1, 6):
            await happens(operator)
            await goes_on.has(number)
        told = [await ends.reach(9), await ends_too.reach(9)]

    for payloads in told:
        assert 1 <= len(payloads) - 1 < 5
        assert payloads[:-1] == goes_on.told[: len(payloads) - 1]
        assert b"RATE_LIMITED" in payloads[-1]
    assert b"RATE_LIMITED" not in b"".join(goes_on.told)


# Who is too slow


@pytest.fixture
def tight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little is buffered for a client, nowhere; and he may miss something once a minute."""
    cut_off = slow_readers.cut_off

    def small(listening: Iterable[sockets.socket]) -> None:
        every = list(listening)
        for one in every:
            one.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, 4_096)
        cut_off(every)

    monkeypatch.setattr(slow_readers, "cut_off", small)
    monkeypatch.setattr(members, "ROOM", 3)
    monkeypatch.setattr(replayed, "TOGETHER", 2)
    monkeypatch.setattr(members, "MOST_MISSED", 1)


@pytest.mark.parametrize("over", TRANSPORTS, ids=lambda over: over.__name__)
async def test_who_is_too_slow_too_often_is_ended_so_that_he_comes_again_and_misses_nothing(
    tight: None, rollout: None, server: Running, operator: Context, over: Any
) -> None:
    data = "subscription ($id: ID!, $after: String) { rolloutEvents(id: $id, after: $after) { cursor data } }"
    first = await _newest(operator)
    async with holder(server, Role.READER) as reader, over(reader, data, id=ROLLOUT, after=first) as slow:
        for much in range(MUCH, 20 * MUCH, MUCH):
            await _much_happens(reader, operator)
            told = await slow.reach(much)
            if slow.is_over:
                break
        assert slow.is_over
        assert slow.end == ("1013" if over is over_a_websocket else None)
        last = json.loads(told[-1])["data"]["rolloutEvents"]["cursor"]
    async with holder(server, Role.READER) as reader, over(reader, data, id=ROLLOUT, after=last) as again:
        wanted = [str(event.cursor) for event in await use.page(operator, RolloutId(1), Cursor.parse(first), 1000)]
        await again.has(len(wanted) - len(told))
        assert [json.loads(payload)["data"]["rolloutEvents"]["cursor"] for payload in [*told, *again.told]] == wanted


MUCH = 60


async def _much_happens(api: Api, operator: Context) -> None:
    for _ in range(MUCH):
        await happens(operator, said="x" * 20_000)
    assert (await figures(api))["rollwave_mailbox_events"].samples[0].value <= 3
