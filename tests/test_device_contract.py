"""What agents in the field may send, and what they are answered: the original's contract, kept over real HTTP."""

import asyncio
import gzip
import json
import re
from datetime import UTC, datetime
from typing import Any
from unittest.mock import ANY

import orjson
import pytest

from server.bodies import MOST_INFLATED, MOST_SENT
from server.process import Running
from tests.api import Agent, Api, eventually, everything, image_of, nth, web
from tests.clock import MovableClock

REGISTER = "/api/v1/device/register"
KEY = "k" * 64
DEVICE = {"uuid": "7838cecf-567c-4d54-9e48-62b4471df6bd", "deviceName": "press-12", "deviceType": "pi4", "deviceApiKey": KEY}
GZIP = {"Content-Encoding": "gzip"}


async def registered(api: Api, provisioning_key: str, body: object) -> tuple[int, Any]:
    """What POST /register answers."""
    async with api.http.post(REGISTER, data=as_json(body), headers={"Authorization": f"Bearer {provisioning_key}"}) as response:
        return response.status, await response.json()


async def polled(agent: Agent, **headers: str) -> tuple[int, Any, str | None]:
    """Status, body and ETag of a poll with these headers and no others."""
    async with agent.http.get(f"/api/v1/device/{agent.uuid}/state", headers=headers) as response:
        body = await response.read()
        return response.status, orjson.loads(body) if body else None, response.headers.get("etag")


async def current(api: Api, uuid: str) -> Any:
    """What a device last said, as operators see it."""
    answer = await api.graphql(
        "query ($uuid: ID!) { device(uuid: $uuid) { currentState { apps version info reportedAt } lastSeenAt } }", uuid=uuid
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


async def test_a_device_registers_as_the_contract_says(api: Api) -> None:
    key = await api.provisioning_key("plant-a")

    status, device = await registered(
        api, key, {**DEVICE, "applicationId": 12, "macAddress": "02:42:00:00:00:01", "osVersion": "Debian 12"}
    )

    assert status == 200
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", device.pop("createdAt"))
    assert isinstance(device.pop("id"), int)
    assert device == {"uuid": DEVICE["uuid"], "deviceName": "press-12", "deviceType": "pi4", "applicationId": 12, "fleetId": "plant-a"}


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


async def test_a_registration_that_makes_no_sense_is_refused_by_field_and_nothing_changes(server: Running, api: Api) -> None:
    key = await api.provisioning_key()
    before = await everything(server.db)

    for stranger in ("", "wrong", "rollwave_provisioning_"):
        assert (await registered(api, stranger, DEVICE))[0] == 401
    wrong: list[Any] = [None, 7, True, ["a"], {}, nested(200)]
    cases: list[tuple[Any, str]] = [
        *[({name: value for name, value in DEVICE.items() if name != field}, field) for field in DEVICE],
        *[({**DEVICE, field: value}, field) for field in DEVICE for value in wrong],
        *[({**DEVICE, field: ""}, field) for field in DEVICE if field != "uuid"],
        ({**DEVICE, "applicationId": nested(900)}, "cannot be kept"),
        ({**DEVICE, "uuid": "press-12"}, "press-12"),
        ({**DEVICE, "uuid": ""}, "uuid"),
        ({**DEVICE, "deviceApiKey": "k" * 31}, "deviceApiKey"),
        ({**DEVICE, "deviceName": "n" * 256}, "deviceName"),
        ({**DEVICE, "deviceName": "a\0b"}, "null character"),
        ({}, "uuid"),
        ([], "body"),
        ("text", "body"),
        (None, "body"),
    ]
    for body, words in cases:
        status, answer = await registered(api, key, body)
        assert (status, words in answer["error"]) == (400, True), (body, answer)

    assert await everything(server.db) == before


async def test_of_twenty_registrations_at_once_one_makes_the_device(server: Running, api: Api) -> None:
    key = await api.provisioning_key()

    alike = await asyncio.gather(*[registered(api, key, DEVICE) for _ in range(20)])
    rivals = await asyncio.gather(*[registered(api, key, {**DEVICE, "uuid": nth(2), "deviceApiKey": f"{n:064}"}) for n in range(20)])

    assert {status for status, _ in alike} == {200}
    assert len({device["id"] for _, device in alike}) == 1
    assert sorted(status for status, _ in rivals) == [200] + 19 * [409]
    assert len((await everything(server.db))["devices"]) == 2


# Key exchange


async def test_a_key_exchange_tells_whether_the_key_is_known(server: Running, api: Api) -> None:
    agent = await api.device(nth(1))
    before = await everything(server.db)

    async def exchange(uuid: str, key: str) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {key}"}
        async with api.http.post(
            f"/api/v1/device/{uuid}/key-exchange", json={"uuid": uuid, "deviceApiKey": key}, headers=headers
        ) as response:
            return response.status, await response.json()

    status, answer = await exchange(agent.uuid, agent.key)
    assert (status, answer["status"], answer["message"]) == (200, "ok", "Key exchange successful")
    assert answer["device"] == {"id": answer["device"]["id"], "uuid": nth(1), "deviceName": "press 0000"}
    assert (await exchange(agent.uuid, "wrong"))[0] == 401
    assert (await exchange(nth(2), agent.key))[0] == 404
    assert (await exchange("press-12", agent.key))[0] == 400
    assert await everything(server.db) == before


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


async def test_a_device_proves_itself_in_either_header_and_nobody_else_gets_in(server: Running, api: Api) -> None:
    agent, other = await api.devices("nginx:1.27", "nginx:1.26")
    before = await everything(server.db)

    for wrong in ({}, {"X-Device-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {agent.key}"}):
        assert (await polled(agent, **wrong))[0] == 401
    assert (await polled(agent, **{"X-Device-API-Key": other.key}))[0] == 401
    assert (await polled(agent, Authorization=f"Bearer {api.token}"))[0] == 401
    agent.key, key = other.key, agent.key
    assert await agent.send({"apps": running("nginx:9")}) == 401
    assert await everything(server.db) == before

    assert (await polled(agent, **{"X-Device-API-Key": key}))[0] == 200
    assert (await polled(agent, Authorization=f"Bearer {key}"))[0] == 200
    status, _ = await agent.send_body(
        orjson.dumps({agent.uuid: {"apps": {}}}), **{"X-Device-API-Key": "", "Authorization": f"Bearer {key}"}
    )
    assert status == 200


async def test_the_answer_to_a_poll_is_an_envelope_keyed_by_the_uuid_as_the_agent_writes_it(api: Api) -> None:
    agent = await api.device(DEVICE["uuid"], web("nginx:1.27"))
    headers = {"X-Device-API-Key": agent.key}

    status, body, _ = await polled(agent, **headers)
    agent.uuid = agent.uuid.upper()
    _, shouted, _ = await polled(agent, **headers)

    service = {"serviceId": 7, "serviceName": "web", "imageName": "nginx:1.27", "config": {"image": "nginx:1.27", "ports": ["8080:80"]}}
    state = {
        "apps": {"1001": {"appId": 1001, "appName": "monitoring", "services": [service]}},
        "config": {"intervals": ANY}, "version": 1, "needs_deployment": False, "last_deployed_at": None,
    }  # fmt: skip
    assert (status, body) == (200, {DEVICE["uuid"]: state})
    assert shouted == {agent.uuid: state}


async def test_an_etag_is_strong_and_known_however_agents_send_it(api: Api) -> None:
    [agent] = await api.devices("nginx:1.27")
    key = {"X-Device-API-Key": agent.key}
    _, _, etag = await polled(agent, **key)
    assert etag is not None
    assert re.fullmatch(r'"[!-~]+"', etag)
    bare = etag.strip('"')

    for held in (etag, bare, f"W/{etag}", f'"other", {etag}', f"other,{bare}", f'W/"other" , W/{etag}', "*"):
        assert await polled(agent, **key, **{"If-None-Match": held}) == (304, None, etag), held
    for stale in ('"other"', "", bare[:-1], f'"{bare[:-1]}"', f"{bare}0", "**"):
        assert (await polled(agent, **key, **{"If-None-Match": stale}))[0] == 200, stale


async def test_the_etag_changes_with_whatever_the_device_can_see_and_with_nothing_else(api: Api) -> None:
    [agent] = await api.devices("nginx:1.27")
    tags = []

    async def tag() -> str | None:
        return (await polled(agent, **{"X-Device-API-Key": agent.key}))[2]

    async def changed(**target: Any) -> None:
        await api.graphql(
            "mutation ($uuid: ID!, $apps: JSON!, $config: JSON) { setDeviceTarget(uuid: $uuid, apps: $apps, config: $config) { version } }",
            uuid=agent.uuid, **{"apps": web("nginx:1.27"), **target},
        )  # fmt: skip
        tags.append(await tag())

    await changed()
    await agent.report("nginx:1.27")
    assert await tag() == tags[0]
    await changed(config={"intervals": {"targetStatePollIntervalMs": 30000}})
    await changed(apps=web("nginx:1.28"))
    await changed(apps=web("nginx:1.28", app="other"))
    await changed(apps={})

    assert len(set(tags)) == len(tags)


@pytest.mark.parametrize("how", ["poll", "report"])
async def test_whoever_polls_or_reports_was_seen_just_now(api: Api, clock: MovableClock, how: str) -> None:
    [agent] = await api.devices("nginx:1.27")
    assert (await current(api, agent.uuid))["lastSeenAt"] is None
    clock.advance(minutes=1)

    await (agent.poll() if how == "poll" else agent.report("nginx:1.27"))

    assert abs((await api.seen(agent.uuid) - datetime.now(UTC)).total_seconds() - 60) < 30


async def test_polls_that_change_nothing_write_nothing(server: Running, api: Api) -> None:
    [agent] = await api.devices("nginx:1.27")
    await agent.poll()
    await api.seen(agent.uuid)
    before = await everything(server.db)

    for _ in range(20):
        assert (await agent.poll())[0] == 304
    await asyncio.sleep(2.5)  # who was seen is written down every two seconds

    assert await everything(server.db) == before


# Report: bodies


async def test_a_report_may_be_compressed(api: Api) -> None:
    agent = await api.device(nth(1))
    body = orjson.dumps({agent.uuid: {"apps": running("nginx:1.27"), "os_version": "Debian 12", "note": r"a \u0000 that is none"}})

    assert await agent.send_body(gzip.compress(body), **GZIP) == (200, {"status": "ok"})
    assert (await current(api, agent.uuid))["currentState"]["info"]["note"] == r"a \u0000 that is none"
    assert await agent.send_body(gzip.compress(body), **{"Content-Encoding": "GZIP"}) == (200, {"status": "ok"})
    assert await agent.send_body(body, **{"Content-Encoding": "identity"}) == (200, {"status": "ok"})


async def test_a_body_that_cannot_be_read_is_refused_and_nothing_changes(server: Running, api: Api) -> None:
    agent = await api.device(nth(1))
    await agent.report("nginx:1.27")
    before = await everything(server.db)
    uuid = agent.uuid.encode()

    def said(more: bytes) -> bytes:
        return b'{"%s": %s}' % (uuid, more)

    good = said(b'{"apps": {}}')
    for body, headers, wanted in [
        (gzip.compress(b" " * (MOST_INFLATED + 1)), GZIP, 413),
        (gzip.compress(b" " * 10 * MOST_INFLATED), GZIP, 413),
        (gzip.compress(good)[:-9], GZIP, 400),
        (b"", GZIP, 400),
        (good, GZIP, 400),
        (gzip.compress(good), {"Content-Encoding": "br"}, 415),
        (gzip.compress(good), {"Content-Encoding": "gzip, gzip"}, 415),
        (gzip.compress(good), {}, 400),
        (good + b" " * MOST_SENT, {}, 413),
        (b"", {}, 400),
        (b"not JSON", {}, 400),
        (good[:-1], {}, 400),
        (b"\xff\xfe", {}, 400),
        (said(b'{"cpu_usage": NaN}'), {}, 400),
        (said(b'{"cpu_usage": 1e999}'), {}, 400),
        (said(b'{"note": "a\\u0000b"}'), {}, 400),
        (said(b'{"a\\u0000b": 1}'), {}, 400),
        (said(b'{"note": "\\ud800"}'), {}, 400),
        *[(said(b'{"note": ' + b"[" * deep + b"]" * deep + b"}"), {}, 400) for deep in (260, 900, 1022, 5_000, 400_000)],
        *[
            (said(b'{"apps": {"1": {"services": [' + b'{"a":' * deep + b"1" + b"}" * deep + b"]}}}"), {}, 400)
            for deep in (260, 900, 90_000)
        ],
    ]:
        status, answer = await agent.send_body(body, **headers)
        assert status == wanted, (body[:80], answer)

    assert await everything(server.db) == before


async def test_a_report_of_the_wrong_shape_is_refused_and_nothing_changes(server: Running, api: Api) -> None:
    agent, other = await api.devices("nginx:1.27", "nginx:1.27")
    await agent.report("nginx:1.27")
    before = await everything(server.db)
    state = {"apps": running("nginx:1.28")}

    bodies: list[Any] = [None, 7, "text", [], [state], {}, {agent.uuid: state, other.uuid: state}, {agent.uuid: state, "version": 3}]
    apps: list[Any] = [7, "text", True, [7], [None], [[]], [{"services": []}], [{"appId": []}], {"1001": None}, {"1001": 7}, {"1001": []}]
    services: list[Any] = [7, "text", True, {}, {"web": {}}, [7], [None], [[]]]
    versions: list[Any] = ["14", 1.5, True, [], {}, -1, 2**31, 2**63, 2**80, ""]
    states: list[Any] = [
        None,
        7,
        "text",
        True,
        [state],
        *[{"apps": wrong} for wrong in apps],
        *[{"apps": {"1001": {"services": wrong}}} for wrong in services],
        *[{"apps": {}, "version": wrong} for wrong in versions],
    ]
    for body in bodies + [{agent.uuid: state} for state in states]:
        status, answer = await agent.send_body(as_json(body))
        assert (status, "error" in answer) == (400, True), (body, answer)

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


async def test_what_a_report_leaves_out_stays_as_it_was(api: Api) -> None:
    agent = await api.device(nth(1))
    await agent.send({"apps": running("nginx:1.27"), "version": 3, "os_version": "Debian 12", "cpu_usage": 1})

    await agent.send({"version": 4, "cpu_usage": 2})
    kept = (await current(api, agent.uuid))["currentState"]
    await agent.send({"version": 5, "apps": None})
    still = (await current(api, agent.uuid))["currentState"]
    await agent.send({"version": 6, "apps": {}})
    gone = (await current(api, agent.uuid))["currentState"]

    assert (kept["apps"], kept["version"]) == (running("nginx:1.27"), 4)
    assert kept["info"] == {"os_version": "Debian 12", "cpu_usage": 2}
    assert (still["apps"], still["version"]) == (running("nginx:1.27"), 5)
    assert (gone["apps"], gone["version"]) == ({}, 6)


async def test_apps_may_come_as_an_array(api: Api) -> None:
    agent = await api.device(nth(1))

    await agent.send({"apps": list(running("nginx:1.27").values())})

    assert (await current(api, agent.uuid))["currentState"]["apps"] == running("nginx:1.27")


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


# What a device says of its service, and where it is then: without health checks, and with them.
SHOWN: list[tuple[dict[str, Any], str, str]] = [
    ({}, "UPDATED", "UPDATED"),
    ({"imageName": "docker.io/library/nginx:1.27"}, "UPDATED", "UPDATED"),
    ({"status": None, "state": "running"}, "UPDATED", "UPDATED"),
    ({"status": "Running"}, "UPDATED", "UPDATED"),
    ({"serviceStatus": "running", "health": "healthy"}, "UPDATED", "UPDATED"),
    # No proof
    ({"imageName": "nginx:1.26"}, "UPDATING", "UPDATING"),
    ({"imageName": "nginx:1.27-alpine"}, "UPDATING", "UPDATING"),
    ({"imageName": "nginx"}, "UPDATING", "UPDATING"),
    ({"imageName": "acme/nginx:1.27"}, "UPDATING", "UPDATING"),
    ({"imageName": "sha256:" + "a" * 64}, "UPDATING", "UPDATING"),
    ({"imageName": "a" * 64}, "UPDATING", "UPDATING"),
    ({"imageName": ""}, "UPDATING", "UPDATING"),
    ({"imageName": None}, "UPDATING", "UPDATING"),
    ({"serviceName": "db"}, "UPDATING", "UPDATING"),
    ({"status": None}, "UPDATING", "UPDATING"),
    # On its way
    *[({"status": status}, "UPDATING", "UPDATING") for status in ("created", "restarting", "removing", "paused")],
    ({"imageName": "nginx:1.26", "status": "exited"}, "UPDATING", "UPDATING"),
    (
        {"imageName": "nginx:1.26", "serviceStatus": "error", "error": {"type": "ErrImagePull", "message": "timeout"}},
        "UPDATING",
        "UPDATING",
    ),
    # Failed
    ({"status": "exited"}, "FAILED", "FAILED"),
    ({"status": "dead"}, "FAILED", "FAILED"),
    ({"imageName": "nginx:1.26", "error": {"type": "ImagePullBackOff", "message": "not found"}}, "FAILED", "FAILED"),
    ({"error": {"type": "CrashLoopBackOff"}, "status": "restarting"}, "FAILED", "FAILED"),
    ({"error": {"type": "StartFailure"}, "status": "created"}, "FAILED", "FAILED"),
    ({"serviceStatus": "error"}, "FAILED", "FAILED"),
    # Health
    ({"health": "unhealthy"}, "UPDATED", "UNHEALTHY"),
    ({"health": "starting"}, "UPDATED", "UPDATING"),
    ({"health": "unknown"}, "UPDATED", "UPDATED"),
]


@pytest.mark.parametrize("health_check", [False, True])
async def test_the_running_image_decides_and_the_version_never_does(api: Api, health_check: bool) -> None:
    agents = await offered(api, *SHOWN, health_check=health_check)

    for agent, (service, _, _) in zip(agents, SHOWN, strict=True):
        assert await agent.report("nginx:1.27", **service) == 200
        assert agent.version == 2

    statuses = (await api.rollout())["devices"]
    for agent, (service, without, with_health_check) in zip(agents, SHOWN, strict=True):
        assert statuses[agent.uuid] == (with_health_check if health_check else without), service


async def test_a_failure_is_told_in_the_devices_own_words(api: Api) -> None:
    [agent] = await offered(api, "one", health_check=False)

    await agent.report("nginx:1.26", error={"type": "ImagePullBackOff", "message": "manifest unknown"})

    answer = await api.graphql('{ rollout(id: "1") { devices { nodes { reason outcomeAt takenAt } } } }')
    [place] = answer["rollout"]["devices"]["nodes"]
    assert place["reason"] == "web: cannot pull the image (ImagePullBackOff: manifest unknown)"
    assert place["takenAt"] is not None
    assert place["outcomeAt"] is not None


async def test_a_service_missing_from_the_report_is_being_swapped(api: Api) -> None:
    agent, other = await offered(api, "one", "the other", health_check=False)

    swapping: list[Any] = [{}, {"1001": {}}, {"1001": {"services": []}}, {"2002": running("nginx:1.27")["1001"]}, []]
    for apps in swapping:
        await agent.send({"apps": apps, "version": agent.version})
        assert (await api.rollout())["devices"] == {agent.uuid: "UPDATING", other.uuid: "UPDATING"}
    await agent.report("nginx:1.27")

    assert (await api.rollout())["devices"][agent.uuid] == "UPDATED"


async def test_every_service_of_the_image_must_run_it(api: Api) -> None:
    services = [{"serviceName": name, "imageName": "nginx:1.26"} for name in ("web", "proxy")]
    agent = await api.device(nth(1), {"1": {"services": services}, "2": {"services": [{"serviceId": 7, "imageName": "redis:7"}]}})
    await api.policy()
    await api.push("nginx:1.27")
    await eventually(api.status, "IN_PROGRESS")
    await eventually(lambda: _offered_devices(api), 1)
    await agent.poll()

    async def told(web: str, proxy: str) -> str:
        services = [{"serviceName": name, "imageName": image, "status": "running"} for name, image in (("web", web), ("proxy", proxy))]
        await agent.send({"apps": {"1": {"services": services}}, "version": agent.version})
        return str((await api.rollout())["devices"][agent.uuid])

    assert await told("nginx:1.27", "nginx:1.26") == "UPDATING"
    assert await told("nginx:1.26", "nginx:1.27") == "UPDATING"
    assert await told("nginx:1.27", "nginx:1.27") == "UPDATED"


async def _offered_devices(api: Api) -> int:
    return int((await api.rollout())["offeredDevices"])


async def test_an_agent_that_never_sends_a_version_takes_part_from_beginning_to_end(api: Api) -> None:
    [agent] = await api.devices("nginx:1.26")
    await api.policy(soakMinutes=0, healthCheckEnabled=True)
    await api.push("nginx:1.27")
    await eventually(lambda: api.image(agent.uuid), "nginx:1.27")

    await agent.poll()
    for image, status in (("nginx:1.26", "running"), ("nginx:1.27", "created"), ("nginx:1.27", "running")):
        assert await agent.send({"apps": running(image, status=status), "is_online": True, "local_ip": "10.0.0.9"}) == 200

    await eventually(api.status, "COMPLETED")
    assert (await current(api, agent.uuid))["currentState"]["version"] is None


async def test_whoever_shows_the_image_has_taken_it_even_if_no_poll_was_seen(api: Api) -> None:
    [agent] = await api.devices("nginx:1.26")
    await api.policy()
    await api.push("nginx:1.27")
    await eventually(api.status, "IN_PROGRESS")
    await eventually(lambda: _offered_devices(api), 1)

    await agent.report("nginx:1.27")

    await eventually(api.status, "COMPLETED")


@pytest.mark.parametrize(("health_check", "event"), [(False, "image.device_failed"), (True, "image.health_check_failed")])
async def test_a_device_that_failed_may_come_to_run_well_and_fail_again(api: Api, health_check: bool, event: str) -> None:
    agent, _ = await offered(api, "one", "the other", health_check=health_check)

    for container in ("exited", "exited", "running", "running", "dead"):
        await agent.report("nginx:1.27", status=container)
        assert (await api.rollout())["devices"][agent.uuid] == ("UPDATED" if container == "running" else "FAILED")

    answer = await api.graphql('{ rollout(id: "1") { events { nodes { type deviceUuid } } } }')
    happened = [one["type"] for one in answer["rollout"]["events"]["nodes"] if one["deviceUuid"] == agent.uuid]
    assert happened == ["image.device_scheduled", "image.device_failed", "image.device_updated", event]
