"""Measures what the engine rests on: one row that moves, beside a row written for each device, in one run on one machine.

Take the ratios, not the seconds: machines are noisy. Every figure is the median of RUNS.
"""

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from domain.actors import Actor
from domain.ids import RolloutId
from domain.images import Image, Push
from domain.requests import Request
from monitor.reconciler import reconcile
from resolvers import images, policies, rollouts
from resolvers.context import Context
from resolvers.feed import Feed
from server.embedded import embedded_postgres
from storage.database import Database
from storage.migrate import migrate
from tools.crowd import crowd

DEVICES, RUNS = 100_000, 5


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement, and what it is compared with."""

    name: str
    value: float
    unit: str
    reference: float | None = None
    """The same work done the other way, in the same unit."""

    @property
    def ratio(self) -> float | None:
        """How many times faster than the reference."""
        return None if self.reference is None else self.reference / self.value


async def figures(operator: Context) -> AsyncIterator[Figure]:
    """Create a rollout for everybody, open its first batch, count, roll back; beside a row written for each device."""
    await crowd(operator.db, DEVICES, "acme/sensor:1.0.0")
    await policies.create(operator, {"image_pattern": "acme/sensor", "update_strategy": "auto"})
    [decision] = await images.record_push(operator, Push(Image.parse("acme/sensor:2.0.0"), "bench"))
    assert decision.rollout_id is not None
    created = await _seconds(lambda: reconcile(operator.db))
    yield Figure("create_100k", created, "s", None)
    yield Figure("count_100k", await _median(lambda: rollouts.snapshot(operator, RolloutId(1))), "s", None)
    written = await _median(lambda: _a_row_for_each(operator.db))
    yield Figure("rollback_100k", await _seconds(lambda: rollouts.request(operator, RolloutId(1), Request.ROLL_BACK)), "s", written)


async def _a_row_for_each(db: Database) -> None:
    """What taking an image back costs when every device has a row of its own that says so."""
    async with db.transaction() as conn:
        await conn.execute("update targets set version = version + 1")


async def _seconds(act: Callable[[], Awaitable[object]]) -> float:
    began = time.perf_counter()
    await act()
    return time.perf_counter() - began


async def _median(act: Callable[[], Awaitable[object]]) -> float:
    return statistics.median([await _seconds(act) for _ in range(RUNS)])


async def measure(url: str) -> list[Figure]:
    """Print the figures as they come."""
    measured = []
    await migrate(url)
    async with Database.connect(url) as db:
        async for figure in figures(Context(db, Feed(), Actor.operator("bench"))):
            beside = f"   {figure.ratio:8.0f} times faster than a row for each device ({figure.reference:.3f} s)" if figure.ratio else ""
            print(f"{figure.name:16} {figure.value:9.4f} {figure.unit}{beside}", flush=True)
            measured.append(figure)
    return measured


def main() -> None:
    """Measure on a PostgreSQL of our own, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="rollwave-bench-") as directory:
        Path(directory).chmod(0o755)  # as root PostgreSQL runs under another user, who has to get in
        with embedded_postgres(Path(directory) / "data") as url:
            measured = asyncio.run(measure(url))
    if given.json is not None:
        given.json.write_text(json.dumps([{**asdict(figure), "ratio": figure.ratio} for figure in measured], indent=2) + "\n")


if __name__ == "__main__":
    main()
