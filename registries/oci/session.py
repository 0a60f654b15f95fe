"""The way out to registries, for as long as somebody needs it."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import monotonic

import aiohttp
from aiohttp.abc import AbstractResolver

from registries.oci.client import Client
from registries.oci.wire import MOST_AT_ONCE, PATIENCE

_HEADERS = {"User-Agent": "Rollwave", "Accept-Encoding": "identity"}


@asynccontextmanager
async def client(
    *,
    tls: ssl.SSLContext | None = None,
    resolver: AbstractResolver | None = None,
    seconds: float = PATIENCE,
    clock: Callable[[], float] = monotonic,
) -> AsyncIterator[Client]:
    """A client of registries: no cookies, no proxies, nothing from the environment. `tls` and `resolver` are the system's unless given."""
    connector = aiohttp.TCPConnector(ssl=tls or True, resolver=resolver, limit=0, limit_per_host=MOST_AT_ONCE)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,  # 4 MB of gzip may be 4 GB
        headers=_HEADERS,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
    ) as session:
        yield Client(session, resolver=resolver, seconds=seconds, clock=clock)
