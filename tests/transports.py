"""/graphql as its transports see it: requests of any kind, raw messages on a WebSocket, and something that can be followed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from schema.nodes import node_id
from tests.api import Api, eventually
from tests.roots import SUBSCRIPTIONS

NEW = "application/graphql-response+json"
OLD = "application/json"
EVENTS = "text/event-stream"
PROTOCOL = "graphql-transport-ws"
TYPENAME = "{ __typename }"
ANSWERED = {"data": {"__typename": "Query"}}


def bearer(api: Api) -> dict[str, str]:
    """The header, or the payload of connection_init, with which a client proves who it is."""
    return {"Authorization": f"Bearer {api.token}"}


@asynccontextmanager
async def asked(api: Api, method: str = "POST", **more: Any) -> AsyncIterator[aiohttp.ClientResponse]:
    """A request of whoever holds the token; headers that are None are not sent."""
    headers = {name: value for name, value in {**bearer(api), **more.pop("headers", {})}.items() if value is not None}
    async with api.http.request(method, "/graphql", headers=headers, **more) as response:
        yield response


async def told(api: Api, method: str = "POST", **more: Any) -> tuple[int, Any]:
    """Status and body of a request."""
    async with asked(api, method, **more) as response:
        return response.status, uncharged(await response.json(content_type=None))


def uncharged(answer: Any) -> Any:
    """An answer without what it cost."""
    extensions = answer.pop("extensions", {"cost": None})
    assert extensions.keys() == {"cost"}
    return answer


async def refused(api: Api, method: str = "POST", **more: Any) -> tuple[int, str]:
    """Status and code of a request that is refused with one error and no data, in JSON."""
    async with asked(api, method, **more) as response:
        assert response.content_type in (OLD, NEW)
        body = await response.json()
        [error] = body["errors"]
        assert "data" not in body
        assert error["message"]
        return response.status, error["extensions"]["code"]


@asynccontextmanager
async def socket(api: Api, init: Any = None, **more: Any) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket that has sent connection_init with this payload, if one is given."""
    async with api.http.ws_connect("/graphql", protocols=[PROTOCOL], **more) as ws:
        if init is not None:
            await ws.send_json({"type": "connection_init", "payload": init})
        yield ws


@asynccontextmanager
async def known(api: Api) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A WebSocket that is acknowledged."""
    async with socket(api, bearer(api)) as ws:
        assert await ws.receive_json() == {"type": "connection_ack"}
        yield ws


async def closed(ws: aiohttp.ClientWebSocketResponse) -> int | None:
    """The code the server closes with; it says why."""
    message = await ws.receive(timeout=5)
    assert message.type is aiohttp.WSMsgType.CLOSE, message
    assert message.extra
    return ws.close_code


async def received(ws: aiohttp.ClientWebSocketResponse) -> Any:
    """What the server says next, without what it cost."""
    message = await ws.receive_json(timeout=10)
    if message["type"] == "next":
        uncharged(message["payload"])
    return message


async def subscribe(ws: aiohttp.ClientWebSocketResponse, query: str, id_: str = "1", **more: Any) -> None:
    await ws.send_json({"type": "subscribe", "id": id_, "payload": {"query": query, **more}})


def unknown() -> list[str]:
    """Subscriptions to a rollout that there is not."""
    rollout = node_id("Rollout", 999)
    return [f'subscription {{ {name}(id: "{rollout}") {{ __typename }} }}' for name in ("rolloutEvents", "rolloutProgress")]


async def endless(api: Api) -> str:
    """A subscription that says something at once and does not end by itself: to the events of a rollout under way."""
    await api.devices("nginx:1.26")
    await api.policy()
    await api.push("nginx:1.27")
    await eventually(api.status, "IN_PROGRESS")
    return SUBSCRIPTIONS["rolloutEvents"]
