"""Devices, operators, registries and three engines at once, on the same devices, from three pools.

Nothing but a Refused reaches anybody, and the books are in order: at every moment, and afterwards.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import asyncpg
import pytest

from domain.actors import Actor
from domain.devices import Device, Report
from domain.errors import Refused
from domain.events import Cursor, EventFilter
from domain.ids import PolicyId, RolloutId
from domain.requests import Request
from domain.rollouts import RolloutFilter
from domain.statuses import Status
from domain.targets import Target
from monitor.janitor import tidy
from monitor.reconciler import reconcile
from resolvers import aside, devices, images, policies
from resolvers import rollouts as use
from resolvers.context import Context
from resolvers.feed import Feed
from resolvers.targets import set_target
from storage.connection import Connection
from storage.database import Database
from tests import talking
from tests.api import eventually
from tests.clock import MovableClock
from tests.factories import a_policy
from tests.following import replay
from tools.crowd import crowd
from tools.pushing import pushed

SECONDS = 3.5
REPOSITORIES = ("nats", "nginx", "redis")
FLEETS = ("a", "b", None)
SAYS = ("running",) * 6 + ("exited", "created")
ASKED = [request for request in Request if request is not Request.SUPERSEDE]  # which nobody can ask for
UNFINISHED = (Status.ENROLLING, Status.PENDING, Status.IN_PROGRESS, Status.ROLLING_BACK)
NEWEST = RolloutId(2**62)


class SlowConnection(asyncpg.Connection):
    """A connection that now and then takes its time before a statement, so that what can come in between does."""

    async def _execute(self, query: str, *args: Any, **kwargs: Any) -> Any:
        await _now_and_then()
        return await super()._execute(query, *args, **kwargs)  # type: ignore[misc]

    async def execute(self, query: str, *args: Any, **kwargs: Any) -> str:
        if not args:  # with some it comes by above
            await _now_and_then()
        return await super().execute(query, *args, **kwargs)


async def _now_and_then() -> None:
    if random.random() < 0.1:
        await asyncio.sleep(random.random() * 0.03)


class Somebody(ABC):
    """One of the many: acts again and again, each time through whichever pool comes up."""

    REST = 0.02
    """The longest pause between two acts, in seconds."""

    def __init__(self, doors: Sequence[Context], name: str) -> None:
        self.dice = random.Random(name)
        self._doors = doors

    @property
    def door(self) -> Context:
        """A way into the database."""
        return self.dice.choice(self._doors)

    @abstractmethod
    async def act(self) -> None:
        """Do one thing."""

    async def keep_acting(self, stop: asyncio.Event) -> None:
        """Do one thing after the other; to be refused is nothing unusual, anything else is."""
        while not stop.is_set():
            with suppress(Refused):
                await self.act()
            await asyncio.sleep(self.dice.random() * self.REST)


class Agent(Somebody):
    """A device whose requests overlap: it says what it runs while it asks, again and again, what to run."""

    REST = 0.1

    def __init__(self, doors: Sequence[Context], name: str, device: Device) -> None:
        super().__init__(doors, name)
        self.device = device
        self.target = Target(device.uuid, {}, {}, 0, False)
        self.told: dict[int, dict[str, str]] = {}

    async def act(self) -> None:
        """Report and poll at the same time."""
        async with asyncio.TaskGroup() as requests:
            requests.create_task(self.report(self.dice.choice(SAYS)))
            for _ in range(3):
                requests.create_task(self.poll())

    async def poll(self) -> None:
        """Ask what to run: the version never falls, and rises whenever the images change."""
        known = self.target.version
        target = await talking.poll(self.door, self.device.id)
        told = _images(target)
        assert target.version >= known
        assert self.told.setdefault(target.version, told) == told
        self.target = max(self.target, target, key=lambda heard: heard.version)

    async def report(self, status: str) -> None:
        """Say that what it was told last is in this state."""
        services = {app: [{**service, "status": status} for service in body["services"]] for app, body in self.target.apps.items()}
        said = Report({app: {"services": found} for app, found in services.items()}, self.target.version)
        await talking.report(self.door, self.device.id, self.device.uuid, said)

    async def obey(self) -> None:
        """Run what it is told."""
        await self.poll()
        await self.report("running")


@dataclass(frozen=True, slots=True)
class World:
    """What there is to interfere with."""

    agents: list[Agent]
    policies: list[PolicyId]
    latest: dict[str, int]
    """The newest version of each image."""
    clock: MovableClock

    def image(self, repository: str, back: int = 0) -> str:
        """The latest image, or one so many versions older."""
        return f"{repository}:{self.latest[repository] - back}.0.0"


class Registry(Somebody):
    """One who tells of several pushes at once, and of some of them twice."""

    REST = 1.0

    def __init__(self, doors: Sequence[Context], name: str, world: World) -> None:
        super().__init__(doors, name)
        self.world = world

    async def act(self) -> None:
        """Tell of the latest image of some repositories, or of a newer one."""
        async with asyncio.TaskGroup() as webhooks:
            for repository in self.dice.sample(REPOSITORIES, self.dice.choice([1, 2, 3])):
                self.world.latest[repository] += self.dice.choice([0, 1, 1])
                for _ in range(self.dice.choice([1, 1, 2])):
                    webhooks.create_task(self._tell(self.world.image(repository)))

    async def _tell(self, image: str) -> None:
        await pushed(self.door, image)


class Operator(Somebody):
    """One who interferes with everything there is."""

    REST = 0.2

    def __init__(self, doors: Sequence[Context], name: str, world: World) -> None:
        super().__init__(doors, name)
        self.world = world
        self.habits: dict[Callable[[], Awaitable[None]], int] = {
            self.write_back: 2, self.write_anew: 3, self.ask: 2, self.roll_out: 1, self.switch: 1, self.wait: 1,
            self.set_aside: 2, self.release: 1,
        }  # fmt: skip

    async def act(self) -> None:
        """Whatever comes to mind."""
        [habit] = self.dice.choices(list(self.habits), list(self.habits.values()))
        await habit()

    async def write_back(self) -> None:
        """Give a device the target that it has, on some days unless somebody else was faster."""
        device = self.dice.choice(self.world.agents).device
        target = await devices.target(self.door, device.id)
        expected = self.dice.choice([None, target.version])
        await set_target(self.door, device.uuid, target.apps, expected_version=expected)

    async def write_anew(self) -> None:
        """Give a device its first target again, or fewer services, or the latest image for one of them."""
        apps = self.dice.choice([FIRST, _apps(web="nginx:1.0.0"), _apps(web=self.world.image("nginx"), cache="redis:1.0.0")])
        await set_target(self.door, self.dice.choice(self.world.agents).device.uuid, apps)

    async def ask(self) -> None:
        """Ask something of one of the last rollouts."""
        if latest := await use.page(self.door, NEWEST, 5):
            await use.request(self.door, self.dice.choice(latest).id, self.dice.choice(ASKED))

    async def roll_out(self) -> None:
        """Roll out by hand what is the latest, or was."""
        image = self.world.image(self.dice.choice(REPOSITORIES), back=self.dice.choice([0, 0, 1]))
        await images.create_rollout(self.door, self.dice.choice(self.world.policies), image)

    async def switch(self) -> None:
        """Switch a policy off, or on."""
        await policies.update(self.door, self.dice.choice(self.world.policies), {"enabled": self.dice.random() < 0.8})

    async def set_aside(self) -> None:
        """Pin a device, or hold it: what it is told stays as it is."""
        device = self.dice.choice(self.world.agents).device
        if self.dice.random() < 0.5:
            await aside.pin(self.door, device.uuid, None)
            return
        async with self.door.db.reading() as conn:
            until = await self.door.db.now(conn) + timedelta(minutes=self.dice.choice([5, 60]))
        await aside.hold(self.door, device.uuid, until, None)

    async def release(self) -> None:
        """Let a device join rollouts again."""
        await aside.release(self.door, self.dice.choice(self.world.agents).device.uuid)

    async def wait(self) -> None:
        """Let time pass: past a soak, past the time to pick up, past the deadline."""
        self.world.clock.advance(seconds=self.dice.choice([10, 40, 130, 310]))


class Engine(Somebody):
    """What every server does beside answering."""

    async def act(self) -> None:
        """Move rollouts, and often tidy up after them."""
        await reconcile(self.door.db)
        if self.dice.random() < 0.4:
            await tidy(self.door.db)


class Auditor(Somebody):
    """One who looks into the books while all this goes on."""

    async def act(self) -> None:
        """Read them all at one moment."""
        async with self.door.db.snapshot() as conn:
            await _in_order(conn)


def _apps(**services: str) -> dict[str, Any]:
    """A target with these images, each for the service before it."""
    return {"1001": {"appId": 1001, "services": [{"serviceName": name, "imageName": image} for name, image in services.items()]}}


def _images(target: Target) -> dict[str, str]:
    """The image of each service."""
    return {f"{app} {service['serviceName']}": service["imageName"] for app, body in target.apps.items() for service in body["services"]}


FIRST = _apps(bus="nats:1.0.0", web="nginx:1.0.0", cache="redis:1.0.0", side="nginx:1.0.0")

RANKS_WITH_GAPS = """
    select r.id, r.status, r.size, count(m.rank) as members, min(m.rank) as first, max(m.rank) as last
      from rollouts r
      left join members m on m.rollout_id = r.id
     group by r.id
    having count(m.rank) <> r.size or min(m.rank) <> 0 or max(m.rank) <> r.size - 1
"""
REVISIONS_WITHOUT_THEIR_MOVE = """
    select r.id, r.status, r.revision, array_agg(m.revision order by m.revision) as moves
      from rollouts r
      left join moves m on m.rollout_id = r.id
     group by r.id
    having count(m.revision) <> r.revision or min(m.revision) <> 1 or max(m.revision) <> r.revision
"""
MEMBERS_THAT_NO_LONGER_RUN_THE_IMAGE = """
    select m.rollout_id, m.device_id, m.repository
      from members m
     where m.live and not exists (select from services s where s.device_id = m.device_id and s.repository = m.repository)
"""
MOVES_TOLD_AFTER_LATER_ONES = """
    select *
      from (select rollout_id, type, revision, lag(revision) over (partition by rollout_id order by xid, seq) as told_before
              from events
             where device_uuid is null and type <> 'image.webhook_received') as told
     where revision < told_before
"""
NOWHERE = (RANKS_WITH_GAPS, REVISIONS_WITHOUT_THEIR_MOVE, MEMBERS_THAT_NO_LONGER_RUN_THE_IMAGE, MOVES_TOLD_AFTER_LATER_ONES)


async def _in_order(conn: Connection) -> None:
    """The books say nothing that cannot be."""
    for wrong in NOWHERE:
        assert [dict(row) for row in await conn.fetch(wrong)] == []


@pytest.fixture
async def doors(database_url: str, clock: MovableClock) -> AsyncIterator[list[Context]]:
    """Three servers' ways into one database."""
    async with AsyncExitStack() as stack:
        pools = [Database.connect(database_url, clock=clock, connection_class=SlowConnection) for _ in range(3)]
        yield [Context(await stack.enter_async_context(pool), Feed(), Actor.operator("ops")) for pool in pools]


async def _agents(doors: list[Context], seed: int) -> list[Agent]:
    """Four devices in each fleet, each with two services of one image among others."""
    agents = []
    for fleet in FLEETS:
        for number in await crowd(doors[0].db, 4, fleet=fleet):
            device = await devices.by_id(doors[0], number)
            assert device is not None
            await set_target(doors[0], device.uuid, FIRST)
            agents.append(Agent(doors, f"{seed} agent {number}", device))
    return agents


async def _policies(ctx: Context, seed: int) -> list[PolicyId]:
    """For each image one for everybody at once, and one for a fleet, in batches; more careful with some seeds than with others."""
    care = {"health_check_enabled": seed % 2 == 0, "soak_minutes": 0.5, "auto_rollback_enabled": seed % 3 != 0, "max_failure_rate": 0.4}
    pace = {"pickup_minutes": 2, "deadline_minutes": 5}
    return [
        (await a_policy(ctx, image_pattern=f"{repository}*", fleet=fleet, update_strategy=strategy, **care, **pace)).id
        for repository in REPOSITORIES
        for fleet, strategy in ((None, "auto"), ("a", "staged"))
    ]


def _others(doors: list[Context], seed: int, world: World) -> list[Somebody]:
    """Everybody but the devices."""
    return [
        *(Registry(doors, f"{seed} registry {number}", world) for number in range(2)),
        *(Operator(doors, f"{seed} operator {number}", world) for number in range(5)),
        *(Engine(doors, f"{seed} engine {number}") for number in range(3)),
        Auditor(doors, f"{seed} auditor"),
    ]


async def _all_at_once(everybody: Sequence[Somebody]) -> None:
    """Whatever reaches one of them ends it for all."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for one in everybody:
            group.create_task(one.keep_acting(stop))
        await asyncio.sleep(SECONDS)
        stop.set()


async def _to_the_end(ctx: Context, world: World) -> None:
    """Every device does as it is told, until no rollout is left unfinished but those that were paused."""
    for _ in range(30):
        async with asyncio.TaskGroup() as group:
            for agent in world.agents:
                group.create_task(agent.obey())
        world.clock.advance(minutes=6)
        await reconcile(ctx.db)
        if not (left := await use.page(ctx, NEWEST, 10, RolloutFilter(UNFINISHED))):
            return
    raise AssertionError(f"never finished: {left}")


async def _written(ctx: Context, rollout: RolloutId) -> list[tuple[int, int, int | None]]:
    """A rollout's events as the table has them."""
    async with ctx.db.reading() as conn:
        rows = await conn.fetch("select xid::text, seq, revision from events where rollout_id = $1 order by events.xid, seq", rollout)
    return [(int(row["xid"]), row["seq"], row["revision"]) for row in rows]


async def _replayed(ctx: Context, rollout: RolloutId) -> list[tuple[int, int, int | None]]:
    """A rollout's events as a subscriber is told them, without those that are derived."""
    told = await replay(ctx, EventFilter(rollout=rollout), Cursor())
    return [(event.cursor.xid, event.cursor.seq, event.revision) for event in told if event.cursor.part == 0]


@pytest.mark.parametrize("seed", range(3))
async def test_many_at_once_meet_nothing_but_refusals_and_leave_the_books_in_order(
    doors: list[Context], clock: MovableClock, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    ctx = doors[0]
    world = World(await _agents(doors, seed), await _policies(ctx, seed), dict.fromkeys(REPOSITORIES, 2), clock)

    await _all_at_once([*world.agents, *_others(doors, seed, world)])
    await _to_the_end(ctx, world)

    async with ctx.db.snapshot() as conn:
        await _in_order(conn)
    rollouts = await use.page(ctx, NEWEST, 10_000)
    assert len(rollouts) > len(world.policies)
    for rollout in rollouts:
        # Told once settled, for which any other transaction in the cluster may have to end first: an autovacuum's, say.
        await eventually(partial(_replayed, ctx, rollout.id), await _written(ctx, rollout.id))
    assert [record for record in caplog.records if record.exc_info] == []
