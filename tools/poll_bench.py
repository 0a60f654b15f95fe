"""What polls and reports cost: a real server beside a bare ASGI application, and beside a route that asks the database."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from multiprocessing import get_context

import orjson

from domain.events import EventType
from domain.ids import DeviceId, RolloutId
from domain.requests import Request
from monitor.reconciler import reconcile
from resolvers import policies, rollouts
from resolvers.context import Context
from tools import hammer
from tools.bare import serving
from tools.crowd import crowd, key_of
from tools.figures import Figure
from tools.processes import Process, a_process
from tools.pushing import pushed

SECRET = "of-a-benchmark-only"
IMAGE = "acme/lamp:1.0.0"
POLLED, SECONDS, ROUNDS = 10_000, 6.0, 3
SETTLED = 20.0
"""Seconds without growth after which a server has read its devices; of a million it may have to wait for PostgreSQL longer than 5."""


async def figures(operator: Context, some: int, many: int) -> AsyncIterator[Figure]:
    """All of it; names say for how many devices by default."""
    yield await memory(operator, 0)
    yield await memory(operator, some)
    async for figure in rates(operator):
        yield figure
    yield await rollback(operator, some)
    yield await memory(operator, many)


async def rates(operator: Context) -> AsyncIterator[Figure]:
    """Polls and reports a second, of one server process, beside what they are compared with, in turns."""
    uuids = await _uuids(operator, await crowd(operator.db, POLLED, "acme/gate:1.0.0"))
    fulls = [hammer.poll(uuid, key_of(uuid)) for uuid in uuids]
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(a_process(operator.db.url, SECRET))
        plain = await stack.enter_async_context(serving("route_with_queries", operator.db.url))
        nothing, something = [await stack.enter_async_context(serving(name)) for name in ("not_modified", "full_answer")]
        await _read(server)
        polls = {url: await _knowing(url, uuids, fulls) for url in (server.url, plain)}
        unchanged = await _rounds([(server.url, polls[server.url]), (nothing, polls[server.url]), (plain, polls[plain])], 304)
        full = await _rounds([(server.url, fulls), (something, fulls), (plain, fulls)], 200)
        yield Figure("polls_304", unchanged[0], "/s", unchanged[1], "a bare application")
        yield Figure("polls_304_query", unchanged[0], "/s", unchanged[2], "a route with queries")
        yield Figure("polls_full", full[0], "/s", full[1], "a bare application")
        yield Figure("polls_full_query", full[0], "/s", full[2], "a route with queries")
        [told] = await _rounds([(server.url, [_report(uuid) for uuid in uuids])], 200)
        yield Figure("reports", told, "/s")


async def memory(operator: Context, devices: int) -> Figure:
    """Resident memory of a server that has read this many devices."""
    async with operator.db.reading() as conn:
        already = await conn.fetchval("select count(*) from devices")
    if devices > already:
        await crowd(operator.db, devices - already, IMAGE)
    async with a_process(operator.db.url, SECRET) as server:
        return Figure(f"memory_{_short(devices)}", await _read(server) / 1e6, "MB")


async def rollback(operator: Context, count: int) -> Figure:
    """Seconds from the commit of a rollback until no process told anybody otherwise any more; every device is asked afterwards."""
    uuids = await _uuids(operator, await crowd(operator.db, count, "acme/door:1.0.0"))
    rollout = await _everybody_took_it(operator, "acme/door:2.0.0")
    async with a_process(operator.db.url, SECRET) as one, a_process(operator.db.url, SECRET) as other:
        servers = (one, other)
        for server in servers:
            await _read(server)
        [tag] = await hammer.etags(one.url, [hammer.poll(uuids[0], key_of(uuids[0]))])  # the same for all, who run the same
        polls = [hammer.poll(uuid, key_of(uuid), tag) for uuid in uuids]
        *wrong, committed = await asyncio.gather(*[_last_wrong(server.url, polls) for server in servers], _roll_back(operator, rollout))
        for server in servers:
            await _all_know(server.url, polls)
    return Figure("rollback_told_100k", max(wrong) - committed, "s")


async def _everybody_took_it(operator: Context, image: str) -> RolloutId:
    """A rollout that everybody was offered, took, and has not answered yet."""
    await policies.create(operator, {"image_pattern": image.partition(":")[0], "update_strategy": "auto"})
    [decision] = await pushed(operator, image, "bench")
    assert decision.rollout_id is not None
    await reconcile(operator.db)
    async with operator.db.transaction() as conn:
        await conn.execute("update members set taken_at = now() where rollout_id = $1", decision.rollout_id)
    return decision.rollout_id


async def _roll_back(operator: Context, rollout: RolloutId) -> float:
    """Once polls have been answered for a while, which takes a second to begin; returns when it was committed.

    PostgreSQL says when: this process has its turn late, beside two servers and two who poll on two cores.
    """
    await asyncio.sleep(SECONDS / 2)
    await rollouts.request(operator, rollout, Request.ROLL_BACK)
    async with operator.db.reading() as conn:
        committed: float = await conn.fetchval(
            """
            select extract(epoch from min(pg_xact_commit_timestamp(xid::xid)))::float8
              from events where rollout_id = $1 and type = $2
            """,
            rollout, EventType.ROLLBACK_STARTED.value,
        )  # fmt: skip
    return committed


async def _last_wrong(url: str, polls: Sequence[bytes]) -> float:
    """When the last poll was sent that was answered as if nothing had happened; asked in a process of its own, by the same clock."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return await asyncio.get_running_loop().run_in_executor(process, _asked_until_told, url, polls)


def _asked_until_told(url: str, polls: Sequence[bytes]) -> float:
    return asyncio.run(_listen(url, polls))


async def _listen(url: str, polls: Sequence[bytes]) -> float:
    last = 0.0

    def hear(head: bytes, waited: float) -> None:
        nonlocal last
        if head[9:12] == b"304":
            last = max(last, time.time() - waited)

    await hammer.hear_for(url, polls, SECONDS, 8, hear)
    assert last, "nobody was told that nothing had happened before it did"
    return last


async def _all_know(url: str, polls: Sequence[bytes]) -> None:
    """Every device is told that something changed."""
    statuses = Counter(await hammer.statuses(url, polls))
    if set(statuses) != {200}:
        raise ValueError(f"after the rollback devices were answered {dict(statuses)}")


async def _uuids(operator: Context, devices: Sequence[DeviceId]) -> list[str]:
    async with operator.db.reading() as conn:
        return [str(row["uuid"]) for row in await conn.fetch("select uuid from devices where id = any ($1)", devices)]


async def _knowing(url: str, uuids: Sequence[str], fulls: Sequence[bytes]) -> list[bytes]:
    """Polls of devices that hold the tag of what they were told."""
    tags = await hammer.etags(url, fulls)
    return [hammer.poll(uuid, key_of(uuid), tag) for uuid, tag in zip(uuids, tags, strict=True)]


async def _rounds(subjects: Sequence[tuple[str, Sequence[bytes]]], status: int) -> list[float]:
    """Answers a second of each, medians of several rounds in turns; nobody may answer anything else."""
    found: list[list[float]] = [[] for _ in subjects]
    for number, (url, requests) in list(enumerate(subjects)) * ROUNDS:
        answers = await hammer.hammer_from_outside(url, requests, SECONDS)
        if set(answers.by_status) != {status}:
            raise ValueError(f"{url} answered {answers.by_status}, not only {status}")
        found[number].append(answers.per_second)
    return [statistics.median(rates) for rates in found]


def _report(uuid: str) -> bytes:
    service = {"serviceName": "web", "imageName": "acme/gate:1.0.0", "status": "running", "config": {"image": "acme/gate:1.0.0"}}
    state = {"apps": {"1001": {"appId": 1001, "services": [service]}}, "config": {}, "version": 1, "is_online": True}
    return hammer.report(key_of(uuid), orjson.dumps({uuid: state}))


async def _read(server: Process) -> int:
    """Wait until a server has read its devices, which shows in its memory; returns the bytes that are resident then."""
    largest, since = 0, time.perf_counter()
    while time.perf_counter() - since < SETTLED:
        await asyncio.sleep(0.2)
        if (resident := server.resident()) > largest + 1_000_000:
            largest, since = resident, time.perf_counter()
    return server.resident()


def _short(devices: int) -> str:
    return f"{devices // 1_000_000}m" if devices >= 1_000_000 else f"{devices // 1000}k" if devices else "0"
