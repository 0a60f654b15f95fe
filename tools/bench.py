"""Measures what the engine rests on: one row that moves, beside a row written for each device, in one run on one machine.

Take the ratios, not the seconds: machines are noisy. References that can be repeated are medians of RUNS.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

from domain.actors import Actor
from domain.ids import RolloutId
from domain.requests import Request
from monitor.reconciler import reconcile
from resolvers import policies, progress, rollouts
from resolvers.context import Context
from resolvers.feed import Feed
from server.embedded import embedded_postgres
from storage import rollouts as storage
from storage.database import Database
from storage.migrate import migrate
from tools import fanout_bench, poll_bench, query_bench, webhook_load
from tools.crowd import crowd
from tools.figures import Figure
from tools.pushing import pushed

SOME, MANY, RUNS = 100_000, 1_000_000, 3


async def figures(operator: Context, some: int, many: int) -> AsyncIterator[Figure]:
    """What a rollout costs, beside a row written for each device it concerns; names say for how many by default."""
    db = operator.db
    await crowd(db, some, "acme/sensor:1.0.0")
    first = await _begun(operator, "acme/sensor", {"update_strategy": "auto"})
    yield Figure("create_100k", await _seconds(lambda: _enrolled(db, first)), "s", await _median(lambda: _a_row_for_each(db, first)))
    waits = await webhook_load.measure(db, "acme/sensor")
    yield Figure("webhook_p99_100k", waits.webhook_p99, "ms", waits.health_p99, "/healthz")
    yield Figure("webhooks_decided", waits.all_decided, "s")
    await crowd(db, many, "acme/camera:1.0.0")
    stages = [{"share_percent": 25}, {"share_percent": 100}]
    second = await _begun(operator, "acme/camera", {"update_strategy": "manual", "stages": stages, "health_check_enabled": False})
    yield Figure("enrol_1m", await _seconds(lambda: _enrolled(db, second)), "s", await _seconds(lambda: _a_row_for_each(db, second)))
    await rollouts.request(operator, second, Request.START)
    quarter = await _median(lambda: _a_row_for_each(db, second, 4))
    yield Figure("open_250k", await _seconds(lambda: reconcile(db)), "s", quarter)
    await _everybody_runs_it(db, second)
    counted = await _median(lambda: _counted(db, second))
    yield Figure("count_1m", counted, "s", await _median(lambda: _a_row_for_each(db, second)))
    everybody = await _median(lambda: _a_row_for_each(db, second))
    yield Figure("rollback_1m", await _seconds(lambda: rollouts.request(operator, second, Request.ROLL_BACK)), "s", everybody)


async def _begun(operator: Context, repository: str, settings: dict[str, object]) -> RolloutId:
    """A rollout whose devices are still to be ranked."""
    await policies.create(operator, {"image_pattern": repository} | settings)
    [decision] = await pushed(operator, f"{repository}:2.0.0", "bench")
    assert decision.rollout_id is not None
    return decision.rollout_id


async def _enrolled(db: Database, rollout: RolloutId) -> None:
    await reconcile(db)
    async with db.reading() as conn:
        assert await conn.fetchval("select size from rollouts where id = $1", rollout)
        await conn.execute("analyze members")


async def _a_row_for_each(db: Database, rollout: RolloutId, part: int = 1) -> None:
    """What the same costs when every device, or every n-th, has a row of its own that says so."""
    async with db.transaction() as conn:
        await conn.execute(
            """
            update targets set version = version + 1 from members m
             where m.device_id = targets.device_id and m.rollout_id = $1 and m.rank % $2 = 0
            """,
            rollout, part,
        )  # fmt: skip


async def _everybody_runs_it(db: Database, rollout: RolloutId) -> None:
    """As if everybody had been offered the image and had reported that it runs."""
    async with db.transaction() as conn:
        await conn.execute("update rollouts set stage = 1, ends = array[frontier], frontier = size, reached = size where id = $1", rollout)
        await conn.execute("update members set taken_at = now(), outcome = 'running', outcome_at = now() where rollout_id = $1", rollout)
    async with db.reading() as conn:
        await conn.execute("vacuum analyze members")


async def _counted(db: Database, rollout: RolloutId) -> None:
    """What the engine does at every step: count what everybody has shown."""
    async with db.reading() as conn:
        found = await storage.one(conn, rollout)
        assert found is not None
        assert (await progress.count(conn, found, await db.now(conn))).good == found.size


async def _seconds(act: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await act()
    return time.perf_counter() - began


async def _median(act: Callable[[], Awaitable[object]]) -> float:
    return statistics.median([await _seconds(act) for _ in range(RUNS)])


async def measure(url: str, some: int, many: int) -> list[Figure]:
    """Print the figures as they come."""
    measured = []
    async for figure in _all(url, some, many):
        print(figure.line, flush=True)
        measured.append(figure)
    return measured


async def _all(url: str, some: int, many: int) -> AsyncIterator[Figure]:
    """The figures of queries, which need no database; those of events, of polls and of the engine, each on some of their own."""
    async for figure in query_bench.figures():
        yield figure
    async for figure in fanout_bench.figures(url):
        yield figure
    async with Database.connect(url) as db, db.reading() as conn:
        await conn.execute("create database polls")
    for at, measured in ((urlsplit(url)._replace(path="/polls").geturl(), poll_bench.figures), (url, figures)):
        await migrate(at)
        async with Database.connect(at) as db:
            async for figure in measured(Context(db, Feed(), Actor.operator("bench")), some, many):
                yield figure


def main() -> None:
    """Measure on a PostgreSQL of our own, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--some", type=int, default=SOME, help="devices of the smaller rollout")
    parser.add_argument("--many", type=int, default=MANY, help="devices of the larger one")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollwave-bench-") as directory:
        Path(directory).chmod(0o755)  # as root PostgreSQL runs under another user, who has to get in
        # When a rollback was committed is asked of PostgreSQL.
        with embedded_postgres(Path(directory) / "data", {"track_commit_timestamp": "on"}) as url:
            measured = asyncio.run(measure(url, given.some, given.many))
    if given.json is not None:
        given.json.write_text(json.dumps([{**asdict(figure), "ratio": figure.ratio} for figure in measured], indent=2) + "\n")


if __name__ == "__main__":
    main()
