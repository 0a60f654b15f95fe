"""A rollout to follow, and what clients ask to follow it."""

import base64
from typing import Any

from tests.api import Agent, Api, eventually

ROLLOUTS = "{ rollouts { nodes { status } } }"
PROGRESS = "subscription ($id: ID!) { rolloutProgress(id: $id) { status } }"
EVENTS = "subscription ($id: ID!, $after: String) { rolloutEvents(id: $id, after: $after) { cursor } }"
UNKNOWN = base64.urlsafe_b64encode(b"Rollout:999").decode().rstrip("=")
NOT_GRAPHQL = "{ rollouts {"
NO_SUCH_FIELD = "subscription { nonsense }"


def status(told: Any) -> str:
    """What a client tells of the progress."""
    return str(told["data"]["rolloutProgress"]["status"])


def cursor(told: Any) -> str:
    """Where the event is that a client tells of."""
    return str(told["data"]["rolloutEvents"]["cursor"])


class Story:
    """A rollout under way, whose devices wait for a word of the test's."""

    def __init__(self, api: Api, rollout: str, devices: list[Agent]) -> None:
        self.api = api
        self.rollout = rollout
        self._devices = devices

    @classmethod
    async def begun(cls, api: Api) -> "Story":
        """A rollout to three devices at once."""
        devices = await api.devices(*["nginx:1.26"] * 3)
        await api.policy()
        await api.push("nginx:1.27")
        story = cls(api, await _the_rollout(api), devices)
        await eventually(story.status, "IN_PROGRESS")
        return story

    async def ends(self) -> list[str]:
        """Every device runs the image; returns the cursors of all that happened, in order."""
        for device in self._devices:
            await eventually(device.obey, "nginx:1.27")  # polls are answered from memory, which may know of it a moment later
        await eventually(self.status, "COMPLETED")
        return await self._happened()

    async def status(self) -> Any:
        """Where the rollout is in its life."""
        answer = await self.api.graphql("query ($id: ID!) { rollout(id: $id) { status } }", id=self.rollout)
        return answer["rollout"]["status"]

    async def _happened(self) -> list[str]:
        asked = "query ($id: ID!) { rollout(id: $id) { events(first: 100) { nodes { cursor } } } }"
        answer = await self.api.graphql(asked, id=self.rollout)
        return [event["cursor"] for event in answer["rollout"]["events"]["nodes"]]


async def _the_rollout(api: Api) -> str:
    [rollout] = (await api.graphql("{ rollouts { nodes { id } } }"))["rollouts"]["nodes"]
    return str(rollout["id"])
