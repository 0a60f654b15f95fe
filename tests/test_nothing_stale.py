"""No device is told anything older than it was told before, whatever becomes of the connections, PostgreSQL, clocks and processes."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import asyncpg
import pytest

from resolvers import targets, tokens
from resolvers.context import Context
from schema.nodes import node_id
from server.process import running
from server.settings import Settings
from storage.database import Database
from tests.api import Agent, Api, eventually, image_of, mutation_of, nth, web
from tests.clock import MovableClock
from tests.conftest import SECRET
from tests.processes import a_process
from tools.blackhole import EVERYBODY, LISTENER, POLLS, POOL, Blackhole, blackhole
from tools.restartable import Restartable, restartable


@dataclass
class Wary:
    """A device that asks now this process, now that, and notices when it is told something older."""

    uuid: str
    apis: list[Api]
    etag: str | None = None
    version: int = 0
    image: str = ""

    async def poll(self, api: Api, *, knows: bool = True) -> int:
        """Ask this process; the status."""
        agent = Agent(api.http, self.uuid)
        agent.etag = self.etag if knows else None
        status, body = await agent.poll()
        if status == 200:
            assert body["version"] >= self.version, f"told version {body['version']} after {self.version}"
            assert agent.etag is not None
            assert body["version"] > self.version or image_of(body) == self.image, "something else at the same version"
            self.version, self.etag, self.image = body["version"], agent.etag, image_of(body)
        else:
            assert (status, agent.etag) == (304, self.etag)
        return status

    async def keep_polling(self, dice: random.Random, times: int) -> None:
        """Ask whomever, mostly knowing what it was told last."""
        for _ in range(times):
            await self.poll(dice.choice(self.apis), knows=dice.random() < 0.7)
            await asyncio.sleep(dice.random() * 0.04)


async def a_wary(*apis: Api, number: int = 1, image: str = "nginx:1.0.0") -> Wary:
    """A device that has polled each process once."""
    await apis[0].device(nth(number), web(image))
    wary = Wary(nth(number), [*apis])
    for api in apis:
        await wary.poll(api, knows=False)
    return wary


async def until_told(wary: Wary, api: Api, image: str) -> None:
    """Poll until this image is what it is told."""

    async def told() -> str:
        await wary.poll(api)
        return wary.image

    await eventually(told, image)


async def until_right(wary: Wary, api: Api) -> None:
    """Poll until it is told what is its target at that moment: a rollout may open at any."""

    async def right() -> bool:
        await wary.poll(api)
        return bool(wary.image == await api.image(wary.uuid))

    await eventually(right, True)


async def status_of(agent: Agent) -> tuple[int, str | None]:
    """What a poll that holds its entity tag is answered, and when it is to come again."""
    headers = {"X-Device-API-Key": agent.key} | ({"if-none-match": agent.etag} if agent.etag else {})
    async with agent.http.get(f"/api/v1/device/{agent.uuid}/state", headers=headers) as response:
        return response.status, response.headers.get("retry-after")


# Connections that are swallowed


@dataclass
class Holed:
    """A server that reaches its database by way of a black hole; and one who reaches it directly, as another process would."""

    api: Api
    hole: Blackhole
    beside: Context


@pytest.fixture
async def holed(database_url: str, settings: Settings, operator: Context) -> AsyncIterator[Holed]:
    """Nothing is swallowed yet."""
    async with blackhole(database_url) as hole, running(settings, hole.url) as server, Api.of(server, SECRET) as api:
        try:
            yield Holed(api, hole, operator)
        finally:
            hole.reset()


@pytest.mark.parametrize("names", [(POLLS,), (LISTENER,), (POLLS, LISTENER)], ids=" and ".join)
async def test_devices_are_told_every_new_target_though_nobody_hears_of_it(holed: Holed, names: tuple[str, ...]) -> None:
    wary = await a_wary(holed.api)
    holed.hole.swallow(*names)
    for minor in range(1, 4):
        await holed.api.set_target(wary.uuid, web(f"nginx:1.{minor}.0"))
        assert (await wary.poll(holed.api), wary.image) == (200, f"nginx:1.{minor}.0"), "this process wrote it, and knows"
        assert await wary.poll(holed.api) == 304
        await targets.set_target(holed.beside, wary.uuid, web(f"nginx:1.{minor}.1"))
        await until_told(wary, holed.api, f"nginx:1.{minor}.1")
    holed.hole.close()

    await holed.api.set_target(wary.uuid, web("nginx:2.0.0"))
    await until_told(wary, holed.api, "nginx:2.0.0")


async def test_polls_are_answered_from_memory_while_only_the_pool_is_swallowed(holed: Holed) -> None:
    agent = await holed.api.device(nth(1), web("nginx:1.0.0"))
    for _ in range(3):  # the second learns that it has just changed
        await agent.poll()
    holed.hole.swallow(POOL)

    assert [await status_of(agent) for _ in range(20)] == [(304, None)] * 20


async def test_the_followers_connection_is_made_again_once_it_gets_through(holed: Holed) -> None:
    wary = await a_wary(holed.api)
    holed.hole.swallow(POLLS)
    await targets.set_target(holed.beside, wary.uuid, web("nginx:2.0.0"))
    await until_told(wary, holed.api, "nginx:2.0.0")
    holed.hole.close()
    await eventually(lambda: _answers_from_memory(holed, wary), True, 30)

    await targets.set_target(holed.beside, wary.uuid, web("nginx:3.0.0"))
    await until_told(wary, holed.api, "nginx:3.0.0")


async def _answers_from_memory(holed: Holed, wary: Wary) -> bool:
    """Whether the follower reads again: a look at what changed goes by, on a connection of its name that is younger than the hole."""
    await wary.poll(holed.api)
    async with holed.beside.db.reading() as conn:
        found: bool = await conn.fetchval(
            """
            select exists (select from pg_stat_activity
                            where datname = current_database() and application_name = $1 and query_start > now() - interval '1 second')
            """,
            POLLS,
        )
    return found


async def test_with_everything_swallowed_devices_are_told_to_come_again_and_service_returns_by_itself(holed: Holed) -> None:
    agents = await holed.api.devices(*["nginx:1.0.0"] * 3)
    for agent in agents[:2]:
        await agent.poll()
    holed.hole.swallow(*EVERYBODY)
    await asyncio.sleep(0.2)

    async with asyncio.timeout(30):
        assert await asyncio.gather(*map(status_of, agents)) == [(503, "5")] * 3
    await targets.set_target(holed.beside, agents[0].uuid, web("nginx:2.0.0"))
    holed.hole.close()

    await eventually(lambda: _new_image(agents[0]), "nginx:2.0.0", 30)
    await eventually(lambda: agents[1].report("nginx:1.0.0"), 200, 30)


async def _new_image(agent: Agent) -> str | None:
    """The image that a poll tells; None if it tells nothing, and the agent keeps its tag as agents do."""
    before = agent.etag
    status, retry_after = await status_of(agent)
    if status != 200:
        assert (status, retry_after) == (503, "5"), "it cannot be told that nothing is new"
        return None
    agent.etag = before
    _, body = await agent.poll()
    return None if body is None else image_of(body)


# PostgreSQL restarted


@pytest.fixture
async def postgres() -> AsyncIterator[Restartable]:
    """It may be restarted without anybody else noticing."""
    with restartable() as postgres:
        yield postgres


async def _written_unheard(url: str, uuid: str, image: str) -> None:
    """Another image by hand, with the triggers that tell of it disabled."""
    conn = await asyncpg.connect(url)
    await conn.execute("set session_replication_role = replica")
    await conn.execute("update services set image = $2 where device_id = (select id from devices where uuid = $1)", uuid, image)
    await conn.execute("update targets set version = version + 1 where device_id = (select id from devices where uuid = $1)", uuid)
    await conn.close()


async def _everybody_cut_off(url: str) -> None:
    """All connections but this one end."""
    conn = await asyncpg.connect(url)
    await conn.execute("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'rollwave%'")
    await conn.close()


async def test_after_a_restart_of_postgresql_nothing_is_remembered_from_before(postgres: Restartable, settings: Settings) -> None:
    async with running(settings, postgres.url) as server, Api.of(server, SECRET) as api:
        agent = await api.device(nth(1), web("nginx:1.0.0"))
        for _ in range(3):  # the second learns that it has just changed
            await agent.poll()
        await _written_unheard(postgres.url, agent.uuid, "nginx:2.0.0")
        assert (await agent.poll())[0] == 304, "it is told from memory, for nobody could hear of it"

        await postgres.restart()

        await eventually(lambda: _new_image(agent), "nginx:2.0.0", 30)


async def test_whoever_is_cut_off_catches_up(postgres: Restartable, settings: Settings) -> None:
    async with two_servers(settings, postgres.url, MovableClock(), MovableClock()) as [api, beside]:
        wary = await a_wary(api, beside)
        for minor in range(1, 6):
            await _everybody_cut_off(postgres.url)
            await eventually(lambda: _is_told(beside, wary.uuid, f"nginx:1.{minor}.0"), True)  # noqa: B023
            await eventually(lambda: _polled(wary, api, beside), f"nginx:1.{minor}.0")


async def _is_told(api: Api, uuid: str, image: str) -> bool:
    """Whether the database took it."""
    answer = await api.ask(mutation_of("setDeviceTarget", "__typename"), input={"uuid": uuid, "apps": web(image)})
    return bool(answer.get("data"))


async def _polled(wary: Wary, *apis: Api) -> str | None:
    """The image that all these processes tell; None while one of them tells it to come again."""
    images = set()
    for api in apis:
        agent = Agent(api.http, wary.uuid)
        if (await status_of(agent))[0] == 200:
            await wary.poll(api)
            images.add(wary.image)
    return images.pop() if len(images) == 1 else None


# Several processes


@asynccontextmanager
async def two_servers(settings: Settings, url: str, *clocks: MovableClock) -> AsyncIterator[list[Api]]:
    """Two of them in this process, on one database, each with a clock of its own."""
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(running(settings, url, clock=clock)) for clock in clocks]
        yield [await stack.enter_async_context(Api.of(server, SECRET)) for server in servers]


@asynccontextmanager
async def two_processes(url: str, db: Database) -> AsyncIterator[list[Api]]:
    """Two processes on one database."""
    async with a_process(url) as one, a_process(url) as two:
        token = await tokens.issue(db, "ops")
        async with Api.at(one.url, token, SECRET) as first, Api.at(two.url, token, SECRET) as second:
            yield [first, second]


@pytest.mark.parametrize("hours", [2, 24 * 40])
async def test_versions_never_fall_between_processes_whose_clocks_differ(database_url: str, settings: Settings, hours: int) -> None:
    right, ahead = MovableClock(), MovableClock()
    ahead.ahead = timedelta(hours=hours)
    async with two_servers(settings, database_url, right, ahead) as apis:
        wary = await a_wary(*apis)
        await apis[0].policy()
        for number in range(1, 9):
            api = apis[number % 2]
            if number % 4 == 0:
                await api.push(f"nginx:2.{number}.0")
            else:
                await api.set_target(wary.uuid, web(f"nginx:1.{number}.0"))
            for _ in range(6):
                for asked in apis:
                    await wary.poll(asked)
                    await wary.poll(asked, knows=False)
            for asked in apis:
                await until_right(wary, asked)


async def test_no_device_is_ever_told_anything_older_than_what_any_process_told_it(database_url: str, db: Database) -> None:
    dice = random.Random(1)
    async with two_processes(database_url, db) as apis:
        devices = [await a_wary(*apis, number=number) for number in range(1, 7)]
        await apis[0].policy(updateStrategy="STAGED", batchDelayMinutes=0.003, soakMinutes=0, pickupMinutes=0.5)
        async with asyncio.TaskGroup() as group:
            for wary in devices:
                group.create_task(wary.keep_polling(random.Random(wary.uuid), 120))
            group.create_task(_keep_changing(apis, devices, dice))

        await eventually(lambda: _all_ended(apis[0], devices), True, 40)
        for wary in devices:
            wanted = await apis[0].target(wary.uuid)
            for api in apis:
                await until_told(wary, api, image_of(wanted))
                agent = Agent(api.http, wary.uuid)
                _, body = await agent.poll()
                assert (body["version"], body["apps"]) == (wanted["version"], wanted["apps"])


async def _keep_changing(apis: list[Api], devices: list[Wary], dice: random.Random) -> None:
    """Set targets, start rollouts, take them back: through whichever process comes up."""
    for number in range(1, 6):
        for _ in range(5):
            await dice.choice(apis).set_target(dice.choice(devices).uuid, web(f"nginx:1.{number}.{dice.randrange(100)}"))
            await asyncio.sleep(dice.random() * 0.1)
        [decision] = await dice.choice(apis).push(f"nginx:{number + 1}.0.0")
        await asyncio.sleep(dice.random() * 0.5)
        if decision["rollout"] and dice.random() < 0.7:
            wanted = {"id": node_id("Rollout", decision["rollout"])}
            await dice.choice(apis).ask(mutation_of("rollBackRollout", "__typename"), input=wanted)


async def _all_ended(api: Api, devices: list[Wary]) -> bool:
    """Every device obeys; whether no rollout goes on."""
    for wary in devices:
        await Agent(api.http, wary.uuid).obey()
    nodes = (await api.graphql("{ rollouts(first: 50) { nodes { status } } }"))["rollouts"]["nodes"]
    return len(nodes) == 5 and not {node["status"] for node in nodes} & {"ENROLLING", "PENDING", "IN_PROGRESS", "ROLLING_BACK"}


async def test_a_process_tells_what_it_has_written_and_the_others_soon_do(database_url: str, db: Database) -> None:
    async with two_processes(database_url, db) as [one, other]:
        wary = await a_wary(one, other)
        for minor in range(1, 30):
            writer, reader = (one, other) if minor % 2 else (other, one)
            await writer.set_target(wary.uuid, web(f"nginx:1.{minor}.0"))
            await wary.poll(writer, knows=minor % 3 != 0)
            assert wary.image == f"nginx:1.{minor}.0"
            await until_told(wary, reader, wary.image)


async def test_who_asks_another_process_without_a_tag_is_told_what_was_committed_before(database_url: str, db: Database) -> None:
    async with two_processes(database_url, db) as [one, other]:
        wary = await a_wary(one, other)
        for minor in range(1, 30):
            await one.set_target(wary.uuid, web(f"nginx:1.{minor}.0"))
            await wary.poll(other, knows=False)
            assert wary.image == f"nginx:1.{minor}.0"


async def test_what_devices_report_to_one_process_moves_what_another_tells_them(database_url: str, db: Database) -> None:
    async with two_processes(database_url, db) as [one, other]:
        agents = await one.devices(*["nginx:1.0.0"] * 4)
        for agent in agents:
            await agent.obey()
        await one.policy(updateStrategy="STAGED", batchDelayMinutes=0, soakMinutes=0, pickupMinutes=5)
        await one.push("nginx:2.0.0")

        await eventually(lambda: _heard_here_told_there(agents, one, other), "COMPLETED", 40)
        assert {await other.image(agent.uuid) for agent in agents} == {"nginx:2.0.0"}


async def _heard_here_told_there(agents: list[Agent], here: Api, there: Api) -> str | None:
    """Each device asks one process what to run, and says to the other that it does."""
    for agent in agents:
        agent.http = there.http
        _, body = await agent.poll()
        agent.image = agent.image if body is None else image_of(body)
        agent.http = here.http
        assert await agent.report(agent.image) == 200
    return await here.status()
