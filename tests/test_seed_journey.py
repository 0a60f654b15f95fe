"""The test of the document this system was asked for with, over HTTP and GraphQL, to the end that it never reached."""

from typing import Any

import pytest

from tests.api import Agent, Api, eventually, web
from tests.clock import MovableClock

SEED = "7838cecf-567c-4d54-9e48-62b4471df6bd"
OTHERS = [f"00000000-0000-4000-8000-{number:012}" for number in range(9)]
WEBHOOK = {"repository": {"repo_name": "nginx"}, "push_data": {"tag": "latest"}}

POLICY: dict[str, Any] = {
    "imagePattern": "nginx*", "updateStrategy": "STAGED", "stagedBatches": 3, "batchDelayMinutes": 1, "soakMinutes": 2,
    "autoRollbackEnabled": True, "maxFailureRate": 0.2, "enabled": True,
}  # fmt: skip


class Story:
    """One policy, the seed's device, nine more, and the clock."""

    def __init__(self, api: Api, clock: MovableClock, seed: Agent, others: list[Agent]) -> None:
        self.api, self.clock, self.seed, self.others = api, clock, seed, others

    async def status(self) -> str:
        rollouts = (await self.api.graphql("{ rollouts { nodes { status } } }"))["rollouts"]["nodes"]
        return str(rollouts[0]["status"]) if len(rollouts) == 1 else f"{len(rollouts)} rollouts"

    async def offered(self) -> int:
        nodes = (await self.api.graphql("{ rollouts { nodes { offeredDevices } } }"))["rollouts"]["nodes"]
        return sum(int(node["offeredDevices"]) for node in nodes)

    async def batches_done(self) -> int:
        return (await self.events()).count("image.batch_completed")

    async def device(self) -> Any:
        answer = await self.api.graphql(
            """query ($uuid: UUID!) { device(uuid: $uuid) {
                 targetState { version apps }
                 rollouts { nodes { status batchNumber scheduledAt rollout { number } } }
               } }""",
            uuid=SEED,
        )
        return answer["device"]

    async def device_status(self) -> str:
        return str((await self.device())["rollouts"]["nodes"][0]["status"])

    async def events(self) -> list[str]:
        answer = await self.api.graphql("{ rollout(number: 1) { events(first: 100) { nodes { name } } } }")
        return [event["name"] for event in answer["rollout"]["events"]["nodes"]]


async def _story(api: Api, clock: MovableClock, *, health_check: bool) -> Story:
    seed = await api.device(SEED)
    for _ in range(13):
        await api.set_target(SEED, web("nginx:alpine"))
    others = [await api.device(uuid, web("nginx:alpine")) for uuid in OTHERS]
    await seed.obey()  # of ten devices it alone is awake, and so the first in rank
    await api.seen(SEED)
    await api.change("createPolicy", **POLICY, healthCheckEnabled=health_check)
    answers = [await api.webhook(WEBHOOK) for _ in range(3)]
    assert [status for status, _ in answers] == [202, 202, 202]
    story = Story(api, clock, seed, others)
    await eventually(story.offered, 1)
    return story


async def test_three_webhooks_start_one_rollout_and_the_first_batch_is_scheduled(api: Api, clock: MovableClock) -> None:
    story = await _story(api, clock, health_check=False)

    device = await story.device()
    service = device["targetState"]["apps"]["1001"]["services"][0]
    [place] = device["rollouts"]["nodes"]

    assert await story.status() == "IN_PROGRESS"
    assert (place["status"], place["batchNumber"]) == ("SCHEDULED", 1)
    assert place["scheduledAt"] is not None
    assert (service["imageName"], service["config"]["image"]) == ("nginx:latest", "nginx:latest")
    assert device["targetState"]["version"] == 14
    happened = await story.events()
    for event in ("image.webhook_received", "image.rollout_created", "image.batch_started", "image.device_scheduled"):
        assert event in happened


async def test_the_poll_tells_the_new_image_once_and_then_304(api: Api, clock: MovableClock) -> None:
    story = await _story(api, clock, health_check=False)

    status, body = await story.seed.poll()
    held = story.seed.etag
    again, _ = await story.seed.poll()

    assert (status, body["version"], body["apps"]["1001"]["services"][0]["imageName"]) == (200, 14, "nginx:latest")
    assert held is not None
    assert (again, story.seed.etag) == (304, held)


async def test_every_batch_opens_when_the_one_before_has_proved_itself(api: Api, clock: MovableClock) -> None:
    story = await _story(api, clock, health_check=False)

    await story.seed.obey()
    assert await story.device_status() == "UPDATED"
    await eventually(story.batches_done, 1)
    clock.advance(seconds=50)
    assert await story.offered() == 1
    clock.advance(seconds=10)
    await eventually(story.offered, 5)
    for agent in story.others:
        await agent.obey()
    await eventually(story.batches_done, 2)
    clock.advance(minutes=1)
    await eventually(story.offered, 10)
    for agent in story.others:
        await agent.obey()

    await eventually(story.status, "COMPLETED")
    assert {await agent.obey() for agent in [story.seed, *story.others]} == {"nginx:latest"}
    assert (await story.events()).count("image.batch_started") == 3


async def test_with_health_checks_a_device_is_healthy_after_the_soak(api: Api, clock: MovableClock) -> None:
    story = await _story(api, clock, health_check=True)

    await story.seed.obey()
    assert await story.device_status() == "UPDATED"
    clock.advance(minutes=2)

    assert await story.device_status() == "HEALTHY"
    await eventually(story.batches_done, 1)
    clock.advance(minutes=1)
    await eventually(story.offered, 5)
    assert "image.health_check_passed" in await story.events()


@pytest.mark.parametrize("health_check", [False, True])
async def test_a_device_that_fails_takes_everybody_back_to_their_own_image(api: Api, clock: MovableClock, health_check: bool) -> None:
    story = await _story(api, clock, health_check=health_check)

    await story.seed.poll()
    await story.seed.report("nginx:latest", status="exited")
    await eventually(story.status, "ROLLING_BACK")
    assert await story.seed.obey() == "nginx:alpine"
    await eventually(story.status, "ROLLED_BACK")

    device = await story.device()
    assert (device["targetState"]["version"], device["rollouts"]["nodes"][0]["status"]) == (15, "ROLLED_BACK")
    assert "blocked" in (await api.told(WEBHOOK))[-1]["sentence"]
    assert await story.status() == "ROLLED_BACK"
