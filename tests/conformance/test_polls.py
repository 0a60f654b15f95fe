"""GET /api/v1/device/{uuid}/state: an envelope that agents of every generation understand."""

import asyncio
from typing import Any

import pytest

from tests.api import Api
from tests.conformance.agents import Agent

TELLING = {"apps", "config", "version", "needs_deployment", "last_deployed_at"}


def wanted(**service: Any) -> dict[str, Any]:
    """The apps of an operator who wants one service."""
    return {"1001": {"appId": 1001, "appName": "monitoring", "services": [{"serviceId": 7, "serviceName": "web", **service}]}}


async def told_of(operator: Api, agent: Agent, apps: Any) -> Any:
    """The one service that the device is told of when an operator wants this."""
    await operator.set_target(agent.uuid, apps)
    [service] = (await agent.told())["apps"]["1001"]["services"]
    return service


async def test_any_answer_is_keyed_by_the_devices_uuid_alone(agent: Agent) -> None:
    answer = await agent.poll()

    assert answer.status == 200
    assert list(answer.said) == [agent.uuid]


async def test_any_uuid_in_capitals_is_answered_in_capitals(operator: Api, agent: Agent) -> None:
    await operator.set_target(agent.uuid, wanted(imageName="nginx:1.27"))
    quiet = await agent.told()
    agent.uuid = agent.uuid.upper()

    assert await agent.told() == quiet


async def test_any_uuid_without_hyphens_is_answered_without_them(agent: Agent) -> None:
    agent.uuid = agent.uuid.replace("-", "")

    assert list((await agent.poll()).said) == [agent.uuid]


async def test_a1_is_told_apps_as_a_map(operator: Api, agent: Agent) -> None:
    await operator.set_target(agent.uuid, wanted(imageName="nginx:1.27"))

    told = await agent.told()

    assert told["apps"] == wanted(imageName="nginx:1.27", config={"image": "nginx:1.27"})


async def test_a2_is_told_a_version_and_that_nothing_waits_to_be_deployed(agent: Agent) -> None:
    told = await agent.told()

    assert set(told) == TELLING
    assert isinstance(told["version"], int)
    assert isinstance(told["config"], dict)
    assert (told["needs_deployment"], told["last_deployed_at"]) == (False, None)


@pytest.mark.parametrize(
    "service",
    [
        {"imageName": "nginx:1.27"},
        {"config": {"image": "nginx:1.27"}},
        {"image": "nginx:1.27"},
        {"imageName": "nginx:1.27", "config": {"image": "nginx:1.27"}},
        {"imageName": "nginx:1.27", "image": "nginx:1.27", "config": {"image": "nginx:1.27"}},
        {"imageName": "docker.io/library/nginx:1.27"},
    ],
    ids=["imageName", "config.image", "image", "both", "all three", "in full"],
)
async def test_any_image_is_told_in_both_places_wherever_an_operator_wrote_it(operator: Api, agent: Agent, service: dict[str, Any]) -> None:
    told = await told_of(operator, agent, wanted(**service))

    assert told["imageName"] == told["config"]["image"]
    assert told["imageName"].endswith("nginx:1.27")
    assert "image" not in told


async def test_any_apps_that_an_operator_gave_as_an_array_are_told_as_a_map(operator: Api, agent: Agent) -> None:
    apps = list(wanted(imageName="nginx:1.27").values())

    assert (await told_of(operator, agent, apps))["imageName"] == "nginx:1.27"


async def test_any_setting_of_a_service_arrives_as_it_was_given(operator: Api, agent: Agent) -> None:
    config = {
        "ports": ["8080:80", "9090"], "environment": {"TZ": "UTC", "NAME": "Drückwerk \U0001f680", "EMPTY": ""}, "volumes": ["web:/data"],
        "networks": ["front"], "restart": "unless-stopped", "labels": {"a": None}, "cpu": 0.5, "nested": [[{"deep": [True, False]}]],
        "livenessProbe": {"type": "http", "path": "/healthz", "port": 80, "periodSeconds": 10, "failureThreshold": 3},
    }  # fmt: skip

    told = await told_of(operator, agent, wanted(imageName="nginx:1.27", config=config, extra={"kept": 1}))

    assert told["config"] == {**config, "image": "nginx:1.27"}
    assert told["extra"] == {"kept": 1}


async def test_any_number_of_apps_and_services_is_told(operator: Api, agent: Agent) -> None:
    apps = {
        str(app): {"appId": app, "services": [{"serviceName": f"s{n}", "imageName": f"nginx:1.{n}"} for n in range(3)]}
        for app in (1001, 1002)
    }
    await operator.set_target(agent.uuid, apps)

    told = (await agent.told())["apps"]

    assert [service["imageName"] for app in ("1001", "1002") for service in told[app]["services"]] == 2 * [
        "nginx:1.0",
        "nginx:1.1",
        "nginx:1.2",
    ]


async def test_any_image_by_digest_is_told_with_it(operator: Api, agent: Agent) -> None:
    image = f"registry.example:5000/acme/app:1.4@sha256:{'a' * 64}"

    assert (await told_of(operator, agent, wanted(imageName=image)))["imageName"] == image


async def test_any_change_raises_the_version_by_one(operator: Api, agent: Agent) -> None:
    versions = [(await agent.told())["version"]]
    for image in ("nginx:1.26", "nginx:1.27", "nginx:1.26"):
        await operator.set_target(agent.uuid, wanted(imageName=image))
        versions.append((await agent.told())["version"])

    assert versions == list(range(versions[0], versions[0] + 4))


async def test_any_poll_leaves_the_version_as_it_is(agent: Agent) -> None:
    assert len({(await agent.told())["version"] for _ in range(3)}) == 1


async def test_any_device_is_told_its_own_target_and_nobody_elses(operator: Api, agent: Agent, other: Agent) -> None:
    await operator.set_target(agent.uuid, wanted(imageName="nginx:1.27"))
    await operator.set_target(other.uuid, wanted(imageName="redis:7"))

    assert (await agent.told())["apps"]["1001"]["services"][0]["imageName"] == "nginx:1.27"
    assert (await other.told())["apps"]["1001"]["services"][0]["imageName"] == "redis:7"


async def test_any_target_taken_away_is_told_as_no_apps(operator: Api, agent: Agent) -> None:
    await operator.set_target(agent.uuid, wanted(imageName="nginx:1.27"))
    await operator.set_target(agent.uuid, {})

    assert (await agent.told())["apps"] == {}


async def test_any_answer_is_json_and_kept_by_no_cache_on_the_way(agent: Agent) -> None:
    answer = await agent.poll()

    assert answer.headers["Content-Type"] == "application/json"
    assert {"private", "no-cache"} <= {word.strip() for word in answer.headers["Cache-Control"].split(",")}


async def test_any_poll_may_bring_a_query_and_headers_that_mean_nothing(agent: Agent) -> None:
    answer = await agent.ask(
        "GET", f"/api/v1/device/{agent.uuid}/state?t=1&uuid=other", headers={**agent.proof, "Accept": "text/html", "X-Mode": "a" * 500}
    )

    assert answer.status == 200


async def test_any_poll_may_bring_a_body(agent: Agent) -> None:
    answer = await agent.ask("GET", f"/api/v1/device/{agent.uuid}/state", b"{}", {**agent.proof, "Content-Type": "application/json"})

    assert answer.status == 200


async def test_any_head_is_answered_like_a_poll_without_its_body(agent: Agent) -> None:
    polled = await agent.poll()

    asked = await agent.ask("HEAD", f"/api/v1/device/{agent.uuid}/state", headers=agent.proof)

    assert (asked.status, asked.body, asked.headers["ETag"]) == (200, b"", polled.headers["ETag"])


async def test_any_polls_at_once_are_answered_alike(agent: Agent) -> None:
    answers = await asyncio.gather(*[agent.poll() for _ in range(10)])

    assert len({(answer.status, answer.body, answer.headers["ETag"]) for answer in answers}) == 1
