"""What the device contract needs the database or the clock to see; what agents see of it is in `tests/conformance`."""

import asyncio
import gzip
import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from server.bodies import MOST_INFLATED, MOST_SENT
from server.process import Running
from tests.api import Agent, Api, eventually, everything, image_of, nth
from tests.clock import MovableClock

REGISTER = "/api/v1/device/register"
KEY = "k" * 64
DEVICE = {"uuid": "7838cecf-567c-4d54-9e48-62b4471df6bd", "deviceName": "press-12", "deviceType": "pi4", "deviceApiKey": KEY}
GZIP = {"Content-Encoding": "gzip"}


async def registered(api: Api, provisioning_key: str, body: object) -> tuple[int, Any]:
    """What POST /register answers."""
    async with api.http.post(REGISTER, data=as_json(body), headers={"Authorization": f"Bearer {provisioning_key}"}) as response:
        return response.status, await response.json()


async def current(api: Api, uuid: str) -> Any:
    """What a device last said, as operators see it."""
    answer = await api.graphql(
        "query ($uuid: UUID!) { device(uuid: $uuid) { currentState { apps version info reportedAt } lastSeenAt } }", uuid=uuid
    )
    return answer["device"]


def running(image: str, **more: Any) -> dict[str, Any]:
    """What an agent says of its one service."""
    return {"1001": {"appId": 1001, "services": [{"serviceName": "web", "imageName": image, "status": "running", **more}]}}


def as_json(value: Any) -> bytes:
    """JSON of any depth and with numbers of any size, which orjson does not write."""
    return json.dumps(value).encode()


def nested(depth: int) -> Any:
    """JSON this deep."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


# Register


async def test_registering_again_is_answered_alike_and_never_gives_the_uuid_away(server: Running, api: Api) -> None:
    key = await api.provisioning_key("plant-a")
    first = await registered(api, key, DEVICE)
    before = await everything(server.db)

    again = await registered(api, key, DEVICE)
    shouted = await registered(api, key, {**DEVICE, "uuid": DEVICE["uuid"].upper()})
    taken, _ = await registered(api, key, {**DEVICE, "deviceApiKey": "x" * 64})

    assert (first, taken) == (again, 409)
    assert first == shouted
    assert await everything(server.db) == before


async def test_of_twenty_registrations_at_once_one_makes_the_device(server: Running, api: Api) -> None:
    key = await api.provisioning_key()

    alike = await asyncio.gather(*[registered(api, key, DEVICE) for _ in range(20)])
    rivals = await asyncio.gather(*[registered(api, key, {**DEVICE, "uuid": nth(2), "deviceApiKey": f"{n:064}"}) for n in range(20)])

    assert {status for status, _ in alike} == {200}
    assert len({device["id"] for _, device in alike}) == 1
    assert sorted(status for status, _ in rivals) == [200] + 19 * [409]
    assert len((await everything(server.db))["devices"]) == 2


# Poll


async def test_a_stranger_who_polls_or_reports_is_not_known_afterwards_either(server: Running, api: Api) -> None:
    stranger = Agent(api.http, nth(1))
    before = await everything(server.db)

    assert (await stranger.poll())[0] == 404
    assert await stranger.send({"apps": {}}) == 404
    assert (await Agent(api.http, "press-12").poll())[0] == 400
    assert await Agent(api.http, "press-12").send({"apps": {}}) == 400
    assert await everything(server.db) == before
    assert (await stranger.register(await api.provisioning_key()))[0] == 200


@pytest.mark.parametrize("how", ["poll", "report"])
async def test_whoever_polls_or_reports_was_seen_just_now(api: Api, clock: MovableClock, how: str) -> None:
    [agent] = await api.devices("nginx:1.27")
    assert (await current(api, agent.uuid))["lastSeenAt"] is None
    clock.advance(minutes=1)

    await (agent.poll() if how == "poll" else agent.report("nginx:1.27"))

    assert abs((await api.seen(agent.uuid) - datetime.now(UTC)).total_seconds() - 60) < 30


async def test_polls_that_change_nothing_write_nothing(server: Running, api: Api) -> None:
    [agent] = await api.devices("nginx:1.27")
    for _ in range(3):  # what has just been changed may be read once more
        await agent.poll()
    await asyncio.sleep(2.5)  # who was seen is written down every two seconds
    before = await everything(server.db), await api.seen(agent.uuid)

    for _ in range(20):
        assert (await agent.poll())[0] == 304
    await asyncio.sleep(2.5)

    assert (await everything(server.db), await api.seen(agent.uuid)) == before


# Report: bodies


async def test_the_largest_body_is_taken_and_a_byte_more_is_not(server: Running, api: Api) -> None:
    agent = await api.device(nth(1))
    body = orjson.dumps({agent.uuid: {"apps": {}}})

    assert (await agent.send_body(body.ljust(MOST_SENT)))[0] == 200
    assert (await agent.send_body(gzip.compress(body.ljust(MOST_INFLATED)), **GZIP))[0] == 200
    before = await everything(server.db)
    assert (await agent.send_body(body.ljust(MOST_SENT + 1)))[0] == 413
    assert (await agent.send_body(gzip.compress(body.ljust(MOST_INFLATED + 1)), **GZIP))[0] == 413
    assert await everything(server.db) == before


async def test_a_service_of_strange_values_is_kept_and_proves_nothing(api: Api) -> None:
    [agent] = await api.devices("nginx:1.26")
    await api.policy()
    await api.push("nginx:1.27")
    await eventually(lambda: api.image(agent.uuid), "nginx:1.27")
    await agent.poll()

    for field in ("serviceName", "serviceId", "imageName", "status", "state", "health", "serviceStatus", "error", "config", "containerId"):
        for value in (
            None,
            7,
            1.5,
            2**70,
            True,
            "",
            "\u00e4 \U0001f600",
            "x" * 10_000,
            [],
            [1],
            {},
            {"type": 7, "message": []},
            nested(50),
        ):
            service = {"serviceName": "web", "imageName": "nginx:1.26", "status": "running", field: value}
            status, _ = await agent.send_body(as_json({agent.uuid: {"apps": {"1001": {"services": [service]}}, "version": 1}}))
            assert status == 200, (field, value)

    assert (await api.rollout())["devices"] == {agent.uuid: "UPDATING"}
    assert (await current(api, agent.uuid))["currentState"]["version"] == 1


# Report: what is kept


async def test_an_old_report_sent_again_changes_nothing(server: Running, api: Api) -> None:
    [agent] = await api.devices("nginx:1.26")
    await api.policy(deadlineMinutes=60)
    await api.push("nginx:1.27")
    await eventually(lambda: api.image(agent.uuid), "nginx:1.27")
    await agent.obey()
    await eventually(api.status, "COMPLETED")
    before = await everything(server.db)

    assert await agent.send({"apps": running("nginx:1.26"), "os_version": "Debian 11"}) == 200
    assert await agent.send({"apps": running("nginx:1.27", status="exited")}) == 200

    assert await everything(server.db) == before


# Report: what it decides


async def offered(api: Api, *variants: object, health_check: bool) -> list[Agent]:
    """Devices, one for each variant, that polled nginx:1.27 in one rollout that nothing stops, with three minutes of soak time."""
    agents = await api.devices(*["nginx:1.26"] * len(variants))
    await api.policy(healthCheckEnabled=health_check, soakMinutes=3, maxFailureRate=1)
    await api.push("nginx:1.27")
    await eventually(lambda: api.image(agents[-1].uuid), "nginx:1.27")
    for agent in agents:
        assert image_of((await agent.poll())[1]) == "nginx:1.27"
    return agents


@pytest.mark.parametrize(("health_check", "event"), [(False, "image.device_failed"), (True, "image.health_check_failed")])
async def test_a_device_that_failed_may_come_to_run_well_and_fail_again(api: Api, health_check: bool, event: str) -> None:
    agent, _ = await offered(api, "one", "the other", health_check=health_check)

    for container in ("exited", "exited", "running", "running", "dead"):
        await agent.report("nginx:1.27", status=container)
        assert (await api.rollout())["devices"][agent.uuid] == ("UPDATED" if container == "running" else "FAILED")

    answer = await api.graphql("{ rollout(number: 1) { events { nodes { name deviceUuid } } } }")
    happened = [one["name"] for one in answer["rollout"]["events"]["nodes"] if one["deviceUuid"] == agent.uuid]
    assert happened == ["image.device_scheduled", "image.device_failed", "image.device_updated", event]
