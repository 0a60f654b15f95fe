"""Health checks from outside, from a policy to the rollout they stop: real servers on this machine, the real database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from domain.devices import Report
from domain.health import Outcome
from domain.ids import DeviceId, RolloutId
from domain.requests import Request
from domain.statuses import DeviceStatus, Status
from domain.waits import On
from monitor.checking import check
from monitor.checks.addresses import Allowed
from monitor.checks.outside import Outside, way_out
from monitor.reconciler import reconcile
from resolvers import devices, explanations, rollouts
from resolvers.context import Context
from tests import talking
from tests.clock import MovableClock
from tests.factories import a_rollout, everybody_says, offered, read


@dataclass
class Place:
    """A server that answers as a test tells it, and remembers what it was asked."""

    url: str
    port: int
    answer: Callable[[], web.Response]
    asked: list[Any] = field(default_factory=list)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """Devices' own pages, a Prometheus, and somebody's gate, all in one."""

    async def respond(request: web.Request) -> web.Response:
        found.asked.append(await request.json() if request.content_type == "application/json" else request.path)
        return found.answer()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", respond)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    found = Place(f"http://127.0.0.1:{port}", port, lambda: web.Response(text="ok"))
    yield found
    await runner.cleanup()


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    """The way out of a server whose operator allows this machine."""
    async with way_out(Allowed.parse("127.0.0.1/32")) as way:
        yield way


async def _at(operator: Context, rollout: RolloutId, address: str) -> list[DeviceId]:
    """Those who are offered the image say at which address they are, and run it."""
    async with operator.db.reading() as conn:
        found = await offered(conn, rollout)
    for device in found:
        known = await devices.by_id(operator, device)
        assert known is not None
        await talking.report(operator, device, known.uuid, Report(None, None, {"local_ip": address}))
    await everybody_says(operator.db, rollout, Outcome.RUNNING)
    return found


async def _statuses(operator: Context, rollout: RolloutId) -> list[DeviceStatus]:
    return [member.status for member in await rollouts.devices(operator, rollout, -1, 100)]


async def _round(operator: Context, outside: Outside) -> None:
    await check(operator.db, outside)
    await reconcile(operator.db)


def _http(place: Place, **more: Any) -> dict[str, Any]:
    return {"kind": "http", "name": "page", "url": f"http://{{address}}:{place.port}/health?device={{uuid}}", **more}


def _gate(place: Place) -> dict[str, Any]:
    return {"kind": "webhook", "name": "release board", "url": f"{place.url}/gate", "interval_seconds": 10}


def _metric(place: Place, **more: Any) -> dict[str, Any]:
    return {
        "kind": "prometheus",
        "name": "errors",
        "base_url": place.url,
        "query": "error_rate",
        "success_condition": "result < 0.05",
    } | more


async def a_checked_rollout(operator: Context, size: int, *checks: dict[str, Any], **settings: Any) -> RolloutId:
    """A rollout to everybody at once, with health checks and no soak but the checks."""
    more: dict[str, Any] = {"update_strategy": "auto", "health_check_enabled": True, "soak_minutes": 0} | settings
    return (await a_rollout(operator, size, checks=list(checks), **more)).id


async def test_a_device_is_healthy_only_once_its_page_answers(operator: Context, place: Place, outside: Outside) -> None:
    rollout = await a_checked_rollout(operator, 2, _http(place))
    await _at(operator, rollout, "127.0.0.1")
    await reconcile(operator.db)
    assert await _statuses(operator, rollout) == [DeviceStatus.UPDATED] * 2

    await _round(operator, outside)

    assert len(place.asked) == 2
    assert (await read(operator.db, rollout)).status is Status.COMPLETED
    assert await _statuses(operator, rollout) == [DeviceStatus.HEALTHY] * 2


async def test_a_page_that_fails_too_often_makes_the_device_unhealthy_whatever_it_says_itself(
    operator: Context, place: Place, outside: Outside, clock: MovableClock
) -> None:
    place.answer = lambda: web.Response(status=500, text="the disk is full")
    rollout = await a_checked_rollout(operator, 1, _http(place, failure_limit=1, interval_seconds=10), auto_rollback_enabled=False)
    [device] = await _at(operator, rollout, "127.0.0.1")
    await _round(operator, outside)
    assert await _statuses(operator, rollout) == [DeviceStatus.UPDATED], "one failure is tolerated"
    assert ", and its checks from outside are not through" in await _explained(operator, device)
    await _round(operator, outside)
    assert len(place.asked) == 1, "the interval is not over"
    clock.advance(seconds=10)
    await _round(operator, outside)

    now = await read(operator.db, rollout)
    assert (now.status, now.reason) == (Status.PAUSED, "1 of 1 devices failed; the policy allows 20%")
    [member] = await rollouts.devices(operator, rollout, -1, 10)
    assert (member.status, member.reason) == (DeviceStatus.UNHEALTHY, "page: failed 2 times: answered 500: the disk is full")
    await _says_it_runs(operator, device)
    assert await _statuses(operator, rollout) == [DeviceStatus.UNHEALTHY]


async def _explained(operator: Context, device: DeviceId) -> str:
    [service] = (await explanations.of_devices(operator, [device]))[device].services
    return " ".join(service.sentences)


async def _says_it_runs(operator: Context, device: DeviceId) -> None:
    known = await devices.by_id(operator, device)
    assert known is not None
    apps = {"1001": {"services": [{"serviceName": "web", "imageName": "nginx:2.0.0", "status": "running"}]}}
    await talking.report(operator, device, known.uuid, Report(apps, None, {}))


async def test_a_device_of_which_nobody_can_tell_pauses_the_rollout_until_an_operator_goes_on(
    operator: Context, place: Place, outside: Outside, clock: MovableClock
) -> None:
    rollout = await a_checked_rollout(operator, 1, _http(place, consecutive_error_limit=1, interval_seconds=10))
    [device] = await _at(operator, rollout, "10.0.0.9")  # not a range that the server may reach
    for _ in range(2):
        await _round(operator, outside)
        clock.advance(seconds=10)

    now = await read(operator.db, rollout)
    assert (now.status, now.reason) == (Status.PAUSED, "checks could not tell how 1 device did")
    assert ", and its checks from outside could not tell how well" in await _explained(operator, device)
    assert place.asked == []
    await rollouts.request(operator, rollout, Request.RESUME)
    await reconcile(operator.db)
    assert (await read(operator.db, rollout)).status is Status.COMPLETED


async def test_without_allowed_ranges_nothing_is_asked(operator: Context, place: Place) -> None:
    rollout = await a_checked_rollout(operator, 1, _http(place, consecutive_error_limit=0))
    await _at(operator, rollout, "127.0.0.1")
    async with way_out(Allowed()) as nowhere:
        await _round(operator, nowhere)

    assert place.asked == []
    assert (await read(operator.db, rollout)).status is Status.PAUSED


async def test_a_gate_holds_with_its_own_words_and_opens_with_2xx(
    operator: Context, place: Place, outside: Outside, clock: MovableClock
) -> None:
    place.answer = lambda: web.Response(status=403, text="not on a Friday")
    rollout = await a_checked_rollout(operator, 10, _gate(place), update_strategy="staged")
    for _ in range(3):
        await everybody_says(operator.db, rollout, Outcome.RUNNING)
        await reconcile(operator.db)
        await _round(operator, outside)
        clock.advance(seconds=10)
    wait = (await rollouts.explain(operator, rollout)).next
    assert getattr(wait, "on", None) is On.CHECKS
    assert getattr(wait, "sentence", "") == "it waits for checks: release board: held: answered 403: not on a Friday"
    assert (await read(operator.db, rollout)).frontier == 1
    place.answer = lambda: web.Response(status=204)
    await _round(operator, outside)

    now = await read(operator.db, rollout)
    assert now.frontier == 5
    assert place.asked[-1] == {
        "rollout_id": str(rollout), "policy_id": "1", "image": "nginx:2.0.0", "checksum": now.checksum, "revision": 4,
        "batch_number": 1, "total_batches": 3, "offered_devices": 1, "total_devices": 10,
    }  # fmt: skip


async def test_an_operator_may_promote_past_a_gate(operator: Context, place: Place, outside: Outside) -> None:
    place.answer = lambda: web.Response(status=403)
    rollout = await a_checked_rollout(operator, 10, _gate(place), update_strategy="staged")
    await everybody_says(operator.db, rollout, Outcome.RUNNING)
    await reconcile(operator.db)
    await rollouts.request(operator, rollout, Request.PROMOTE)
    await _round(operator, outside)

    assert (await read(operator.db, rollout)).frontier == 5


def _says(value: str) -> Callable[[], web.Response]:
    """What a Prometheus answers to an instant query (its documentation, “Instant queries”)."""
    data = {"resultType": "vector", "result": [{"metric": {"job": "web"}, "value": [1435781451.781, value]}]}
    return lambda: web.json_response({"status": "success", "data": data})


@pytest.mark.parametrize(
    ("value", "becomes", "reason"),
    [
        ("0.01", Status.COMPLETED, None),
        ("0.2", Status.ROLLING_BACK, "errors: failed 1 time: the result is 0.2, and fails when result >= 0.1"),
        ("0.07", Status.PAUSED, "errors: was inconclusive 1 time: the result is 0.07, which is neither success nor failure"),
        ("NaN", Status.PAUSED, "errors: was inconclusive 1 time: the result is nan, which no condition can judge"),
    ],
)
async def test_what_prometheus_says_of_a_batch_decides(
    operator: Context, place: Place, outside: Outside, value: str, becomes: Status, reason: str | None
) -> None:
    place.answer = _says(value)
    rollout = await a_checked_rollout(operator, 2, _metric(place, failure_condition="result >= 0.1"))
    await everybody_says(operator.db, rollout, Outcome.RUNNING)
    await reconcile(operator.db)
    await _round(operator, outside)

    now = await read(operator.db, rollout)
    assert (now.status, now.reason) == (becomes, reason)


async def test_after_an_inconclusive_pause_an_operator_who_goes_on_has_it_measured_anew(
    operator: Context, place: Place, outside: Outside
) -> None:
    place.answer = _says("NaN")
    rollout = await a_checked_rollout(operator, 2, _metric(place))
    await everybody_says(operator.db, rollout, Outcome.RUNNING)
    await reconcile(operator.db)
    await _round(operator, outside)
    place.answer = _says("0.01")
    await rollouts.request(operator, rollout, Request.RESUME)
    await reconcile(operator.db)
    await _round(operator, outside)

    assert (await read(operator.db, rollout)).status is Status.COMPLETED


async def test_a_stage_makes_the_checks_it_names_and_no_others(operator: Context, place: Place, outside: Outside) -> None:
    stages = [{"share_percent": 10, "checks": []}, {"share_percent": 100, "checks": ["release board"]}]
    rollout = await a_checked_rollout(operator, 10, _gate(place), update_strategy="staged", stages=stages)
    for _ in range(2):
        await everybody_says(operator.db, rollout, Outcome.RUNNING)
        await _round(operator, outside)
    await _round(operator, outside)

    assert [question["batch_number"] for question in place.asked] == [2]


async def test_two_processes_measure_once(operator: Context, place: Place, outside: Outside) -> None:
    rollout = await a_checked_rollout(operator, 3, _http(place))
    await _at(operator, rollout, "127.0.0.1")
    await asyncio.gather(*(check(operator.db, outside) for _ in range(4)))

    assert len(place.asked) == 3


async def test_a_device_that_fails_by_itself_while_it_is_measured_has_failed(operator: Context, place: Place, outside: Outside) -> None:
    rollout = await a_checked_rollout(operator, 1, _http(place), auto_rollback_enabled=False)
    await _at(operator, rollout, "127.0.0.1")
    async with _held(place) as asked:
        measuring = asyncio.create_task(check(operator.db, outside))
        await asked.wait()
        await everybody_says(operator.db, rollout, Outcome.FAILED)
    await measuring

    assert await _statuses(operator, rollout) == [DeviceStatus.FAILED]


@asynccontextmanager
async def _held(place: Place) -> AsyncIterator[asyncio.Event]:
    """A device is asked when the event is set; its answer is on the way meanwhile, since measuring ends in a later transaction."""
    asked = asyncio.Event()

    def answer() -> web.Response:
        asked.set()
        return web.Response(text="ok")

    place.answer = answer
    yield asked
