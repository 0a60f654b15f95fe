"""Connections on which a server tells what is subscribed to: a WebSocket, or server-sent events."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from ctypes import addressof, create_string_buffer
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage
from websockets.typing import Subprotocol

PROTOCOL = Subprotocol("graphql-transport-ws")
_FOR_EVER = aiohttp.ClientTimeout(total=None, sock_connect=10)
_RETURN, _ATTACH_FILTER = 0x06, 26
"""BPF_RET and SO_ATTACH_FILTER: of a packet so many bytes are let in as the program returns."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A subscription, and by whose token."""

    token: str
    query: str
    variables: dict[str, Any]


class Ended(Exception):
    """Nothing more is told on a connection."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


class Line(Protocol):
    """A connection with one subscription."""

    async def hear(self) -> Any:
        """The data of what is told next; raises Ended."""

    @property
    def transport(self) -> asyncio.Transport:
        """What it runs on; to abort it is to be gone without a word about it."""


@asynccontextmanager
async def over_websocket(url: str, asked: Asked, last: str | None) -> AsyncIterator[Line]:
    """Subscribe on a WebSocket of its own; to what comes after what was told last, if anything was."""
    resumed = asked.variables if last is None else {**asked.variables, "after": last}
    address = f"{url.replace('http', 'ws', 1)}/graphql"
    try:
        async with connect(address, subprotocols=[PROTOCOL], proxy=None, compression=None, ping_interval=None, close_timeout=1) as ws:
            await ws.send(_said({"type": "connection_init", "payload": {"Authorization": f"Bearer {asked.token}"}}))
            await ws.send(_said({"type": "subscribe", "id": "1", "payload": {"query": asked.query, "variables": resumed}}))
            yield _Socket(ws)
            await _leave(ws)
    except ConnectionClosed as closed:
        raise Ended(f"closed with {closed.rcvd.code}" if closed.rcvd else "cut off") from closed
    except (InvalidHandshake, InvalidMessage, OSError, EOFError) as refused:
        raise Ended("no connection") from refused


@asynccontextmanager
async def over_events(url: str, asked: Asked, last: str | None) -> AsyncIterator[Line]:
    """Subscribe to server-sent events, as a browser does: it sends what it sent at first, and the id of what was told last."""
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {asked.token}"} | ({"Last-Event-ID": last} if last else {})
    body = {"query": asked.query, "variables": asked.variables}
    try:
        async with (
            aiohttp.ClientSession(timeout=_FOR_EVER) as http,
            http.post(f"{url}/graphql", json=body, headers=headers) as response,
        ):
            if response.status != 200:
                raise Ended(f"answered with {response.status}")
            yield _Stream(response)
    except aiohttp.ClientConnectorError as refused:
        raise Ended("no connection") from refused
    except (aiohttp.ClientError, OSError) as cut:
        raise Ended("cut off") from cut


class _Socket:
    def __init__(self, ws: ClientConnection) -> None:
        self._ws = ws

    async def hear(self) -> Any:
        while True:
            message = orjson.loads(await self._ws.recv())
            match message["type"]:
                case "next":
                    return _data(message["payload"])
                case "error":
                    raise _failure(message["payload"])
                case "complete":
                    raise Ended("complete")

    @property
    def transport(self) -> asyncio.Transport:
        return self._ws.transport


class _Stream:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        assert response.connection is not None, "there is more to read"
        assert response.connection.transport is not None
        self._response = response
        self._transport = response.connection.transport

    async def hear(self) -> Any:
        while event := await self._response.content.readuntil(b"\n\n"):
            said = dict(line.partition(b": ")[::2] for line in event.splitlines())
            match said.get(b"event"):
                case b"next":
                    return _data(orjson.loads(said[b"data"]))
                case b"complete":
                    raise Ended("complete")
        raise Ended("cut off")

    @property
    def transport(self) -> asyncio.Transport:
        return self._transport


def fall_silent(transport: asyncio.Transport) -> socket.socket:
    """As if the cable was cut: our kernel drops, unacknowledged, whatever comes on this connection. Linux can do that, for anybody.

    When the transport is aborted the other side hears nothing of it, until what is returned is closed too.
    """
    ours: socket.socket = transport.get_extra_info("socket").dup()
    instruction = create_string_buffer(struct.pack("HBBI", _RETURN, 0, 0, 0))
    ours.setsockopt(socket.SOL_SOCKET, _ATTACH_FILTER, struct.pack("HP", 1, addressof(instruction)))
    return ours


async def _leave(ws: ClientConnection) -> None:
    """Say goodbye. What is told meanwhile has to be taken in, or the other's goodbye, which comes after it, is waited for in vain."""
    closing = asyncio.create_task(ws.close())
    with suppress(ConnectionClosed):
        while True:
            await ws.recv()
    await closing


def _said(message: dict[str, Any]) -> str:
    return orjson.dumps(message).decode()


def _data(payload: Any) -> Any:
    if "errors" in payload:
        raise _failure(payload["errors"])
    return payload["data"]


def _failure(errors: Any) -> Ended:
    return Ended(f"error {errors[0].get('extensions', {}).get('code')}")
