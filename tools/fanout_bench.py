"""What it costs to tell many subscribers what happened: Rollwave beside Strawberry with broadcaster, and beside a push without GraphQL.

Each server has a process and a database of its own, so that nobody else is woken by an event; all clients share another process. An
event is a row that is committed; every client must have been told every event, in the table's order, or there is no figure.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from urllib.parse import urlsplit

import orjson

from domain.actors import Actor
from domain.events import Cursor, Event, EventType
from domain.ids import RolloutId
from domain.requests import Request
from monitor.reconciler import reconcile
from resolvers import policies, rollouts, tokens
from resolvers.context import Context
from resolvers.feed import Feed
from schema.nodes import node_id
from server.embedded import embedded_postgres
from server.graphql.connections import MOST
from storage import events
from storage.database import Database
from storage.migrate import migrate
from tools.audience import Asked
from tools.clients import Clients
from tools.crowd import crowd
from tools.figures import Figure
from tools.processes import Process, living
from tools.pushing import pushed

QUERY = "subscription Follow($id: ID!, $after: String) { rolloutEvents(id: $id, after: $after) { cursor at name revision deviceUuid } }"
DEVICE = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
# Nothing is refused here for being too much.
GENEROUS = {
    "ROLLWAVE_GRAPHQL_POINTS": str(10**9),
    "ROLLWAVE_STREAMS_PER_ADDRESS": str(MOST),
    "ROLLWAVE_STREAMS_PER_TOKEN": str(MOST),
}
SERVERS = {"ours": ("server",), "stock": ("tools.fanout", "stock"), "raw": ("tools.fanout", "raw")}
BESIDE = {"stock": "Strawberry and broadcaster", "raw": "a push without GraphQL"}
FIRST = 20
"""Clients that come before the memory of a server is looked at: the first of all make it load what it needs once."""
PERIOD, IN_A_ROW = 0.05, 40


@dataclass(frozen=True, slots=True)
class Plan:
    """What is done with so many clients."""

    name: str
    clients: int
    rounds: int
    burst: int
    """Events that are committed at once."""
    singles: int
    """Events of a round that are committed one by one, each when all have heard the one before."""
    servers: Sequence[str] = ("ours", "stock", "raw")
    as_events: bool = False
    in_a_row: int = 0
    """Events that are committed one every PERIOD, whether or not the one before has been told by then."""


PLANS = (
    Plan("1000", 1_000, 3, 50, 12, in_a_row=IN_A_ROW),
    Plan("5000", 5_000, 2, 10, 6),
    Plan("sse_1000", 1_000, 2, 50, 8, ("ours", "stock"), as_events=True),
)


@dataclass(slots=True)
class Told:
    """What was measured of one server."""

    memory: float
    """kB for each connection."""
    per_second: list[float] = field(default_factory=list)
    """Messages a second in bursts."""
    waits: list[list[float]] = field(default_factory=list)
    """For each event that came alone the milliseconds that the clients waited for it."""
    in_a_row: list[float] = field(default_factory=list)
    """The same of all events that came in a steady row."""

    @property
    def last(self) -> list[float]:
        """For each event that came alone the milliseconds until the last client had it."""
        return [max(waits) for waits in self.waits]


@dataclass(slots=True)
class Subject:
    """A server whose clients are told of a rollout."""

    process: Process
    ctx: Context
    rollout: RolloutId
    token: str
    clients: Clients
    since: Cursor = field(default_factory=Cursor)
    committed: int = 0
    """Events that its clients are to be told."""

    async def join(self, size: int, as_events: bool) -> float:
        """Have so many clients; returns the kB of memory that each costs."""
        await self._join(FIRST, as_events)
        await self.tell(1)
        await self.leave()
        before = await _settled(self.process)
        await self._join(size, as_events)
        await self.tell(1)
        return (await _settled(self.process) - before) / size / 1000

    async def _join(self, size: int, as_events: bool) -> None:
        self.since, self.committed = (await self._written())[-1].cursor, 0
        variables = {"id": str(node_id("Rollout", self.rollout)), "after": str(self.since)}
        await self.clients.join(Asked(self.process.url, self.token, QUERY, variables, as_events), size)
        await _settled(self.process)

    async def tell(self, count: int) -> "tuple[float, list[array[float]]]":
        """Commit events in one transaction; returns when that was, and when each client heard each."""
        already, committed = self.committed, await self.commit(count)
        return committed, await self.clients.heard(self.process.url, already, self.committed)

    async def commit(self, count: int) -> float:
        """Commit events in one transaction; returns when that was."""
        async with self.ctx.db.transaction() as conn:
            now = await self.ctx.db.now(conn)
            for _ in range(count):
                await events.record(conn, EventType.DEVICE_UPDATED, now, rollout=self.rollout, revision=1, device=DEVICE, image="a/lamp:2")
        committed = time.perf_counter()
        self.committed += count
        return committed

    async def leave(self) -> None:
        """End the connections. Raises ValueError if the clients were not told what the table says."""
        told = [_cursor(message) for message in await self.clients.leave(self.process.url)]
        written = [str(event.cursor) for event in await self._written()]
        if told != written[-self.committed :]:
            raise ValueError(f"{self.process.url} told {len(told)} events where the table has {self.committed}, or in another order")

    async def _written(self) -> list[Event]:
        async with self.ctx.db.reading() as conn:
            return await events.page_of(conn, self.rollout, self.since.past, 10_000)


async def figures(url: str, plans: Sequence[Plan] = PLANS) -> AsyncIterator[Figure]:
    """All of it, on databases of its own."""
    async with AsyncExitStack() as stack:
        contexts = {name: await stack.enter_async_context(_database(url, f"fanout_{name}")) for name in SERVERS}
        for plan in plans:
            for figure in _figures(plan, await _measured(plan, contexts)):
                yield figure


def _figures(plan: Plan, told: dict[str, Told]) -> Iterator[Figure]:
    """Ours beside each of the others."""
    aspects: dict[str, tuple[str, Callable[[Told], float]]] = {
        "fanout": ("/s", lambda one: statistics.median(one.per_second)),
        "fanout_single": ("ms", lambda one: statistics.median(one.last)),
        "fanout_worst": ("ms", lambda one: max(one.last)),
        "fanout_p50": ("ms", lambda one: _percentile(chain.from_iterable(one.waits), 50)),
        "fanout_p99": ("ms", lambda one: _percentile(chain.from_iterable(one.waits), 99)),
        "fanout_memory": ("kB", lambda one: one.memory),
    }
    if plan.in_a_row:
        aspects["fanout_row_p50"] = ("ms", lambda one: _percentile(one.in_a_row, 50))
        aspects["fanout_row_p99"] = ("ms", lambda one: _percentile(one.in_a_row, 99))
    for name, (unit, value) in aspects.items():
        for other in plan.servers[1:]:
            suffix = "" if other == "stock" else f"_{other}"
            yield Figure(f"{name}_{plan.name}{suffix}", value(told["ours"]), unit, value(told[other]), BESIDE[other])


async def _measured(plan: Plan, contexts: dict[str, Context]) -> dict[str, Told]:
    async with AsyncExitStack() as stack:
        clients = await stack.enter_async_context(Clients.running())
        subjects = {name: await stack.enter_async_context(_serving(name, contexts[name], clients)) for name in plan.servers}
        told = {name: Told(await one.join(plan.clients, plan.as_events)) for name, one in subjects.items()}
        for _ in range(plan.rounds):
            for name, one in subjects.items():
                await _round(plan, one, told[name])
        for name, one in subjects.items():
            told[name].in_a_row = await _in_a_row(one, plan.in_a_row)
            await one.leave()
    return told


async def _round(plan: Plan, subject: Subject, told: Told) -> None:
    committed, heard = await subject.tell(plan.burst)
    told.per_second.append(sum(map(len, heard)) / (max(map(max, heard)) - committed))
    for _ in range(plan.singles):
        await asyncio.sleep(2 * subject.ctx.db.notifier.PAUSE)
        committed, [heard_one] = await subject.tell(1)
        told.waits.append([1000 * (at - committed) for at in heard_one])


async def _in_a_row(subject: Subject, count: int) -> list[float]:
    """The milliseconds that clients wait for events that are committed one every PERIOD."""
    already, commits = subject.committed, []
    for _ in range(count):
        await asyncio.sleep(PERIOD)
        commits.append(await subject.commit(1))
    heard = await subject.clients.heard(subject.process.url, already, subject.committed)
    return [1000 * (at - committed) for committed, some in zip(commits, heard, strict=True) for at in some]


@asynccontextmanager
async def _database(url: str, name: str) -> AsyncIterator[Context]:
    async with Database.connect(url) as db, db.reading() as conn:
        await conn.execute(f"create database {name}")
    at = urlsplit(url)._replace(path=f"/{name}").geturl()
    await migrate(at)
    async with Database.connect(at) as db:
        yield Context(db, Feed(), Actor.operator("bench"))


@asynccontextmanager
async def _serving(name: str, ctx: Context, clients: Clients) -> AsyncIterator[Subject]:
    process = Process(*SERVERS[name], DATABASE_URL=ctx.db.url, **GENEROUS)
    rollout, token = await _cancelled(ctx), await tokens.issue(ctx.db, "bench")
    async with living(process):
        yield Subject(process, ctx, rollout, token, clients)


async def _cancelled(ctx: Context) -> RolloutId:
    """A rollout to which nothing happens by itself."""
    image = f"acme/lamp-{time.monotonic_ns()}"
    await crowd(ctx.db, 1, f"{image}:1.0.0")
    await policies.create(ctx, {"image_pattern": image, "update_strategy": "manual"})
    [decision] = await pushed(ctx, f"{image}:2.0.0", "bench")
    assert decision.rollout_id is not None
    await reconcile(ctx.db)
    await rollouts.request(ctx, decision.rollout_id, Request.CANCEL)
    return decision.rollout_id


async def _settled(process: Process) -> int:
    """Wait until a server has nothing to do any more; returns the bytes of memory that it holds then."""
    worked = -1.0
    while (now := process.worked()) - worked > 0.05:
        worked = now
        await asyncio.sleep(0.5)
    return process.resident()


def _percentile(waits: Iterable[float], percent: int) -> float:
    return statistics.quantiles(waits, n=100)[percent - 1]


def _cursor(message: bytes) -> str:
    """Of an event as it was told, over whichever transport."""
    said = orjson.loads(message[message.index(b"{") : message.rindex(b"}") + 1])
    cursor: str = said.get("payload", said)["data"]["rolloutEvents"]["cursor"]
    return cursor


async def _print(url: str) -> None:
    async for figure in figures(url):
        print(figure.line, flush=True)


def main() -> None:
    """Measure these alone, on a PostgreSQL of their own."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory(prefix="rollwave-bench-") as directory:
        Path(directory).chmod(0o755)  # as root PostgreSQL runs under another user, who has to get in
        with embedded_postgres(Path(directory) / "data") as url:
            asyncio.run(_print(url))


if __name__ == "__main__":
    main()
