"""How long senders wait for an answer while a hundred webhooks a second come in, and their rollouts concern a hundred thousand devices."""

import asyncio
import secrets
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from storage.database import Database
from tools.processes import a_process

PER_SECOND, SECONDS = 100, 10


@dataclass(frozen=True, slots=True)
class Waits:
    """What was measured, in milliseconds but for the last."""

    webhook_p99: float
    health_p99: float
    """The same for /healthz at the same rate: what this machine makes any answer wait that asks the database one thing."""
    all_decided: float
    """Seconds from the first webhook until all of them were decided."""


async def measure(db: Database, repository: str) -> Waits:
    """Post webhooks for new tags of an image that devices run to a server in a process of its own."""
    secret = secrets.token_urlsafe(24)
    async with a_process(db.url, secret) as process, aiohttp.ClientSession() as http:
        address = f"{process.url}/api/v1/webhooks/docker-registry/{secret}"
        health = await _p99(lambda _: _waited(http.get(f"{process.url}/healthz"), 200))
        began = time.perf_counter()
        webhook = await _p99(lambda number: _waited(http.post(address, json=_body(repository, number)), 202))
        await _everything_decided(db)
        return Waits(webhook, health, time.perf_counter() - began)


def _body(repository: str, number: int) -> dict[str, str]:
    return {"image": repository, "tag": f"3.0.{number}", "digest": f"sha256:{number:064x}"}


async def _p99(ask: Callable[[int], Awaitable[float]]) -> float:
    """Ask at a steady rate, however long the answers take."""
    began, asked = time.perf_counter(), []
    for number in range(PER_SECOND * SECONDS):
        await asyncio.sleep(max(0, began + number / PER_SECOND - time.perf_counter()))
        asked.append(asyncio.ensure_future(ask(number)))
    return statistics.quantiles(await asyncio.gather(*asked), n=100)[98]


async def _waited(asking: "aiohttp.client._RequestContextManager", wanted: int) -> float:
    began = time.perf_counter()
    async with asking as response:
        await response.read()
        assert response.status == wanted, response.status
    return (time.perf_counter() - began) * 1000


async def _everything_decided(db: Database) -> None:
    undecided = 1
    while undecided:
        await asyncio.sleep(0.1)
        async with db.reading() as conn:
            undecided = await conn.fetchval("select count(*) from pushes where due_at is not null")
