"""The one way out: bounded, guarded, without proxies, cookies or redirects, and never for longer than a check allows."""

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from domain.checks import MOST_SAID
from monitor.checks.addresses import Allowed, Guarded, NotAllowed

MOST_READ = 65_536
"""Bytes of an answer that are read; it is a verdict that is asked for, not a document."""
MOST_AT_ONCE = 64
_HEADERS = {"User-Agent": "Rollwave", "Accept-Encoding": "identity"}
# Our own lack of something, or of a way to get there; whatever else goes wrong is the other side's.
_OURS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.ENETUNREACH, errno.EADDRNOTAVAIL, errno.EPERM, errno.EACCES}


class NoAnswer(Exception):
    """The other side did not answer, or not in a way that can be understood; the message is a sentence for the operator."""


class NotAsked(NoAnswer):
    """Nobody was asked, so it says nothing about them: an address that is not allowed, a name nobody knows, no sockets left."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered over HTTP."""

    status: int
    body: bytes
    """The first 64 kB, as they came over the wire."""
    is_whole: bool

    @property
    def is_good(self) -> bool:
        """Whether it was answered with 2xx."""
        return 200 <= self.status <= 299

    def __str__(self) -> str:
        redirect = ", a redirect, which is not followed" if 300 <= self.status <= 399 else ""
        said = self.body[: 4 * MOST_SAID].decode(errors="replace")  # a character is 4 bytes at most
        return f"answered {self.status}{redirect}" + (f": {said}" if said else "")


@dataclass(frozen=True, slots=True)
class Outside:
    """What checks need to leave the house."""

    session: aiohttp.ClientSession
    resolver: Guarded
    places: asyncio.Semaphore
    """Waiting for a place is not counted against a check's timeout, or a large batch would time out by its size alone."""

    async def ask(self, method: str, url: str, seconds: float, body: bytes | None = None, content_type: str | None = None) -> Answer:
        """Make one request and read its answer within so many seconds; raises NoAnswer."""
        headers = {} if content_type is None else {"Content-Type": content_type}
        async with self.places:
            with _said_in_a_sentence(seconds):
                async with (
                    asyncio.timeout(seconds),
                    # Encoded by us; aiohttp would otherwise undo some of the percent-encoding that keeps a device's words in their place.
                    self.session.request(method, URL(url, encoded=True), data=body, headers=headers, allow_redirects=False) as response,
                ):
                    beginning = await _read(response.content)
                    return Answer(response.status, beginning[:MOST_READ], len(beginning) <= MOST_READ)

    async def connect(self, host: str, port: int, seconds: float) -> None:
        """Connect and hang up within so many seconds, trying one address after another; raises NoAnswer."""
        async with self.places:
            with _said_in_a_sentence(seconds):
                async with asyncio.timeout(seconds):
                    await self._connect(host, port)

    async def _connect(self, host: str, port: int) -> None:
        failures: list[OSError] = []
        for place in await self.resolver.resolve(host, port):
            kind, address = socket.SOCK_STREAM, (place["host"], place["port"])
            with self.resolver.allowed.socket((place["family"], kind, place["proto"], "", address)) as way:
                way.setblocking(False)
                try:
                    return await asyncio.get_running_loop().sock_connect(way, address)
                except OSError as failed:
                    failures.append(failed)
        raise failures[-1]


@asynccontextmanager
async def way_out(allowed: Allowed, resolver: AbstractResolver | None = None) -> AsyncIterator[Outside]:
    """The way out for as long as the block runs; `resolver` is the system's unless a test brings its own."""
    guarded = Guarded(allowed, resolver or aiohttp.ThreadedResolver())
    # Every measurement makes its own connection: one kept open would say that a device was well when it was opened. The bound is `places`.
    connector = aiohttp.TCPConnector(resolver=guarded, socket_factory=allowed.socket, use_dns_cache=False, force_close=True, limit=0)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,  # 64 kB of gzip may be 64 MB
        headers=_HEADERS,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
    ) as session:
        yield Outside(session, guarded, asyncio.Semaphore(MOST_AT_ONCE))


@contextmanager
def _said_in_a_sentence(seconds: float) -> Iterator[None]:
    """Turn whatever the network raises into NoAnswer or NotAsked."""
    try:
        yield
    except TimeoutError as late:
        raise NoAnswer(f"no answer within {seconds:g} s") from late
    except aiohttp.ClientSSLError as untrusted:
        raise NoAnswer(f"no TLS: {untrusted}") from untrusted
    except OSError as failed:  # aiohttp wraps the one that tells
        raise _failed(getattr(failed, "os_error", failed)) from failed
    except aiohttp.ServerDisconnectedError as closed:
        raise NoAnswer("no HTTP: the connection was closed too early") from closed
    except aiohttp.ClientError as garbled:
        raise NoAnswer(f"no HTTP: {getattr(garbled, 'message', garbled)}") from garbled


def _failed(error: OSError) -> NoAnswer:
    if isinstance(error, NotAllowed):
        return NotAsked(str(error))
    if isinstance(error, socket.gaierror):
        return NotAsked(f"the name cannot be resolved: {error.strerror}")
    kind = NotAsked if error.errno in _OURS else NoAnswer
    return kind(f"no connection: {os.strerror(error.errno) if error.errno else error}")


async def _read(content: aiohttp.StreamReader) -> bytes:
    """The beginning of a body: at most a byte more than is wanted, which tells that there is more."""
    body = b""
    while len(body) <= MOST_READ and (chunk := await content.read(MOST_READ + 1 - len(body))):
        body += chunk
    return body
