"""As fast an HTTP/1.1 client as Python allows, to find out how fast a server answers: one request in flight a connection.

On one core it asks 108,000 times a second where a server does nothing but write; a bare application under uvicorn, on the other
core, answers 40,000 polls with 304 and 23,000 with a body before its core is busy, with this one half idle.
"""

import asyncio
import gzip
import re
import statistics
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import chain, cycle
from multiprocessing import get_context
from typing import cast
from urllib.parse import urlsplit

import uvloop

CONNECTIONS, WINDOWS = 48, 5
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ETAG = re.compile(rb"\r\netag: *([^\r]+)", re.IGNORECASE)
_BODILESS = (b"304", b"204")

Heard = Callable[[bytes, float], None]
"""Is told of an answer: its head, and how long it was waited for."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back."""

    per_second: float
    """The median of the windows."""
    windows: tuple[float, ...]
    by_status: dict[int, int]
    p50_ms: float
    p99_ms: float
    lost: int
    """Connections that the server ended; nothing was sent over them any more."""


def poll(uuid: str, key: str, etag: str | None = None) -> bytes:
    """A device asks what to run, as the agent of November 2025 does."""
    knows = f"If-None-Match: {etag}\r\n" if etag else ""
    return f"GET /api/v1/device/{uuid}/state HTTP/1.1\r\nHost: rollwave\r\nX-Device-API-Key: {key}\r\n{knows}\r\n".encode()


def report(key: str, body: bytes, *, gzipped: bool = True) -> bytes:
    """A device says what it runs; `body` is JSON keyed by its uuid."""
    sent = gzip.compress(body, compresslevel=6) if gzipped else body
    encoding = "Content-Encoding: gzip\r\n" if gzipped else ""
    head = f"Content-Type: application/json\r\n{encoding}Content-Length: {len(sent)}\r\nX-Device-API-Key: {key}\r\n"
    return f"PATCH /api/v1/device/state HTTP/1.1\r\nHost: rollwave\r\n{head}\r\n".encode() + sent


async def hammer(url: str, requests: Sequence[bytes], seconds: float = 5.0, connections: int = CONNECTIONS) -> Answers:
    """Send these requests, over and over, each connection the next as soon as it has its answer."""
    tally, turns = _Tally(), cycle(requests)
    opened = [await _open(url, turns, tally.hear) for _ in range(connections)]
    try:
        windows = [await _window(tally, seconds / WINDOWS) for _ in range(WINDOWS)]
    finally:
        lost = sum(connection.is_over.done() for connection in opened)
        for connection in opened:
            connection.close()
    return tally.answers(windows, lost)


async def hear_for(url: str, requests: Sequence[bytes], seconds: float, connections: int, heard: Heard) -> None:
    """Send these requests, over and over, for a while, and pass on every answer."""
    turns = cycle(requests)
    opened = [await _open(url, turns, heard) for _ in range(connections)]
    try:
        await asyncio.sleep(seconds)
    finally:
        for connection in opened:
            connection.close()


async def hammer_from_outside(url: str, requests: Sequence[bytes], seconds: float = 5.0, connections: int = CONNECTIONS) -> Answers:
    """The same from a process of its own, which leaves the caller's alone."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return await asyncio.get_running_loop().run_in_executor(process, _hammer, url, requests, seconds, connections)


async def etags(url: str, polls: Sequence[bytes], connections: int = CONNECTIONS) -> list[str]:
    """The entity tags of the answers to these polls, in their order; each is sent once. Raises ValueError for one without."""
    tags = [tag[1].decode() for head in await _once(url, polls, connections) if (tag := _ETAG.search(head)) is not None]
    if len(tags) != len(polls):
        raise ValueError(f"{len(polls)} devices polled, and {len(tags)} were told an entity tag")
    return tags


async def statuses(url: str, requests: Sequence[bytes], connections: int = CONNECTIONS) -> list[int]:
    """What these requests are answered, in their order; each is sent once."""
    return [int(head[9:12]) for head in await _once(url, requests, connections)]


async def _once(url: str, requests: Sequence[bytes], connections: int) -> list[bytes]:
    """The heads of the answers, in the order of the requests."""
    found: list[list[bytes]] = [[] for _ in range(connections)]
    share = -(-len(requests) // connections) or 1
    parts = [requests[start : start + share] for start in range(0, len(requests), share)]
    opened = [await _open(url, iter(part), _keep(heads)) for part, heads in zip(parts, found, strict=False)]
    await asyncio.gather(*(connection.is_over for connection in opened))
    return list(chain.from_iterable(found))


def _hammer(url: str, requests: Sequence[bytes], seconds: float, connections: int) -> Answers:
    return uvloop.run(hammer(url, requests, seconds, connections))


def _keep(heads: list[bytes]) -> Heard:
    return lambda head, _: heads.append(head)


@dataclass(slots=True)
class _Tally:
    statuses: Counter[bytes] = field(default_factory=Counter)
    waits: "array[float]" = field(default_factory=lambda: array("d"))

    def hear(self, head: bytes, waited: float) -> None:
        self.statuses[head[9:12]] += 1
        self.waits.append(waited)

    def answers(self, windows: Iterable[float], lost: int) -> Answers:
        windows = tuple(windows)
        found = statistics.quantiles(self.waits, n=100) if len(self.waits) > 1 else [0.0] * 99
        by_status = {int(status): count for status, count in self.statuses.items()}
        return Answers(statistics.median(windows), windows, by_status, 1000 * found[49], 1000 * found[98], lost)


async def _window(tally: _Tally, seconds: float) -> float:
    before, began = len(tally.waits), time.perf_counter()
    await asyncio.sleep(seconds)
    return (len(tally.waits) - before) / (time.perf_counter() - began)


async def _open(url: str, requests: Iterator[bytes], heard: Heard) -> "_Connection":
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 80
    _, connection = await asyncio.get_running_loop().create_connection(lambda: _Connection(requests, heard), host, port)
    return connection


class _Connection(asyncio.Protocol):
    """Asks, waits for the whole answer, and asks the next."""

    def __init__(self, requests: Iterator[bytes], heard: Heard) -> None:
        self.is_over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._heard = heard
        self._rest = b""
        self._asked_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name
        self._ask()

    def data_received(self, data: bytes) -> None:
        if self._rest:
            data = self._rest + data
        end = data.find(b"\r\n\r\n")
        if end < 0 or len(data) < end + 4 + _body_length(data, end):
            self._rest = data
            return
        self._rest = b""
        self._heard(data[:end], time.perf_counter() - self._asked_at)
        self._ask()

    def connection_lost(self, _: Exception | None) -> None:
        if not self.is_over.done():
            self.is_over.set_result(None)

    def close(self) -> None:
        self._requests = iter(())
        self._transport.close()

    def _ask(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._transport.close()
            return
        self._asked_at = time.perf_counter()
        self._transport.write(request)


def _body_length(data: bytes, end: int) -> int:
    if data[9:12] in _BODILESS:
        return 0
    length = _LENGTH.search(data, 0, end)
    if length is None:
        raise ValueError(f"an answer without Content-Length, which is not understood here: {data[:end]!r}")
    return int(length[1])
