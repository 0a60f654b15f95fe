"""Targets: one service of a device changed, many devices changed at once, and what no agent could follow refused by field."""

from typing import Any

import pytest

from domain.errors import BadInput
from domain.fleet import Chosen, DeviceFilter
from domain.patches import Patch
from domain.targets import LARGEST, check_settings, check_size, read
from monitor.reconciler import reconcile
from resolvers import bulk, devices
from resolvers.context import Context
from resolvers.targets import set_target
from server.process import Running
from tests.api import Api, everything, mutation_of, nth, web
from tests.factories import a_policy, push
from tests.field import Field
from tools.crowd import crowd

WEB = {"app": "1001", "service": "web"}
PATCHED = "results { uuid targetVersion error { code message } } endCursor hasNextPage"


def _services(told: Any) -> dict[str, Any]:
    return {service["serviceName"]: service["config"] for app in told["apps"].values() for service in app["services"]}


async def _patched(api: Api, uuid: str, patch: Any, **more: Any) -> Any:
    told = await api.change("patchDeviceTarget", "targetState { apps version }", **{**WEB, "uuid": uuid, "patch": patch, **more})
    return told["targetState"]


async def _many_patched(api: Api, devices: Any, patch: Any, **more: Any) -> Any:
    return await api.change("patchDeviceTargets", PATCHED, **WEB, devices=devices, patch=patch, **more)


def _came(changed: Any) -> list[tuple[str, int | None, str | None]]:
    """Of each device the version of its target, or why it was left as it is."""
    return [(one["uuid"], one["targetVersion"], one["error"] and one["error"]["message"]) for one in changed["results"]]


# One service


async def test_a_patch_changes_one_service_and_leaves_the_others_as_they_are(api: Api) -> None:
    two = web("nginx:1.26")
    cache = {"serviceName": "cache", "imageName": "redis:7", "config": {"memory": "1g"}}
    two["1001"]["services"].append(cache)
    agent = await api.device(nth(1), two)

    told = await _patched(api, agent.uuid, {"image": "nginx:1.27", "config": {"environment": {"TZ": "UTC"}, "ports": None}})

    assert told["version"] == 2
    assert _services(told) == {
        "web": {"image": "nginx:1.27", "environment": {"TZ": "UTC"}},
        "cache": {"image": "redis:7", "memory": "1g"},
    }
    told = await _patched(api, agent.uuid, {"config": {"environment": {"DEBUG": 1}}})
    assert _services(told)["web"] == {"image": "nginx:1.27", "environment": {"TZ": "UTC", "DEBUG": 1}}
    assert (await agent.poll())[1]["apps"] == told["apps"] == (await api.target(agent.uuid))["apps"]


@pytest.mark.parametrize(("app", "kept"), [("7", 7), ("9" * 18, int("9" * 18)), ("9" * 19, "9" * 19), ("9" * 26, "9" * 26), ("007", "007")])
async def test_an_app_that_is_added_has_a_number_only_where_that_is_its_id(api: Api, app: str, kept: int | str) -> None:
    agent = await api.device(nth(1), web("nginx:1.26"))

    told = await _patched(api, agent.uuid, {"image": "nginx:1.27"}, app=app)

    assert told["apps"][app]["appId"] == kept


async def test_a_patch_adds_a_service_or_an_app_and_takes_them_away(api: Api) -> None:
    agent = await api.device(nth(1), web("nginx:1.26"))

    told = await _patched(api, agent.uuid, {"image": "redis:7", "config": {"restart": "always"}}, service="cache")
    assert _services(told)["cache"] == {"image": "redis:7", "restart": "always"}
    told = await _patched(api, agent.uuid, {"image": "busybox:1"}, app="2002", service="shell")
    assert told["apps"]["2002"] == {
        "appId": 2002,
        "services": [{"serviceName": "shell", "imageName": "busybox:1", "config": {"image": "busybox:1"}}],
    }
    told = await _patched(api, agent.uuid, {"remove": True}, app="2002", service="shell")
    assert list(told["apps"]) == ["1001"]
    told = await _patched(api, agent.uuid, {"remove": True})
    assert (list(_services(told)), told["version"]) == (["cache"], 5)


async def test_a_patch_that_changes_nothing_leaves_the_version_where_it_is(api: Api) -> None:
    agent = await api.device(nth(1), web("nginx:1.26"))

    for patch in ({"image": "nginx:1.26"}, {"image": "docker.io/library/nginx:1.26", "config": {"ports": ["8080:80"]}}):
        assert (await _patched(api, agent.uuid, patch))["version"] == 1


async def test_a_patch_that_makes_no_sense_is_refused_by_field_and_nothing_changes(server: Running, api: Api) -> None:
    agent = await api.device(nth(1), web("nginx:1.26"))
    before = await everything(server.db)
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"patch": {}}, "INVALID_INPUT", "give an image, a config, or both"),
        ({"patch": {"image": "nginx", "remove": True}}, "INVALID_INPUT", "or remove, alone"),
        ({"patch": {"image": "Nginx"}}, "INVALID_INPUT", "lower case"),
        ({"patch": {"config": [1]}}, "INVALID_INPUT", "patch.config must be an object"),
        ({"patch": {"config": {"image": "nginx:1.27"}}}, "INVALID_INPUT", "patch.config.image"),
        ({"patch": {"config": {"ports": ["80:99999"]}}}, "INVALID_INPUT", "apps.1001.services[0].config.ports[0]: “99999”"),
        ({"patch": {"image": "nginx:1.27"}, "service": "a b"}, "INVALID_INPUT", "service: “a b” is not a name"),
        ({"patch": {"image": "nginx:1.27"}, "app": ""}, "INVALID_INPUT", "app: “” is not a name"),
        ({"patch": {"config": {"a": 1}}, "service": "cache"}, "INVALID_INPUT", "app 1001 has no service named “cache”: give it an image"),
        ({"patch": {"remove": True}, "service": "cache"}, "NOT_FOUND", "app 1001 has no service named “cache”"),
        ({"patch": {"image": "nginx:1.27"}, "expectedVersion": 7}, "STALE_VERSION", "the target is at version 1, not 7"),
        ({"patch": {"image": "nginx:1.27"}, "uuid": nth(9)}, "NOT_FOUND", "there is no device"),
        ({"patch": {"config": {"note": "x" * LARGEST}}}, "INVALID_INPUT", "262144 is the most"),
    ]
    for more, code, words in wrong:
        refused = await api.refusal("patchDeviceTarget", **{**WEB, "uuid": agent.uuid, **more})
        assert (refused[0], words in refused[1]) == (code, True), refused
    asked = {**WEB, "uuid": agent.uuid, "patch": {"image": "nginx"}}
    assert (await api.stranger().refused(mutation_of("patchDeviceTarget", "__typename"), input=asked))[0] == "UNAUTHENTICATED"

    assert await everything(server.db) == before


async def test_only_the_service_that_is_patched_leaves_its_rollout(field: Field) -> None:
    [device] = await crowd(field.operator.db, 1)
    apps = {
        "1001": {"services": [{"serviceName": "web", "imageName": "nginx:1.0.0"}, {"serviceName": "cache", "imageName": "redis:6"}]},
    }
    uuid = await field.uuid(device)
    await set_target(field.operator, uuid, apps)
    await a_policy(field.operator, image_pattern="nginx*", update_strategy="auto")
    await a_policy(field.operator, image_pattern="redis*", update_strategy="auto")
    web_rollout, cache_rollout = await push(field.operator, "nginx:2.0.0"), await push(field.operator, "redis:7")
    await reconcile(field.operator.db)

    await bulk.patch_targets(
        field.operator, Chosen.of([uuid], None, everybody=False), Patch.of("1001", "web", "nginx:1.5.0", None, remove=False), None, 1, None
    )

    assert [*await field.statuses(web_rollout), *await field.statuses(cache_rollout)] == ["skipped", "scheduled"]
    target = await devices.target(field.operator, device)
    assert [service["imageName"] for service in target.apps["1001"]["services"]] == ["nginx:1.5.0", "redis:7"]


async def test_a_device_that_is_patched_to_run_what_is_being_rolled_out_joins_at_the_end(field: Field) -> None:
    await crowd(field.operator.db, 2)
    [late] = await crowd(field.operator.db, 1, "redis:7")
    await a_policy(field.operator)
    rollout = await push(field.operator, "nginx:2.0.0")
    await reconcile(field.operator.db)

    patch = Patch.of("1001", "www", "nginx:1.0.0", None, remove=False)
    await bulk.patch_targets(field.operator, Chosen.of([await field.uuid(late)], None, everybody=False), patch, None, 1, None)

    assert (await field.ranked(rollout))[-1] == late


# Many devices


async def test_many_devices_are_patched_page_by_page_each_whole_or_left_with_a_reason(api: Api) -> None:
    agents = await api.devices(*["nginx:1.26"] * 5)
    other = await api.device(nth(6), {"1001": {"services": [{"serviceName": "cache", "imageName": "redis:7"}]}})
    await _patched(api, agents[1].uuid, {"config": {"memory": "1g"}})
    wanted = {"devices": {"all": True}, "patch": {"config": {"memory": "2g"}}, "first": 4}

    first = await _many_patched(api, **wanted, expectedVersion=1)
    second = await _many_patched(api, **wanted, expectedVersion=1, after=first["endCursor"])

    assert (first["hasNextPage"], second["hasNextPage"], second["endCursor"]) == (True, False, None)
    told = {uuid: (version, why) for uuid, version, why in _came(first) + _came(second)}
    assert told == {agent.uuid: (2, None) for agent in agents} | {
        agents[1].uuid: (None, "the target is at version 2, not 1: read it again"),
        other.uuid: (None, "app 1001 has no service named “web”: give it an image, and it is added"),
    }
    codes = {one["uuid"]: one["error"]["code"] for one in first["results"] + second["results"] if one["error"]}
    assert codes == {agents[1].uuid: "STALE_VERSION", other.uuid: "INVALID_INPUT"}
    assert _services(await api.target(agents[1].uuid))["web"]["memory"] == "1g"
    again = await _many_patched(api, **wanted)
    assert [version for _, version, _ in _came(again)] == [2, 3, 2, 2]


async def test_devices_are_meant_by_their_uuids_each_once_also_those_that_nobody_has(api: Api) -> None:
    a, b = await api.devices("nginx:1.26", "nginx:1.26")

    changed = await _many_patched(api, {"uuids": [b.uuid, nth(9), a.uuid.upper(), a.uuid]}, {"image": "nginx:1.27"})

    assert _came(changed) == [(a.uuid, 2, None), (b.uuid, 2, None), (nth(9), None, f"there is no device {nth(9)}")]
    assert changed["results"][-1]["error"]["code"] == "NOT_FOUND"


async def test_nobody_means_all_devices_by_accident(server: Running, api: Api) -> None:
    await api.devices("nginx:1.26")
    before = await everything(server.db)
    for meant, words in (
        ({}, "give one of uuids, filter and all"),
        ({"all": True, "filter": {"fleet": "a"}}, "give one of uuids, filter and all"),
        ({"filter": {}}, "say all: true"),
        ({"filter": {"fleet": None}}, "say all: true"),
        ({"filter": {"selector": ""}}, "a selector says something"),
        ({"uuids": []}, "devices.uuids: 1 to 500"),
        ({"uuids": [nth(1)] * 501}, "devices.uuids: 1 to 500"),
    ):
        code, sentence = await api.refusal("patchDeviceTargets", **WEB, devices=meant, patch={"image": "nginx:1.27"})
        assert (code, words in sentence) == ("INVALID_INPUT", True), sentence
    for first in (0, 501):
        refused = await api.refusal("patchDeviceTargets", **WEB, devices={"all": True}, patch={"image": "nginx"}, first=first)
        assert refused == ("INVALID_INPUT", "first: 1 to 500")
    document, patch = mutation_of("patchDeviceTargets", "__typename"), {**WEB, "patch": {"image": "nginx"}}
    assert (await api.refused(document, input={**patch, "devices": {"uuids": ["press"]}}))[0] == "BAD_USER_INPUT"
    assert (await api.stranger().refused(document, input={**patch, "devices": {"all": True}}))[0] == "UNAUTHENTICATED"
    assert await everything(server.db) == before


async def test_labels_are_merged_on_many_devices_and_one_that_would_have_too_many_keeps_its_own(field: Field) -> None:
    [few] = await field.devices(1, site="berlin", old="1")
    [full] = await field.devices(1)
    labels = {f"label {number}": "" for number in range(64)}
    await devices.set_labels(field.operator, await field.uuid(full), labels)

    changed = await bulk.label(field.operator, Chosen.of(None, None, everybody=True), {"site": "paris", "tier": "edge"}, ["old"], 10, None)

    assert [str(done.refused or "") for done in changed.results] == ["", "set: at most 64 labels, and with these it would have more"]
    found = [await devices.by_id(field.operator, device) for device in (few, full)]
    assert [device and device.labels for device in found] == [{"site": "paris", "tier": "edge"}, labels]
    wrong: list[tuple[object, list[str]]] = [({}, []), (None, []), ({"": "x"}, []), ({"a": 1}, []), ([], ["old"]), ({"a": "1"}, ["a"])]
    for given, without in wrong:
        with pytest.raises(BadInput):
            await bulk.label(field.operator, Chosen.of(None, None, everybody=True), given, without, 10, None)


async def test_many_devices_are_pinned_held_and_released_by_a_filter(api: Api) -> None:
    agents = await api.devices("nginx:1.26", "nginx:1.26", fleet="plant-a")
    await api.devices("nginx:1.26", first=3)
    where = {"devices": {"filter": {"fleet": "plant-a"}}}
    until = {"until": "2030-01-01T00:00:00Z"}
    results = "results { uuid targetVersion error { message } } hasNextPage"

    async def standing() -> list[Any]:
        nodes = (await api.graphql("{ devices { nodes { aside { kind reason } } } }"))["devices"]["nodes"]
        return [node["aside"] and (node["aside"]["kind"], node["aside"]["reason"]) for node in nodes]

    nobody_refused = {"results": [{"uuid": agent.uuid, "targetVersion": None, "error": None} for agent in agents], "hasNextPage": False}
    assert await api.change("pinDevices", results, **where, reason="a fair") == nobody_refused
    assert await standing() == [("PINNED", "a fair"), ("PINNED", "a fair"), None]
    held = await api.change("holdDevices", results, **where, **until)
    assert ["release it first" in result["error"]["message"] for result in held["results"]] == [True, True]
    assert await api.change("releaseDevices", results, **where) == nobody_refused
    assert await standing() == [None, None, None]
    assert await api.change("holdDevices", results, **where, **until) == nobody_refused
    assert (await api.refusal("pinDevices", **where, reason=" "))[0] == "INVALID_INPUT"
    assert (await api.refusal("holdDevices", **where, until="2001-01-01T00:00:00Z"))[0] == "INVALID_INPUT"


async def test_a_filter_that_a_patch_makes_untrue_loses_nobody_on_the_way(operator: Context) -> None:
    await crowd(operator.db, 7)
    chosen = Chosen.of(None, DeviceFilter.of(told="nginx:1.0.0"), everybody=False)
    patch, after, changed = Patch.of("1001", "web", "nginx:1.5.0", None, remove=False), None, 0
    while True:
        portion = await bulk.patch_targets(operator, chosen, patch, None, 2, after)
        changed, after = changed + len(portion.results), portion.end
        if after is None:
            break

    assert changed == 7


# What no agent could follow


def _with(**config: Any) -> Any:
    return {"1001": {"services": [{"serviceName": "web", "imageName": "nginx", "config": config}]}}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"ports": "80:80"}, "config.ports must be a list of strings"),
        ({"ports": [80]}, "config.ports must be a list of strings"),
        ({"ports": ["8080:80", ""]}, "config.ports must be a list of strings"),
        ({"ports": ["8080:80", "a:80"]}, "config.ports[1]: “a:80” is not a port"),
        ({"ports": ["0:80"]}, "config.ports[0]: “0”: ports are numbers from 1 to 65535"),
        ({"ports": ["80:65536"]}, "“65536”: ports are numbers from 1 to 65535"),
        ({"ports": ["90-80:90-80"]}, "a range goes up"),
        ({"ports": ["8000-8002:9000-9001"]}, "has 3 ports outside and 2 inside"),
        ({"ports": ["300.0.0.1:80:80"]}, "“300.0.0.1” is not the address of a device"),
        ({"ports": ["80:80/http"]}, "is not a port"),
        ({"ports": ["80:80:80:80"]}, "is not a port"),
        ({"ports": ["٣:80"]}, "is not a port"),
        ({"ports": ["8080:80", "8080:81"]}, "config.ports[1]: port 8080/tcp of the device is taken by apps.1001.services[0]"),
        ({"ports": ["127.0.0.1:8080:80", "8080:81"]}, "port 8080/tcp of the device is taken"),
        ({"ports": ["0.0.0.0:8080:80", "10.0.0.1:8080:81"]}, "port 8080/tcp of the device is taken"),
        ({"ports": ["8000-8010:8000-8010", "8005:80"]}, "port 8005/tcp of the device is taken"),
        ({"ports": ["1-65535:1-65535"]}, "a device publishes at most 10000 ports"),
        ({"environment": ["TZ=UTC"]}, "config.environment must be an object"),
        ({"environment": {"TZ": {}}}, "config.environment.TZ must be a string, a number, true, false or null"),
        ({"environment": {"": "x"}}, "“” cannot be the name of a variable"),
        ({"environment": {"A=B": "x"}}, "“A=B” cannot be the name of a variable"),
        ({"volumes": {"a": "b"}}, "config.volumes must be a list of strings"),
        ({"networks": [None]}, "config.networks must be a list of strings"),
        ({"restart": "sometimes"}, "config.restart must be no, always, unless-stopped, on-failure or on-failure:3"),
        ({"restart": None}, "config.restart must be"),
    ],
)
def test_a_service_that_no_agent_could_run_is_refused_by_field(config: dict[str, Any], words: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(_with(**config))
    assert str(refused.value).startswith("apps.1001.services[0].config")
    assert words in str(refused.value)


def test_what_agents_can_run_passes_and_what_we_do_not_know_passes_through() -> None:
    config = {
        "ports": ["8080:80", "8080:80/udp", "127.0.0.1:9000:90/tcp", "10.0.0.1:9000:90", "[::1]:9000:90", "53", "7000-7002:7000-7002"],
        "environment": {"TZ": "UTC", "DEBUG": True, "LEVEL": 3, "RATIO": 0.5, "HOST": None},
        "volumes": ["web:/data"],
        "networks": [],
        "restart": "on-failure:3",
        "livenessProbe": {"type": "http", "port": 80},
        "gpus": "all",
    }
    apps, images = read(_with(**config))

    assert apps["1001"]["services"][0]["config"] == config
    assert list(images) == [("1001", "web")]


def test_the_same_port_on_two_services_of_a_device_is_refused_whatever_app_they_are_in() -> None:
    apps = {app: {"services": [{"serviceName": "web", "imageName": "nginx", "config": {"ports": ["80:80"]}}]} for app in ("1", "2")}

    with pytest.raises(BadInput, match=r"apps\.2\.services\[0\]\.config\.ports\[0\]: port 80/tcp of the device is taken by apps\.1\."):
        read(apps)


@pytest.mark.parametrize("name", ["a b", "-web", "é", "w" * 129, ".", "a/b"])
def test_names_that_no_container_could_have_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match=r"apps\.1001\.services\[0\]\.serviceName: .* is not a name"):
        read({"1001": {"services": [{"serviceName": name, "imageName": "nginx"}]}})
    with pytest.raises(BadInput, match=r"apps: .* is not a name"):
        read({name: {"services": []}})


def test_an_app_under_the_id_of_another_is_refused_since_agents_go_by_either() -> None:
    with pytest.raises(BadInput, match=r"apps\.1001\.appId is 5, and must be the id that it stands under"):
        read({"1001": {"appId": 5, "services": []}})
    for app in ({"appId": 1001}, {"appId": "1001"}, {}):
        assert read({"1001": {**app, "services": []}})[0]


def test_there_are_ends_to_how_much_a_device_can_be_told() -> None:
    service = [{"serviceName": f"s{number}", "imageName": "nginx"} for number in range(101)]

    with pytest.raises(BadInput, match="apps: at most 100, these are 101"):
        read({str(app): {"services": []} for app in range(101)})
    with pytest.raises(BadInput, match=r"apps\.1\.services: at most 100, these are 101"):
        read({"1": {"services": service}})
    with pytest.raises(BadInput, match="262144 is the most"):
        check_size({"1": {"note": "é" * (LARGEST // 2)}}, {})
    check_size({"1": {"note": "x" * (LARGEST - 100)}}, {})


@pytest.mark.parametrize("value", [0, 999, 2**31, -1, 1000.5, "1000", True, None])
def test_an_interval_that_no_timer_could_keep_is_refused(value: object) -> None:
    for name in ("targetStatePollIntervalMs", "reportIntervalMs", "somethingElseIntervalMs"):
        with pytest.raises(BadInput, match=rf"config\.intervals\.{name} must be a whole number of milliseconds, 1000 to 2147483647"):
            check_settings({"intervals": {name: value}})
    with pytest.raises(BadInput, match=r"config\.intervals must be an object"):
        check_settings({"intervals": value})
    assert check_settings({"intervals": {"reportIntervalMs": 1000, "note": value}, "more": value})
