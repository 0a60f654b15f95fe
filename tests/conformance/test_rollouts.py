"""A pushed image, from the webhook to what devices are told, and what their reports mean for it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest

from domain.endpoints import Sender
from tests.api import Api, eventually, image_of, web
from tests.conformance.agents import Agent, a1, a2, apps, service
from tests.conformance.conftest import FLEET
from tests.senders import Made, accepted, made

# It is good as soon as it runs, and nothing that a device says stops it.
POLICY = {"maxFailureRate": 1, "autoRollbackEnabled": False, "stagedBatches": 1, "deadlineMinutes": 60, "fleet": FLEET}


@dataclass(frozen=True, slots=True)
class Shown:
    """What a device says of its service, and where it is then: without health checks, and with them."""

    name: str
    service: dict[str, Any]
    status: str
    with_health_check: str = ""
    """The same, unless it says so."""


WAITING, DONE, FAILED = "UPDATING", "UPDATED", "FAILED"
SHOWN = [
    Shown("a1 runs the image", {"state": None}, DONE),
    Shown("a1 writes its status with a capital", {"status": "Running"}, DONE),
    Shown("a2 says state in place of status", {"status": None, "state": "running"}, DONE),
    Shown("a2 says that the service runs", {"serviceStatus": "running"}, DONE),
    Shown("a3 says that it is healthy", {"health": "healthy"}, DONE),
    Shown("a3 does not know whether it is healthy", {"health": "unknown"}, DONE),
    Shown("a3 says that it is starting", {"health": "starting"}, DONE, WAITING),
    Shown("a3 says that it is unhealthy", {"health": "unhealthy"}, DONE, "UNHEALTHY"),
    Shown("a1 still runs the old image", {"imageName": "old"}, WAITING),
    Shown("a1 runs a variant of the image", {"imageName": "variant"}, WAITING),
    Shown("a1 runs an image without a tag", {"imageName": "no tag"}, WAITING),
    Shown("a1 shows a bare image id", {"imageName": "sha256:" + "a" * 64}, WAITING),
    Shown("a1 shows an image id without its algorithm", {"imageName": "a" * 64}, WAITING),
    Shown("a1 shows no image", {"imageName": None}, WAITING),
    Shown("a1 shows an image that is none", {"imageName": "NGINX:!"}, WAITING),
    Shown("a1 shows an image in config alone", {"imageName": None, "config": {"image": "new"}}, WAITING),
    Shown("a1 shows it under another name", {"serviceName": "db"}, WAITING),
    Shown("a1 has created the container", {"status": "created"}, WAITING),
    Shown("a1 is restarting the container", {"status": "restarting"}, WAITING),
    Shown("a1 is removing the container", {"status": "removing"}, WAITING),
    Shown("a1 has paused the container", {"status": "paused"}, WAITING),
    Shown("a1 does not say how it is", {"status": None}, WAITING),
    Shown("a1 has stopped the old container", {"imageName": "old", "status": "exited"}, WAITING),
    Shown("a2 had trouble pulling once", {"imageName": "old", "error": {"type": "ErrImagePull", "message": "timeout"}}, WAITING),
    Shown("a2 cannot pull", {"imageName": "old", "error": {"type": "ImagePullBackOff", "message": "not found"}}, FAILED),
    Shown("a2 cannot start", {"status": "created", "error": {"type": "StartFailure"}}, FAILED),
    Shown("a2 crashes again and again", {"status": "restarting", "error": {"type": "CrashLoopBackOff"}}, FAILED),
    Shown("a2 says error and no more", {"serviceStatus": "error"}, FAILED),
    Shown("a1 says that the container exited", {"status": "exited"}, FAILED),
    Shown("a1 says that the container is dead", {"status": "dead"}, FAILED),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Release:
    """A repository of the test's own, whose images are pushed and rolled out."""

    operator: Api
    endpoint: Made
    repository: str

    @property
    def old(self) -> str:
        return f"{self.repository}:1.26"

    @property
    def new(self) -> str:
        return f"{self.repository}:1.27"

    async def push(self, tag: str = "1.27") -> int:
        """A registry says that the tag was pushed; the rollout that follows."""
        delivery = await accepted(self.operator, self.endpoint, {"image": self.repository, "tag": tag, "build": uuid4().hex})
        [decision] = await self.operator.decided(delivery)
        assert decision["rollout"] is not None, decision
        return int(decision["rollout"])

    async def place(self, rollout: int, agent: Agent) -> tuple[str, str | None]:
        """Where a device is in a rollout, and why."""
        answer = await self.operator.graphql(
            "query ($number: Int!) { rollout(number: $number) { devices(first: 100) { nodes { deviceUuid status reason } } } }",
            number=rollout,
        )
        [place] = [place for place in answer["rollout"]["devices"]["nodes"] if place["deviceUuid"] == agent.uuid]
        return place["status"], place["reason"]

    async def status(self, rollout: int, agent: Agent) -> str:
        return (await self.place(rollout, agent))[0]


@pytest.fixture(scope="module")
async def endpoint(operator: Api) -> AsyncIterator[Made]:
    """Where images are pushed to."""
    endpoint = await made(operator, Sender.GENERIC)
    yield endpoint
    await operator.change("deleteWebhookEndpoint", id=endpoint.id)


async def released(operator: Api, endpoint: Made, **settings: Any) -> tuple[Release, str]:
    """A repository that a policy is about, and the policy's id."""
    release = Release(operator, endpoint, f"registry.example/nginx-{uuid4().hex}")
    return release, await operator.policy(imagePattern=release.repository, **{**POLICY, **settings})


async def forget(operator: Api, policy: str) -> None:
    await operator.change("deletePolicy", id=policy)


@pytest.fixture
async def release(operator: Api, endpoint: Made) -> AsyncIterator[Release]:
    """A repository whose pushed images reach every device that runs one of them."""
    release, policy = await released(operator, endpoint)
    yield release
    await forget(operator, policy)


@pytest.fixture
async def running(release: Release, agent: Agent) -> Agent:
    """A device that runs the old image, and said so."""
    await release.operator.set_target(agent.uuid, web(release.old))
    await agent.say(a1(await image_told(agent)))
    return agent


async def image_told(agent: Agent) -> str:
    return image_of(await agent.told())


async def is_told(agent: Agent, image: str) -> None:
    """Wait until a poll tells the device of this image."""
    await eventually(lambda: image_told(agent), image)


# From the push to the device


async def test_any_device_is_told_a_pushed_image_in_both_places(release: Release, running: Agent) -> None:
    before = await running.poll()

    await release.push()
    await is_told(running, release.new)

    after = await running.poll()
    assert after.said[running.uuid]["version"] == before.said[running.uuid]["version"] + 1
    assert after.headers["ETag"] != before.headers["ETag"]


async def test_a1_that_holds_an_etag_is_answered_in_full_once_an_image_was_pushed(release: Release, running: Agent) -> None:
    held = (await running.poll()).headers["ETag"].strip('"')
    assert (await running.poll(held)).status == 304

    await release.push()
    await is_told(running, release.new)

    answer = await running.poll(held)
    assert (answer.status, image_of(answer.said[running.uuid])) == (200, release.new)


async def test_any_device_that_knows_of_the_pushed_image_is_told_304(release: Release, running: Agent) -> None:
    await release.push()
    await is_told(running, release.new)
    held = (await running.poll()).headers["ETag"]

    await running.say(a1(release.new))

    assert (await running.poll(held)).status == 304


async def test_any_setting_beside_the_image_stays_as_it_was(release: Release, running: Agent) -> None:
    before = await running.told()

    await release.push()
    await is_told(running, release.new)

    after = await running.told()
    for told in (before, after):
        told.pop("version")
        told["config"].pop("intervals", None)  # shorter while a rollout goes on
        told["apps"]["1001"]["services"][0].update(imageName="", config={**told["apps"]["1001"]["services"][0]["config"], "image": ""})
    assert after == before


async def test_any_device_that_runs_something_else_is_told_nothing_new(release: Release, running: Agent, other: Agent) -> None:
    await release.operator.set_target(other.uuid, web("registry.example/redis:7"))
    held = (await other.poll()).headers["ETag"]

    await release.push()
    await is_told(running, release.new)

    assert (await other.poll(held)).status == 304


async def test_any_push_told_again_changes_nothing(release: Release, running: Agent) -> None:
    rollout = await release.push()
    await is_told(running, release.new)
    version = (await running.told())["version"]

    again = await release.push()

    assert again == rollout
    assert (await running.told())["version"] == version


async def test_a1_takes_part_from_beginning_to_end(release: Release, running: Agent) -> None:
    rollout = await release.push()
    await is_told(running, release.new)

    for image, status in ((release.old, WAITING), (release.new, DONE)):
        assert (await running.say(a1(image))).status == 200
        assert await release.status(rollout, running) == status


async def test_a2_takes_part_from_beginning_to_end(release: Release, running: Agent) -> None:
    rollout = await release.push()
    await is_told(running, release.new)
    version = (await running.told())["version"]

    for image, status in ((release.old, WAITING), (release.new, DONE)):
        assert (await running.squeeze(a2(image, version))).status == 200
        assert await release.status(rollout, running) == status


async def test_any_version_proves_nothing(release: Release, running: Agent) -> None:
    rollout = await release.push()
    await is_told(running, release.new)
    version = (await running.told())["version"]

    await running.squeeze({"version": version})
    await running.squeeze(a2(release.old, version))

    assert await release.status(rollout, running) == WAITING


async def test_a2_that_flushes_old_reports_does_not_fall_back(release: Release, running: Agent) -> None:
    rollout = await release.push()
    await is_told(running, release.new)
    await running.squeeze(a2(release.new, (await running.told())["version"]))

    for old in (service(release.old), service(release.new, status="exited"), service(release.new, error={"type": "CrashLoopBackOff"})):
        assert (await running.squeeze({"apps": apps(old)})).status == 200

    assert await release.status(rollout, running) == DONE


async def test_any_service_missing_from_a_report_is_being_swapped(release: Release, running: Agent) -> None:
    rollout = await release.push()
    await is_told(running, release.new)

    lacking: list[Any] = [{}, [], {"1001": {}}, {"1001": {"services": []}}, {"2002": apps(service(release.new))["1001"]}]
    for swapping in lacking:
        await running.say({"apps": swapping})
        assert await release.status(rollout, running) == WAITING, swapping

    await running.say(a1(release.new))
    assert await release.status(rollout, running) == DONE


async def test_any_failure_is_told_in_the_devices_own_words(release: Release, running: Agent) -> None:
    rollout = await release.push()
    await is_told(running, release.new)

    await running.say({"apps": apps(service(release.old, error={"type": "ImagePullBackOff", "message": "manifest unknown"}))})

    status, reason = await release.place(rollout, running)
    assert (status, reason) == (FAILED, "web: cannot pull the image (ImagePullBackOff: manifest unknown)")


async def test_any_device_may_fail_and_come_to_run_well(release: Release, running: Agent) -> None:
    rollout = await release.push()
    await is_told(running, release.new)

    for state, status in (("exited", FAILED), ("running", DONE)):
        await running.say({"apps": apps(service(release.new, status=state))})
        assert await release.status(rollout, running) == status


async def test_any_rollback_tells_the_image_the_device_had_and_a_higher_version(release: Release, running: Agent) -> None:
    rollout = await release.push()
    await is_told(running, release.new)
    version = (await running.told())["version"]
    held = (await running.poll()).headers["ETag"]

    await release.operator.request("rollBack", rollout)
    await is_told(running, release.old)

    answer = await running.poll(held)
    assert (answer.status, answer.said[running.uuid]["version"]) == (200, version + 1)


async def test_any_device_that_shows_the_image_has_taken_it_even_if_no_poll_was_seen(release: Release, agent: Agent) -> None:
    await release.operator.set_target(agent.uuid, web(release.old))
    rollout = await release.push()
    await eventually(lambda: release.operator.image(agent.uuid), release.new)

    await agent.say(a1(release.new))

    assert await release.status(rollout, agent) == DONE


async def test_every_service_of_the_image_must_run_it(release: Release, agent: Agent) -> None:
    services = [{"serviceName": name, "imageName": release.old} for name in ("web", "proxy")]
    beside = [{"serviceId": 7, "imageName": "registry.example/redis:7"}]
    await release.operator.set_target(agent.uuid, {"1": {"services": services}, "2": {"services": beside}})
    rollout = await release.push()
    await eventually(lambda: _first_image(agent), release.new)

    for web_runs, proxy_runs, status in (
        (release.new, release.old, WAITING),
        (release.old, release.new, WAITING),
        (release.new, release.new, DONE),
    ):
        shown = [service(web_runs), service(proxy_runs, serviceName="proxy")]
        await agent.say({"apps": {"1": {"services": shown}}})
        assert await release.status(rollout, agent) == status


async def _first_image(agent: Agent) -> str:
    return str((await agent.told())["apps"]["1"]["services"][0]["imageName"])


# What a report shows: one rollout, a device for each thing to show


@dataclass(frozen=True, slots=True)
class Offered:
    """Devices that were told the new image in one rollout."""

    release: Release
    rollout: int
    agents: list[Agent]
    health_check: bool


@pytest.fixture(scope="module", params=[False, True], ids=["without_health_checks", "with_health_checks"])
async def offered(operator: Api, endpoint: Made, request: pytest.FixtureRequest) -> AsyncIterator[Offered]:
    """A device for each of SHOWN."""
    release, policy = await released(operator, endpoint, healthCheckEnabled=request.param, soakMinutes=60)
    agents = [await enrolled(release) for _ in SHOWN]
    rollout = await release.push()
    await asyncio.gather(*[is_told(agent, release.new) for agent in agents])
    yield Offered(release, rollout, agents, request.param)
    await forget(operator, policy)


async def enrolled(release: Release) -> Agent:
    """A device that is to run the old image."""
    agent = Agent.new(release.operator.http)
    assert (await agent.register(await release.operator.provisioning_key(FLEET))).status == 200
    await release.operator.set_target(agent.uuid, web(release.old))
    return agent


def written(shown: Any, release: Release) -> Any:
    """What SHOWN says, with the images of this release."""
    images = {"old": release.old, "new": release.new, "variant": f"{release.new}-alpine", "no tag": release.repository}
    if isinstance(shown, dict):
        return {name: written(value, release) for name, value in shown.items()}
    return images.get(shown, shown) if isinstance(shown, str) else shown


@pytest.mark.parametrize("number", range(len(SHOWN)), ids=[shown.name.replace(" ", "_") for shown in SHOWN])
async def test_the_running_image_decides(offered: Offered, number: int) -> None:
    shown, agent, release = SHOWN[number], offered.agents[number], offered.release

    answer = await agent.say({"apps": apps(service(release.new) | written(shown.service, release)), "version": 2})

    assert answer.status == 200
    wanted = shown.with_health_check if offered.health_check and shown.with_health_check else shown.status
    assert await release.status(offered.rollout, agent) == wanted
