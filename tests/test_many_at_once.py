"""Devices, operators, registries and three engines at once, on the same devices, from three pools: nothing but a Refused
reaches anybody, and the books are in order at every moment and afterwards.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

import asyncpg
import pytest

from domain.actors import Actor
from domain.devices import Device, Report
from domain.errors import Refused
from domain.events import Cursor
from domain.ids import PolicyId, RolloutId
from domain.images import Image, Push
from domain.rollouts import Request, Status
from domain.targets import Target
from monitor.janitor import tidy
from monitor.reconciler import reconcile
from resolvers import devices, events, images, policies
from resolvers import rollouts as use
from resolvers.context import Context
from resolvers.feed import Feed
from storage.connection import Connection
from storage.database import Database
from tests.api import eventually
from tests.clock import MovableClock
from tests.factories import a_policy
from tools.crowd import crowd

SECONDS = 3.5
REPOSITORIES = ("nats", "nginx", "redis")
FLEETS = ("a", "b", None)
SAYS = ("running",) * 6 + ("exited", "created")
UNDER_WAY = (Status.ENROLLING, Status.PENDING, Status.IN_PROGRESS, Status.ROLLING_BACK)
EVERY = RolloutId(2**62)


class SlowConnection(asyncpg.Connection):
    """A connection that now and then takes its time before a statement, so that what can come in between does."""

    async def _execute(self, query: str, *args: Any, **kwargs: Any) -> Any:
        await _now_and_then()
        return await super()._execute(query, *args, **kwargs)  # type: ignore[misc]

    async def execute(self, query: str, *args: Any, **kwargs: Any) -> str:
        if not args:  # else it comes by above
            await _now_and_then()
        return await super().execute(query, *args, **kwargs)


async def _now_and_then() -> None:
    if random.random() < 0.2:
        await asyncio.sleep(random.random() * 0.01)


class Somebody(ABC):
    """One of the many: acts again and again, each time through whichever pool comes up."""

    REST = 0.02
    """The longest pause between two acts, in seconds."""

    def __init__(self, doors: Sequence[Context], seed: str) -> None:
        self.dice = random.Random(seed)
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
    """A device whose requests overlap: it reports what it runs while it asks, again and again, what to run."""

    REST = 0.1

    def __init__(self, doors: Sequence[Context], seed: str, device: Device) -> None:
        super().__init__(doors, seed)
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
        target = await devices.poll(self.door, self.device.id)
        told = _images(target)
        assert target.version >= known
        assert self.told.setdefault(target.version, told) == told
        self.target = max(self.target, target, key=lambda heard: heard.version)

    async def report(self, status: str) -> None:
        """Say that what it was told last is in this state."""
        told = self.target.apps
        apps = {app: {"services": [{**service, "status": status} for service in body["services"]]} for app, body in told.items()}
        await devices.report(self.door, self.device.id, self.device.uuid, Report(apps, self.target.version))

    async def obey(self) -> None:
        """Run what it is told."""
        await self.poll()
        await self.report("running")


class Registry(Somebody):
    """One who tells of pushes, of several at once, and of the same one again."""

    REST = 1.0

    def __init__(self, doors: Sequence[Context], seed: str, releases: "Releases") -> None:
        super().__init__(doors, seed)
        self.releases = releases

    async def act(self) -> None:
        """Tell of the latest image of each, or of a newer one; some of them twice."""
        async with asyncio.TaskGroup() as webhooks:
            for repository in self.dice.sample(REPOSITORIES, self.dice.choice([1, 2, 3])):
                self.releases.latest[repository] += self.dice.choice([0, 1, 1])
                for _ in range(self.dice.choice([1, 1, 2])):
                    webhooks.create_task(self._tell(self.releases.image(repository)))

    async def _tell(self, image: str) -> None:
        await images.record_push(self.door, Push(Image.parse(image), "test"))


class Releases:
    """What there is of each image."""

    def __init__(self) -> None:
        self.latest = dict.fromkeys(REPOSITORIES, 2)

    def image(self, repository: str, back: int = 0) -> str:
        """The latest, or one so many versions older."""
        return f"{repository}:{self.latest[repository] - back}.0.0"


class Operator(Somebody):
    """One who interferes with everything there is."""

    REST = 0.2

    def __init__(
        self, doors: Sequence[Context], seed: str, agents: list[Agent], releases: Releases, governing: list[PolicyId], clock: MovableClock
    ) -> None:
        super().__init__(doors, seed)
        self.agents, self.releases, self.policies, self.clock = agents, releases, governing, clock
        self.habits: list[Callable[[], Awaitable[object]]] = [
            self.write_back, self.write_back, self.write_anew, self.write_anew, self.write_anew,
            self.ask, self.ask, self.roll_out, self.switch, self.wait,
        ]  # fmt: skip

    async def act(self) -> None:
        """Whatever comes to mind."""
        await self.dice.choice(self.habits)()

    async def write_back(self) -> None:
        """Give a device the target that it has, unless somebody else was faster."""
        agent = self.dice.choice(self.agents)
        target = await devices.target(self.door, agent.device.id)
        expected = self.dice.choice([None, target.version])
        await devices.set_target(self.door, agent.device.uuid, target.apps, expected_version=expected)

    async def write_anew(self) -> None:
        """Give a device its first target, one service only, or the latest image of it."""
        latest = self.releases.image("nginx")
        apps = self.dice.choice([FIRST, _apps(web="nginx:1.0.0"), _apps(web=latest, cache="redis:1.0.0")])
        await devices.set_target(self.door, self.dice.choice(self.agents).device.uuid, apps)

    async def ask(self) -> None:
        """Ask something of one of the last rollouts."""
        if latest := await use.page(self.door, EVERY, 5):
            await use.request(self.door, self.dice.choice(latest).id, self.dice.choice(ASKED))

    async def roll_out(self) -> None:
        """Roll out by hand what is, or was, the latest."""
        image = self.releases.image(self.dice.choice(REPOSITORIES), back=self.dice.choice([0, 0, 1]))
        await images.create_rollout(self.door, self.dice.choice(self.policies), image)

    async def switch(self) -> None:
        """Switch a policy off, or on."""
        await policies.update(self.door, self.dice.choice(self.policies), {"enabled": self.dice.random() < 0.8})

    async def wait(self) -> None:
        """Let time pass: past a soak, past the time to pick up, past the deadline."""
        self.clock.advance(seconds=self.dice.choice([10, 40, 130, 310]))


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
        """Read everything at one moment."""
        async with self.door.db.snapshot() as conn:
            await _in_order(conn)


def _apps(**services: str) -> dict[str, Any]:
    return {"1001": {"appId": 1001, "services": [{"serviceName": name, "imageName": image} for name, image in services.items()]}}


FIRST = _apps(bus="nats:1.0.0", web="nginx:1.0.0", cache="redis:1.0.0", side="nginx:1.0.0")
ASKED = [request for request in Request if request is not Request.SUPERSEDE]


def _images(target: Target) -> dict[str, str]:
    """The image of each service."""
    return {f"{app} {service['serviceName']}": service["imageName"] for app, body in target.apps.items() for service in body["services"]}


@pytest.fixture
async def doors(database_url: str, clock: MovableClock) -> AsyncIterator[list[Context]]:
    """Three servers' ways into one database."""
    async with AsyncExitStack() as stack:
        servers = [Database.connect(database_url, clock=clock, connection_class=SlowConnection) for _ in range(3)]
        yield [Context(await stack.enter_async_context(server), Feed(), OPS) for server in servers]


OPS = Actor.operator("ops")


async def _agents(doors: list[Context], seed: int) -> list[Agent]:
    """Four devices in each fleet, each with two services of one image and one of another."""
    agents = []
    for fleet in FLEETS:
        for number in await crowd(doors[0].db, 4, fleet=fleet):
            device = await devices.by_id(doors[0], number)
            assert device is not None
            await devices.set_target(doors[0], device.uuid, FIRST)
            agents.append(Agent(doors, f"{seed} agent {number}", device))
    return agents


async def _policies(ctx: Context, seed: int) -> list[PolicyId]:
    """For each image, one for everybody at once, and one in stages for a fleet."""
    care = {"health_check_enabled": seed % 2 == 0, "soak_minutes": 0.5, "auto_rollback_enabled": seed % 3 != 0, "max_failure_rate": 0.4}
    pace = {"pickup_minutes": 2, "deadline_minutes": 5}
    return [
        (await a_policy(ctx, image_pattern=f"{repository}*", fleet=fleet, update_strategy=strategy, **care, **pace)).id
        for repository in REPOSITORIES
        for fleet, strategy in ((None, "auto"), ("a", "staged"))
    ]


async def _all_at_once(everybody: Sequence[Somebody]) -> None:
    """Whatever reaches one of them ends the test."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for one in everybody:
            group.create_task(one.keep_acting(stop))
        await asyncio.sleep(SECONDS)
        stop.set()


async def _in_order(conn: Connection) -> None:
    """No book says what cannot be, each alone and one beside the other."""
    for book in (RANKS_WITH_GAPS, REVISIONS_WITHOUT_MOVES, MEMBERS_WITHOUT_THE_IMAGE, EVENTS_OUT_OF_ORDER):
        assert [dict(row) for row in await conn.fetch(book)] == [], book


RANKS_WITH_GAPS = """
    select r.id, r.size, r.status, count(m.rank) as members, min(m.rank) as first, max(m.rank) as last
      from rollouts r
      left join members m on m.rollout_id = r.id
     group by r.id
    having count(m.rank) <> r.size or min(m.rank) <> 0 or max(m.rank) <> r.size - 1
"""
REVISIONS_WITHOUT_MOVES = """
    select r.id, r.revision, array_agg(m.revision order by m.revision) as moves
      from rollouts r
      left join moves m on m.rollout_id = r.id
     group by r.id
    having count(m.revision) <> r.revision or min(m.revision) <> 1 or max(m.revision) <> r.revision
"""
MEMBERS_WITHOUT_THE_IMAGE = """
    select m.rollout_id, m.device_id, m.repository
      from members m
     where m.live and not exists (select from services s where s.device_id = m.device_id and s.repository = m.repository)
"""
EVENTS_OUT_OF_ORDER = """
    select *
      from (select rollout_id, type, revision, lag(revision) over (partition by rollout_id order by xid, seq) as before
              from events
             where device_uuid is null and type <> 'image.webhook_received') as told
     where revision < before
"""


async def _end(ctx: Context, agents: list[Agent], clock: MovableClock) -> None:
    """Every device does as it is told, until no rollout is left unfinished but those that an operator paused."""
    for _ in range(30):
        async with asyncio.TaskGroup() as group:
            for agent in agents:
                group.create_task(agent.obey())
        clock.advance(minutes=6)
        await reconcile(ctx.db)
        if not (left := await use.page(ctx, EVERY, 10, UNDER_WAY)):
            return
    raise AssertionError(f"still under way: {left}")


async def _written(db: Database, rollout: RolloutId) -> list[tuple[int, int]]:
    """The events of a rollout that the table has, in their order."""
    async with db.reading() as conn:
        rows = await conn.fetch("select xid::text, seq from events where rollout_id = $1 order by events.xid, seq", rollout)
    return [(int(row["xid"]), row["seq"]) for row in rows]


async def _replayed(ctx: Context, rollout: RolloutId) -> list[tuple[int, int]]:
    """Those that a subscriber is told, without what is derived from them."""
    told = [event.cursor async for event in events.replay(ctx, rollout, Cursor())]
    return [(cursor.xid, cursor.seq) for cursor in told if cursor.part == 0]


@pytest.mark.parametrize("seed", range(3))
async def test_many_at_once_meet_nothing_but_refusals_and_leave_the_books_in_order(
    doors: list[Context], clock: MovableClock, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    ctx, agents, governing = doors[0], await _agents(doors, seed), await _policies(doors[0], seed)
    releases = Releases()
    registries = [Registry(doors, f"{seed} registry {n}", releases) for n in range(2)]
    operators = [Operator(doors, f"{seed} operator {n}", agents, releases, governing, clock) for n in range(5)]
    engines = [Engine(doors, f"{seed} engine {n}") for n in range(3)]

    await _all_at_once([*agents, *registries, *operators, *engines, Auditor(doors, f"{seed} auditor")])
    await _end(ctx, agents, clock)

    async with ctx.db.snapshot() as conn:
        await _in_order(conn)
    rollouts = await use.page(ctx, EVERY, 10_000)
    for rollout in rollouts:
        await eventually(partial(_replayed, ctx, rollout.id), await _written(ctx.db, rollout.id))
    assert [record for record in caplog.records if record.exc_info] == []
