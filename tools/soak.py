"""Clients who follow what happens for as long as is asked, while everything that can go away does; none of them may miss anything.

    python -m tools.soak --seconds 180 [--seed 7]

Two servers, one of them by way of a black hole, share a PostgreSQL of this command's own. The exit code is 1 if anybody was told
something wrongly, or lost a connection in a way after which clients do not come again.
"""

import argparse
import asyncio
import logging
import random
import secrets
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

import uvloop
from rich import box
from rich.console import Console
from rich.table import Table
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage

from domain.actors import Actor
from resolvers import tokens
from resolvers.context import Context
from resolvers.feed import Feed
from resolvers.ring import Ring
from resolvers.vault import Vault
from storage.database import Database
from storage.migrate import migrate
from tools.blackhole import EVERYBODY, LISTENER, Blackhole, blackhole
from tools.conversation import come_and_go
from tools.followers import DOZES, FALLS_SILENT, IS_CUT_OFF, LEAVES, STEADY, Follower, Whims
from tools.processes import Process, a_process
from tools.restartable import Restartable, restartable
from tools.world import COMES_AGAIN, OF_ONE, OF_SOME, World, a_paused_rollout, at_work
from tools.writers import Writer, burst, table

SECRET = "a-secret-for-webhooks"
WRITERS, PAUSE = 6, 0.05
RESTLESS = Whims(patience=500, doze=2.0, deeds=(LEAVES, LEAVES, IS_CUT_OFF, IS_CUT_OFF, DOZES, DOZES, DOZES, FALLS_SILENT))
LATEST = 60.0
"""Seconds of silence after which nobody is told anything any more: a server gives up on who fell silent within 40, and starts in a few."""
_GONE = (ConnectionClosed, InvalidHandshake, InvalidMessage, OSError, EOFError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where it takes place, and what of it can go away."""

    world: World
    postgres: Restartable
    hole: Blackhole
    servers: Sequence[Process]
    dice: random.Random

    async def lose_listeners(self) -> None:
        await self._terminate("rollwave listener")

    async def lose_all_connections(self) -> None:
        await self._terminate("rollwave%")

    async def swallow_the_listener(self) -> None:
        await self._swallow(LISTENER)

    async def swallow_everything(self) -> None:
        await self._swallow(*EVERYBODY)

    async def restart_postgresql(self) -> None:
        await self.postgres.restart()

    async def crash_postgresql(self) -> None:
        await self.postgres.crash()

    async def stop_a_server(self) -> None:
        server = self.dice.choice(self.servers)
        await server.stop()
        await server.start()

    async def kill_a_server(self) -> None:
        server = self.dice.choice(self.servers)
        await server.kill()
        await server.start()

    async def write_for_long(self) -> None:
        """All that is committed meanwhile has to wait."""
        async with self.world.operator.db.unheard() as conn:
            await conn.execute("select pg_current_xact_id()")
            await asyncio.sleep(self.dice.uniform(1, 5))

    async def let_much_happen(self) -> None:
        """More at once than is remembered."""
        async with self.world.operator.db.transaction() as conn:
            await burst(conn, [self.world.rollout, *[None] * 9], Ring.CAPACITY + 1000)

    async def come_and_go(self) -> None:
        """A thousand subscriptions."""
        world = self.world
        with suppress(*_GONE):
            after = (await table(world.operator.db, world.rollout))[-2]
            await come_and_go(self.dice.choice(world.urls), world.token, [OF_ONE, OF_SOME], id=world.rollout_id, after=after)

    async def _terminate(self, names: str) -> None:
        async with self.world.operator.db.reading() as conn:
            await conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where application_name like $1 and pid <> pg_backend_pid()", names
            )

    async def _swallow(self, *names: str) -> None:
        self.hole.swallow(*names)
        await asyncio.sleep(self.dice.uniform(1, 8))
        self.hole.reset()


FAULTS: Sequence[Callable[[Stage], Awaitable[None]]] = (
    Stage.lose_listeners, Stage.lose_all_connections, Stage.swallow_the_listener, Stage.swallow_everything, Stage.restart_postgresql,
    Stage.crash_postgresql, Stage.stop_a_server, Stage.kill_a_server, Stage.write_for_long, Stage.let_much_happen, Stage.come_and_go,
)  # fmt: skip


@asynccontextmanager
async def a_stage(dice: random.Random) -> AsyncIterator[Stage]:
    """Everything is there when the block begins, and gone when it ends."""
    async with AsyncExitStack() as stack:
        postgres = stack.enter_context(restartable())
        await migrate(postgres.url)
        db = await stack.enter_async_context(Database.connect(postgres.url))
        operator = Context(db, Feed(), Actor.operator("soak"), Vault(()))
        rollout = await a_paused_rollout(operator)
        hole = await stack.enter_async_context(blackhole(postgres.url))
        servers = [await stack.enter_async_context(a_process(url, SECRET)) for url in (hole.url, postgres.url)]
        world = World(operator, rollout, [server.url for server in servers], await tokens.issue(db, "soak"))
        yield Stage(world, postgres, hole, servers, dice)


@dataclass(frozen=True, slots=True)
class Soaked:
    """What was done, and what came of it."""

    followers: Sequence[Follower]
    writers: Sequence[Writer]
    faults: Counter[str]
    events: int
    mistakes: Sequence[str]
    caught_up: float
    """Seconds after the last was written until everybody had been told everything."""
    resident: Sequence[int]

    @property
    def ends(self) -> Counter[str]:
        """How connections ended that the clients did not end."""
        return sum((follower.ends for follower in self.followers), Counter[str]())

    @property
    def wrong(self) -> list[str]:
        """All that must not be."""
        return [*self.mistakes, *(f"a connection ended with: {how}" for how in self.ends if how not in COMES_AGAIN)]

    def rows(self) -> Iterator[tuple[str, str]]:
        """What to show."""
        deeds = sum((follower.deeds for follower in self.followers), Counter[str]())
        yield "transactions", f"{sum(writer.committed for writer in self.writers):,}"
        yield "rolled back", f"{sum(writer.undone for writer in self.writers):,}"
        yield "events", f"{self.events:,}"
        yield "clients", f"{len(self.followers)}"
        yield "connections", f"{sum(len(follower.stretches) for follower in self.followers):,}"
        yield "told", f"{sum(follower.told for follower in self.followers):,}"
        yield "caught up after", f"{self.caught_up:.1f} s"
        yield "memory of the servers", " and ".join(f"{size / 1e6:.0f} MB" for size in self.resident)
        for counts in (self.faults, deeds, self.ends):
            yield "", ""
            yield from ((what, f"{count:,}") for what, count in counts.most_common())


async def soak(seconds: float, seed: int) -> Soaked:
    """Let clients follow and everything go wrong for so long, then have them told the rest."""
    async with a_stage(random.Random(seed)) as stage:
        world = stage.world
        followers = [*world.followers(), *world.followers(RESTLESS)]
        writers = world.writers(WRITERS)
        async with at_work(*(follower.follow() for follower in followers)):
            async with at_work(*(writer.write_for_ever(PAUSE) for writer in writers)):
                faults = await _plague(stage, time.monotonic() + seconds)
            for follower in followers:
                follower.whims = STEADY  # whoever dozes on is not to be waited for
            began = time.monotonic()
            mistakes = await world.mistakes(followers, LATEST)
            took = time.monotonic() - began
            resident = [server.resident() for server in stage.servers]
        for follower in followers:
            follower.close()
        return Soaked(followers, writers, faults, len(await table(world.operator.db)), mistakes, took, resident)


async def _plague(stage: Stage, until: float) -> Counter[str]:
    """Do one thing after the other to everybody, in any order; returns how often what was done."""
    done: Counter[str] = Counter()
    while time.monotonic() < until:
        fault = stage.dice.choice(FAULTS)
        with suppress(*Database.unavailable, *Database.errors):
            await fault(stage)
        done[fault.__name__.replace("_", " ")] += 1
        await asyncio.sleep(stage.dice.uniform(0.2, 2))
    return done


def _shown(soaked: Soaked) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, show_header=False)
    shown.add_column()
    shown.add_column(justify="right")
    for row in soaked.rows():
        shown.add_row(*row)
    return shown


def main() -> None:
    """Soak for as long as asked."""
    options = argparse.ArgumentParser(description="Follow events while everything goes wrong.")
    options.add_argument("--seconds", type=float, default=180)
    options.add_argument("--seed", type=int, default=secrets.randbits(32))
    asked = options.parse_args()
    print(f"seed {asked.seed}", flush=True)
    logging.disable()  # what is away here is meant to be
    soaked = uvloop.run(soak(asked.seconds, asked.seed))
    Console().print(_shown(soaked))
    print("\n".join(soaked.wrong) or "nobody missed anything, nobody was told anything twice on a connection or out of order")
    sys.exit(1 if soaked.wrong else 0)


if __name__ == "__main__":
    main()
