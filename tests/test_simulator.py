"""The simulated fleet and the server agree, device by device; and where they do not, that is noticed."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from domain.statuses import DeviceStatus, Status
from resolvers import tokens
from server.process import Running
from storage.database import Database
from tests.api import eventually
from tests.conftest import SECRET
from tests.processes import a_process
from tools.agreement import after_a_good_image, compared
from tools.api import Api, Known
from tools.device import Device, Identity, intervals
from tools.docker import Container, Docker, Timing
from tools.fleet import Fleet, FleetSettings, runs_well
from tools.modes import Fate, Mode
from tools.props import APP, FIRST, GOOD, SERVICE, image
from tools.simulation import Asked, simulate
from tools.stage import Stage

KEY = (APP, SERVICE)
QUICK = Timing(poll_every=0.1, pull_seconds=(0, 0), soak=0.1, swap_seconds=(0, 0))


async def test_everybody_agrees_in_a_fleet_where_everything_goes_wrong(db: Database, database_url: str) -> None:
    asked = Asked(devices=120, shares=dict.fromkeys(Mode, 0.07), seed=7, poll_every=0.8, batches=2, connections=20)

    async with a_process(database_url) as process:
        told = await simulate(asked, Stage(process.url, await tokens.issue(db, "ops"), SECRET), say=_nothing)

    good, bad = told.acts
    assert (good.ended, bad.ended) == (Status.COMPLETED, Status.ROLLED_BACK)
    assert good.disagreements + bad.disagreements == []
    assert {row.mode for row in good.rows} == {"none", *Mode}
    assert sum(row.devices for row in good.rows) == 120


@pytest.mark.parametrize(
    ("first", "then", "why"),
    [
        ((2, "nginx:1"), (1, "nginx:1"), "it was told version 1 after 2"),
        ((2, "nginx:1"), (2, "nginx:2"), "it was told two things under version 2"),
    ],
)
async def test_a_device_notices_what_it_must_not_be_told(first: tuple[int, str], then: tuple[int, str], why: str) -> None:
    async with _saying(first, then) as url, Fleet.connect(url, _settings(1)) as fleet, asyncio.TaskGroup() as group:
        living = group.create_task(fleet.run())
        await eventually(_contradictions(fleet.devices[0]), [why])
        living.cancel()


@pytest.mark.parametrize(("first", "then"), [((2, "nginx:1"), (2, "nginx:1")), ((2, "nginx:1"), (3, "nginx:2"))])
async def test_a_device_has_nothing_against_what_it_may_be_told(first: tuple[int, str], then: tuple[int, str]) -> None:
    async with _saying(first, then) as url, Fleet.connect(url, _settings(1)) as fleet, asyncio.TaskGroup() as group:
        living = group.create_task(fleet.run())
        await eventually(_runs(fleet.devices[0]), then[1])
        living.cancel()

    assert fleet.devices[0].contradictions == []


async def test_a_server_that_believes_a_device_that_lies_is_found_out() -> None:
    async with aiohttp.ClientSession() as http:
        device = Device(Identity(0, "u", "k", frozenset({Mode.LIES_ABOUT_VERSION})), QUICK, runs_well, random.Random(1), http)
    device.containers[KEY] = Container("c", image(FIRST))

    wrong = compared(device, _known(image(GOOD)), DeviceStatus.HEALTHY, after_a_good_image).disagreements

    assert any("it is healthy and not timed_out" in what for what in wrong)
    assert any(f"('{image(FIRST)}', 'running')" in what and f"('{image(GOOD)}', 'running')" in what for what in wrong)


@pytest.mark.parametrize(
    ("fate", "status"), [(Fate.RUNS, "running"), (Fate.EXITS, "exited"), (Fate.CRASHES, "exited"), (Fate.FLAPS, "exited")]
)
async def test_a_container_ends_as_its_fate_will(fate: Fate, status: str) -> None:
    docker = Docker(QUICK, lambda _: fate, random.Random(3), asyncio.Event())

    assert await docker.pull("nginx:1")
    await docker.swap(KEY, "nginx:1")
    assert docker.containers[KEY].status == "running"
    await asyncio.sleep(4 * QUICK.soak)

    assert docker.containers[KEY].status == status


async def test_an_image_that_cannot_be_pulled_is_not_there_later_either() -> None:
    docker = Docker(QUICK, lambda _: Fate.CANNOT_BE_PULLED, random.Random(3), asyncio.Event())

    assert not await docker.pull("nginx:1")
    assert not await docker.pull("nginx:1")


@pytest.mark.parametrize(
    ("config", "seconds"),
    [
        ({}, (6.0, 0.0)),
        ({"intervals": {"targetStatePollIntervalMs": 120_000, "reportIntervalMs": 10_000}}, (12.0, 1.0)),
        ({"intervals": {"targetStatePollIntervalMs": "soon", "reportIntervalMs": -1}}, (6.0, 0.0)),
        ({"intervals": []}, (6.0, 0.0)),
    ],
)
def test_what_the_server_says_of_intervals_is_taken_at_the_pace_of_the_simulation(
    config: dict[str, object], seconds: tuple[float, float]
) -> None:
    assert intervals(config, Timing(poll_every=6.0, pull_seconds=(0, 0))) == pytest.approx(seconds)


async def test_requests_that_wait_for_a_connection_are_counted(server: Running) -> None:
    async with Api.connect(server.url, await tokens.issue(server.db, "ops")) as api, Fleet.connect(server.url, _settings(20)) as fleet:
        await fleet.register(await api.create_provisioning_key("plant-a"))

    assert fleet.queue.requests == 20
    assert len(fleet.queue.waits) == 19


def _settings(size: int) -> FleetSettings:
    return FleetSettings(size=size, poll_every=0.1, pull_seconds=(0, 0), connections=1)


def _known(runs: str) -> Known:
    service = {"serviceName": SERVICE, "imageName": runs, "status": "running"}
    state = {"apps": {APP: {"services": [service]}}, "version": 2}
    return Known.model_validate({"uuid": "u", "targetState": state, "currentState": state})


@asynccontextmanager
async def _saying(*targets: tuple[int, str]) -> AsyncIterator[str]:
    """A server that tells devices one of these versions and images after the other, and then the last."""
    left = list(targets)

    async def poll(request: web.Request) -> web.Response:
        version, runs = left.pop(0) if len(left) > 1 else left[0]
        state = {"apps": {APP: {"services": [{"serviceName": SERVICE, "imageName": runs}]}}, "config": {}, "version": version}
        return web.json_response({request.match_info["uuid"]: state}, headers={"ETag": f'"{version}"'})

    async def report(_: web.Request) -> web.Response:
        return web.json_response({})

    app = web.Application()
    app.add_routes([web.get("/api/v1/device/{uuid}/state", poll), web.patch("/api/v1/device/state", report)])
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def _contradictions(device: Device) -> Callable[[], Awaitable[list[str]]]:
    async def contradictions() -> list[str]:
        return device.contradictions[:1]

    return contradictions


def _runs(device: Device) -> Callable[[], Awaitable[str | None]]:
    async def runs() -> str | None:
        container = device.containers.get(KEY)
        return None if container is None else container.image

    return runs


def _nothing(_: str) -> None:
    pass
