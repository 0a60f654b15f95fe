"""PATCH /api/v1/device/state: what every generation reports, and what is kept of it."""

from typing import Any

import orjson
import pytest

from tests.api import Api, eventually
from tests.conformance.agents import Agent, a1, a2, a3, apps, as_json, nested, service

STRANGE: list[Any] = [None, 7, -1, 1.5, True, "", "\u00e4 \U0001f600", "x" * 5000, [], [1], {}, {"type": 7, "message": []}, nested(50)]
INFO = (
    "is_online", "os_version", "supervisor_version", "agent_version", "config", "cpu_usage", "memory_usage", "memory_total",
    "storage_usage", "storage_total", "temperature", "uptime", "local_ip", "top_processes", "network_interfaces", "sensor_health",
    "architecture",
)  # fmt: skip


async def kept(operator: Api, agent: Agent) -> Any:
    """What operators see of a device's reports."""
    answer = await operator.graphql("query ($uuid: UUID!) { device(uuid: $uuid) { currentState { apps version info } } }", uuid=agent.uuid)
    return answer["device"]["currentState"]


async def is_seen(operator: Api, agent: Agent) -> bool:
    answer = await operator.graphql("query ($uuid: UUID!) { device(uuid: $uuid) { lastSeenAt } }", uuid=agent.uuid)
    return answer["device"]["lastSeenAt"] is not None


async def test_a1_reports_everything_in_plain_json(operator: Api, agent: Agent) -> None:
    answer = await agent.say(a1("nginx:1.27"))

    assert (answer.status, answer.said) == (200, {"status": "ok"})
    state = await kept(operator, agent)
    assert state["apps"] == a1("nginx:1.27")["apps"]
    assert state["version"] is None
    assert state["info"].items() >= {"os_version": "Debian 12", "cpu_usage": 12.5, "local_ip": "10.0.0.9", "is_online": True}.items()


async def test_a1_may_prove_itself_as_a_bearer_when_it_reports(agent: Agent) -> None:
    answer = await agent.ask("PATCH", "/api/v1/device/state", orjson.dumps({agent.uuid: a1("nginx:1.27")}), agent.bearer)

    assert answer.status == 200


async def test_a1_goes_by_its_latest_report_though_it_never_sends_a_version(operator: Api, agent: Agent) -> None:
    for image in ("nginx:1.26", "nginx:1.27", "nginx:1.26"):
        assert (await agent.say(a1(image))).status == 200
        assert (await kept(operator, agent))["apps"]["1001"]["services"][0]["imageName"] == image


async def test_a2_reports_compressed_and_with_a_version(operator: Api, agent: Agent) -> None:
    answer = await agent.squeeze(a2("nginx:1.27", 14))

    assert (answer.status, answer.said) == (200, {"status": "ok"})
    state = await kept(operator, agent)
    assert (state["apps"], state["version"]) == (a2("nginx:1.27", 14)["apps"], 14)
    assert state["info"]["network_interfaces"][0]["name"] == "eth0"


async def test_a3_reports_plain_what_is_short_and_compressed_what_is_long(operator: Api, agent: Agent) -> None:
    report = a3("nginx:1.27", 14)
    assert (await agent.squeeze(report)).status == 200

    assert (await agent.say({"version": 15, "cpu_usage": 80})).status == 200

    state = await kept(operator, agent)
    assert (state["apps"], state["version"], state["info"]["cpu_usage"]) == (report["apps"], 15, 80)
    assert state["info"]["architecture"] == "arm64"


async def test_any_report_may_be_sent_twice(operator: Api, agent: Agent) -> None:
    await agent.squeeze(a2("nginx:1.27", 3))
    before = await kept(operator, agent)

    assert (await agent.squeeze(a2("nginx:1.27", 3))).status == 200
    assert await kept(operator, agent) == before


async def test_any_report_without_apps_leaves_them_as_they_were(operator: Api, agent: Agent) -> None:
    await agent.say({"apps": apps(service("nginx:1.27"))})

    assert (await agent.say({"cpu_usage": 2})).status == 200

    assert (await kept(operator, agent))["apps"] == apps(service("nginx:1.27"))


async def test_any_report_whose_apps_are_null_leaves_them_as_they_were(operator: Api, agent: Agent) -> None:
    await agent.say({"apps": apps(service("nginx:1.27"))})

    assert (await agent.say({"apps": None})).status == 200

    assert (await kept(operator, agent))["apps"] == apps(service("nginx:1.27"))


async def test_any_report_of_no_apps_means_that_nothing_runs(operator: Api, agent: Agent) -> None:
    await agent.say({"apps": apps(service("nginx:1.27"))})

    assert (await agent.say({"apps": {}})).status == 200

    assert (await kept(operator, agent))["apps"] == {}


async def test_any_apps_may_come_as_an_array(operator: Api, agent: Agent) -> None:
    assert (await agent.say({"apps": list(apps(service("nginx:1.27")).values())})).status == 200

    assert (await kept(operator, agent))["apps"] == apps(service("nginx:1.27"))


async def test_any_information_is_merged_and_what_is_left_out_stays(operator: Api, agent: Agent) -> None:
    await agent.say({"os_version": "Debian 12", "cpu_usage": 1, "local_ip": "10.0.0.9"})
    await agent.say({"cpu_usage": 2})
    await agent.say({"local_ip": "10.0.0.10", "uptime": 5})

    assert (await kept(operator, agent))["info"] == {"os_version": "Debian 12", "cpu_usage": 2, "local_ip": "10.0.0.10", "uptime": 5}


async def test_any_field_that_nobody_has_heard_of_is_kept(operator: Api, agent: Agent) -> None:
    await agent.say({"apps": apps(service("nginx:1.27", colour="blue")), "modbus": {"slaves": [1, 2]}})

    state = await kept(operator, agent)
    assert state["info"] == {"modbus": {"slaves": [1, 2]}}
    assert state["apps"]["1001"]["services"][0]["colour"] == "blue"


async def test_a2_flushes_old_reports_without_a_version_after_an_outage_and_its_state_does_not_go_backwards(
    operator: Api, agent: Agent
) -> None:
    await agent.squeeze(a2("nginx:1.27", 14))
    before = await kept(operator, agent)
    old = {name: value for name, value in a2("nginx:1.26", 13).items() if name != "version"}

    answers = [await agent.squeeze({**old, "uptime": uptime}) for uptime in (100, 200, 300)]

    assert [answer.said for answer in answers] == 3 * [{"status": "ok"}]
    assert await kept(operator, agent) == before


async def test_a2_is_heard_again_after_its_old_reports(operator: Api, agent: Agent) -> None:
    await agent.squeeze(a2("nginx:1.27", 14))
    await agent.squeeze({"apps": apps(service("nginx:1.26"))})

    await agent.squeeze(a2("nginx:1.28", 15))

    state = await kept(operator, agent)
    assert (state["apps"]["1001"]["services"][0]["imageName"], state["version"]) == ("nginx:1.28", 15)


async def test_any_agent_updated_from_a1_to_a2_is_heard_in_both(operator: Api, agent: Agent) -> None:
    await agent.say(a1("nginx:1.26"))
    await agent.squeeze(a2("nginx:1.27", 1))

    state = await kept(operator, agent)
    assert (state["apps"]["1001"]["services"][0]["imageName"], state["version"]) == ("nginx:1.27", 1)


async def test_any_uuid_in_capitals_reports_for_the_same_device(operator: Api, agent: Agent) -> None:
    answer = await agent.send(orjson.dumps({agent.uuid.upper(): {"apps": apps(service("nginx:1.27"))}}))

    assert answer.status == 200
    assert (await kept(operator, agent))["apps"] == apps(service("nginx:1.27"))


async def test_any_device_speaks_for_itself_only(operator: Api, agent: Agent, other: Agent) -> None:
    for of in (agent, other):
        await of.say({"apps": apps(service("nginx:1.26"))})
    before = [await kept(operator, of) for of in (agent, other)]
    said = {"apps": apps(service("nginx:1.27"))}
    bodies: list[Any] = [
        {agent.uuid: said, other.uuid: said},
        {agent.uuid: said, "version": 3},
        {agent.uuid: said, agent.uuid.upper(): said},
    ]

    for body in bodies:
        answer = await agent.send(orjson.dumps(body))
        assert (answer.status, "one key" in answer.error) == (400, True), body

    assert [await kept(operator, of) for of in (agent, other)] == before


async def test_any_device_cannot_report_for_another(operator: Api, agent: Agent, other: Agent) -> None:
    answer = await agent.send(orjson.dumps({other.uuid: {"apps": {}}}))

    assert (answer.status, bool(answer.error)) == (401, True)
    assert await kept(operator, other) is None


async def test_any_report_of_nobody_is_refused(agent: Agent) -> None:
    nobodies: list[Any] = [{}, {"apps": {}}, {"": {"apps": {}}}, {"press-12": {"apps": {}}}]
    for body in nobodies:
        assert (await agent.send(orjson.dumps(body))).status == 400, body


@pytest.mark.parametrize("body", [b"", b"null", b"7", b'"text"', b"[]", b"[{}]", b"true"])
async def test_any_report_that_is_no_object_is_refused(agent: Agent, body: bytes) -> None:
    answer = await agent.send(body)

    assert (answer.status, bool(answer.error)) == (400, True)


@pytest.mark.parametrize("state", [None, 7, "text", True, [], [{"apps": {}}]], ids=repr)
async def test_any_state_that_is_no_object_is_refused(agent: Agent, state: object) -> None:
    assert (await agent.say(state)).status == 400


@pytest.mark.parametrize(
    "wrong",
    [7, 1.5, "text", True, [7], [None], [[]], [{"services": []}], [{"appId": []}], [{"appId": 1}, {"appId": 1}],
     {"1001": None}, {"1001": 7}, {"1001": []}, {"1001": "text"}],
    ids=repr,
)  # fmt: skip
async def test_any_apps_of_a_wrong_shape_are_refused_and_nothing_changes(operator: Api, agent: Agent, wrong: object) -> None:
    await agent.say({"apps": apps(service("nginx:1.27"))})
    before = await kept(operator, agent)

    answer = await agent.say({"apps": wrong, "cpu_usage": 99})

    assert (answer.status, "apps" in answer.error) == (400, True), answer.error
    assert await kept(operator, agent) == before


@pytest.mark.parametrize("wrong", [7, "text", True, {}, {"web": {}}, [7], [None], [[]], ["web"]], ids=repr)
async def test_any_services_of_a_wrong_shape_are_refused_and_nothing_changes(operator: Api, agent: Agent, wrong: object) -> None:
    await agent.say({"apps": apps(service("nginx:1.27"))})
    before = await kept(operator, agent)

    answer = await agent.say({"apps": {"1001": {"services": wrong}}})

    assert (answer.status, "services" in answer.error) == (400, True), answer.error
    assert await kept(operator, agent) == before


@pytest.mark.parametrize("wrong", ["14", "", 1.5, True, [], {}, -1, 2**31, 2**63], ids=repr)
async def test_any_version_that_is_no_whole_number_is_refused_and_nothing_changes(operator: Api, agent: Agent, wrong: object) -> None:
    await agent.say({"apps": apps(service("nginx:1.27")), "version": 1})
    before = await kept(operator, agent)

    answer = await agent.say({"apps": {}, "version": wrong})

    assert (answer.status, "version" in answer.error) == (400, True), answer.error
    assert await kept(operator, agent) == before


@pytest.mark.parametrize(
    "field", ["serviceName", "serviceId", "imageName", "status", "state", "health", "serviceStatus", "error", "config", "containerId"]
)
async def test_any_field_of_a_service_may_hold_anything(agent: Agent, field: str) -> None:
    for value in STRANGE:
        body = as_json({agent.uuid: {"apps": apps(service("nginx:1.27", **{field: value}))}})
        assert (await agent.send(body)).status == 200, value


@pytest.mark.parametrize("field", INFO)
async def test_any_information_may_hold_anything(agent: Agent, field: str) -> None:
    for value in STRANGE:
        assert (await agent.send(as_json({agent.uuid: {field: value}}))).status == 200, value


async def test_any_report_in_the_middle_of_a_swap_may_lack_the_service(operator: Api, agent: Agent) -> None:
    swapping: list[Any] = [{"1001": {}}, {"1001": {"services": []}}, {"1001": {"appId": 1001, "appName": "monitoring", "services": []}}]
    for lacking in swapping:
        assert (await agent.say({"apps": lacking})).status == 200

    assert (await agent.say({"apps": apps(service("nginx:1.27"))})).status == 200
    assert (await kept(operator, agent))["apps"] == apps(service("nginx:1.27"))


async def test_a2_tells_errors_by_their_type(operator: Api, agent: Agent) -> None:
    failure = {"type": "ImagePullBackOff", "message": "manifest unknown", "timestamp": "2025-11-20T10:00:00Z", "retryCount": 3,
               "nextRetry": "2025-11-20T10:01:20Z"}  # fmt: skip
    said = apps(service("nginx:1.27", serviceStatus="error", error=failure))

    assert (await agent.squeeze({"apps": said, "version": 2})).status == 200

    assert (await kept(operator, agent))["apps"] == said


async def test_any_poll_and_any_report_shows_that_the_device_is_there(operator: Api, agent: Agent, other: Agent) -> None:
    assert [await is_seen(operator, of) for of in (agent, other)] == [False, False]

    await agent.poll()
    await other.say({})

    await eventually(lambda: is_seen(operator, agent), True, seconds=40)
    await eventually(lambda: is_seen(operator, other), True, seconds=40)


async def test_any_report_may_be_sent_without_saying_that_it_is_json(agent: Agent) -> None:
    body = orjson.dumps({agent.uuid: {"apps": {}}})
    for kind in ("text/plain", "application/octet-stream", "application/json; charset=utf-8", "nonsense"):
        assert (await agent.send(body, {"Content-Type": kind})).status == 200, kind


async def test_any_large_fleet_of_services_on_one_device_is_kept(operator: Api, agent: Agent) -> None:
    many = apps(*[service(f"registry.example/app-{n}:1", serviceName=f"s{n}", serviceId=n) for n in range(1000)])

    assert (await agent.squeeze({"apps": many, "version": 1})).status == 200
    assert (await kept(operator, agent))["apps"] == many
