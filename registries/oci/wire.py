"""One request and its answer: bounded in bytes and seconds, without redirects, and not before a registry wants to be asked again."""

import asyncio
import os
import re
import socket
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from domain.registries import Registry, Unanswered
from registries.oci.addresses import is_public
from registries.oci.waits import wait_of

PATIENCE = 10.0
"""Seconds that one request may take, name and TLS included."""
MOST_READ = 4 * 1024 * 1024
"""Bytes of an answer; the OCI specification asks registries to take manifests of this size."""
MOST_AT_ONCE = 8
"""Requests to one registry."""
_DEFAULT_REST = timedelta(seconds=60)
_HOSTS = {"docker.io": "registry-1.docker.io"}
_PRINTABLE = re.compile("[!-~]+")


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case; what was said several times is joined by commas."""
    body: bytes = field(repr=False)

    @property
    def content_type(self) -> str:
        """In lower case and without parameters; empty if it was not said."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class _Way:
    """Where to connect to, when a registry sent us: to exactly the address that was looked at, under the name that was given."""

    url: URL
    host: str | None = None
    tls_name: str | None = None


def base(registry: Registry) -> URL:
    """Where a registry is asked. Docker Hub's images are called by another name than the host that has them."""
    scheme = "http" if registry.plain_http else "https"
    try:
        return URL(f"{scheme}://{_HOSTS.get(registry.host, registry.host)}/", encoded=True).origin()
    except ValueError:
        raise Unanswered(f"{registry.host} is not the address of a registry") from None


class _TooLong(ValueError):
    """There is more to an answer than we read."""


class Wire:
    """Asks one thing at a time, and remembers who wants to be left alone until when."""

    def __init__(self, session: aiohttp.ClientSession, resolver: AbstractResolver, seconds: float, clock: Callable[[], float]) -> None:
        self._session = session
        self._resolver = resolver
        self._seconds = seconds
        self._clock = clock
        self._rests: dict[Registry, float] = {}
        # Waiting for a place is not counted against the patience: a large fleet's poll would time out by its size alone.
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(MOST_AT_ONCE))

    async def ask(self, registry: Registry, method: str, url: URL, headers: Mapping[str, str]) -> Answer:
        """Ask the registry itself; raises Unanswered."""
        async with self._turn(registry, registry.host):
            answer = await self._exchange(_Way(url), method, headers)
        return self._noted(registry, answer)

    async def ask_elsewhere(self, registry: Registry, url: URL, headers: Mapping[str, str]) -> Answer:
        """GET what the registry sent us to, if it may send us there; raises Unanswered."""
        async with self._turn(registry, f"{url.host}, where {registry.host} sends us,"):
            answer = await self._one_of(await self._ways(registry, url), headers)
        return self._noted(registry, answer)

    @asynccontextmanager
    async def _turn(self, registry: Registry, who: str) -> AsyncIterator[None]:
        """The time that one request may take, once there is a place for it."""
        async with self._places[registry.host]:
            self._check_rest(registry)
            with _said_in_a_sentence(who, self._seconds):
                async with asyncio.timeout(self._seconds):
                    yield

    async def _one_of(self, ways: list[_Way], headers: Mapping[str, str]) -> Answer:
        for way in ways[:-1]:
            try:
                return await self._exchange(way, "GET", headers)
            except aiohttp.ClientConnectorError:
                continue
        return await self._exchange(ways[-1], "GET", headers)

    async def _exchange(self, way: _Way, method: str, headers: Mapping[str, str]) -> Answer:
        named = {**headers, "Host": way.host} if way.host else headers
        async with self._session.request(method, way.url, headers=named, allow_redirects=False, server_hostname=way.tls_name) as response:
            headers = {name.lower(): ", ".join(response.headers.getall(name)) for name in response.headers}
            return Answer(response.status, headers, await _read(response))

    async def _ways(self, registry: Registry, url: URL) -> list[_Way]:
        """The addresses that a registry may send us to: its own host's, public ones, and any if it is itself at none that is public."""
        _check_scheme(registry, url)
        home = base(registry)
        if url.host == home.host:
            return [_Way(url)]
        found = await self._addresses(url)
        if not any(map(is_public, found)) and not any(map(is_public, await self._addresses(home))):
            return [_pinned(url, address) for address in found]
        public = [_pinned(url, address) for address in found if is_public(address)]
        if not public:
            raise Unanswered(f"{registry.host} sends us to {url.host}, which is not on the public Internet; we do not go there")
        return public

    async def _addresses(self, url: URL) -> list[str]:
        places = await self._resolver.resolve(url.host or "", url.port or 0, socket.AF_UNSPEC)
        if not places:
            raise socket.gaierror(socket.EAI_NONAME, "it has no address")
        return [place["host"] for place in places]

    def _check_rest(self, registry: Registry) -> None:
        left = self._rests.get(registry, 0) - self._clock()
        if left > 0:
            raise _wants_rest(registry, timedelta(seconds=left))
        self._rests.pop(registry, None)

    def _noted(self, registry: Registry, answer: Answer) -> Answer:
        """The answer, unless it is that we ask too often."""
        if answer.status != 429:
            return answer
        rest = wait_of(answer.headers, datetime.now(UTC)) or _DEFAULT_REST
        self._rests[registry] = max(self._rests.get(registry, 0), self._clock() + rest.total_seconds())
        raise _wants_rest(registry, rest)


@contextmanager
def _said_in_a_sentence(who: str, seconds: float) -> Iterator[None]:
    """Turn whatever the network raises into Unanswered; never from it, since it knows the headers we sent."""
    try:
        yield
    except TimeoutError:
        raise Unanswered(f"{who} does not answer within {seconds:g} s") from None
    except (aiohttp.ClientError, OSError, ValueError) as failed:
        raise Unanswered(f"{who} {_failure(failed)}") from None


def _wants_rest(registry: Registry, rest: timedelta) -> Unanswered:
    return Unanswered(f"{registry.host} wants to be asked again in {ceil(rest.total_seconds())} s (429)", rest)


def target(registry: Registry, here: URL, text: str) -> URL:
    """The address that a registry sends us to, as it wrote it, relative to where it said so."""
    try:
        url = here.join(URL(text, encoded=True))
        if _PRINTABLE.fullmatch(text) and url.scheme in ("http", "https") and url.host and url.port and url.user is url.password is None:
            return url
    except ValueError:
        pass
    raise Unanswered(f"{registry.host} sends us to an address that we do not understand")


def _check_scheme(registry: Registry, url: URL) -> None:
    """Over plain http at most to the same machine, and only if the operator wants plain http there."""
    if url.scheme != "https" and not (registry.plain_http and url.host == base(registry).host):
        raise Unanswered(f"{registry.host} sends us to {url.host} over plain http; we only go there over https")


def _pinned(url: URL, address: str) -> _Way:
    return _Way(url.with_host(address), url.host_port_subcomponent, url.host if url.scheme == "https" else None)


def _failure(error: Exception) -> str:
    """What went wrong, without a word of what was said: an echo could hold our password."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "does not prove by its certificate who it is"
        case aiohttp.ClientSSLError():
            return "does not speak TLS as we do"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "hangs up before its answer is complete"
        case _TooLong():
            return "answers with more than 4 MB"
        case OSError():
            return _unreached(error)
        case _:
            return "does not answer in HTTP"


def _unreached(error: OSError) -> str:
    cause = getattr(error, "os_error", error)  # aiohttp wraps the one that tells
    if isinstance(cause, socket.gaierror):
        return "is a name that cannot be resolved"
    return f"cannot be reached: {os.strerror(cause.errno) if cause.errno else 'no connection'}"


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """A body of at most 4 MB; who sends more is not read to the end."""
    body = bytearray()
    while chunk := await response.content.read(65_536):
        body += chunk
        if len(body) > MOST_READ:
            raise _TooLong
    return bytes(body)
