"""A registry, the Rollwave that may ask it and hears of it, and devices that run what it keeps."""

import asyncio
from collections.abc import Sequence
from typing import Any

from domain.registries import Credentials
from live.registry import Registry
from tests.api import Agent, Api, eventually, flat
from tests.clock import MovableClock

_OURS = {"name": "ours", "sender": "DISTRIBUTION", "scheme": "HEADER"}
_PUSHES = """{ pushes { nodes {
  image { reference } resolved { reference } source waitsFor dueAt
  decisions { image { reference } started rollout { number } sentence }
} } }"""
_TRIED = """query ($policy: ID!, $image: ImageReference!) { testPolicy(policy: $policy, image: $image) {
  ... on PolicyTest { image { reference } wouldStart waits why tags { tag whyNot } }
  ... on Error { refused: code message }
} }"""


class Site:
    """All of it; nothing runs but Rollwave until it opens."""

    def __init__(self, api: Api, registry: Registry, clock: MovableClock) -> None:
        self.api, self.registry, self.clock = api, registry, clock
        self.endpoint = ""

    async def open(self, *, tells: bool = True, is_known: bool = True) -> None:
        """Start the registry: by default it tells Rollwave of everything, and may be asked."""
        if tells:
            made = await self.api.change("createWebhookEndpoint", "secret webhookEndpoint { id path }", **_OURS)
            self.endpoint = made["webhookEndpoint"]["id"]
            self.registry.tells(self.api.url + made["webhookEndpoint"]["path"], f"Bearer {made['secret']}")
        if is_known:
            await self.may_ask()
        await self.registry.start()

    async def may_ask(self, credentials: Credentials | None = None) -> None:
        """Let the registry be asked."""
        proof = {} if credentials is None else {"username": credentials.username, "password": credentials.password}
        await self.api.change("setRegistry", host=self.registry.host, plainHttp=True, **proof)

    def image(self, tag: str, digest: str | None = None) -> str:
        """An image that the registry keeps, as a device is told it."""
        return f"{self.registry.repository}:{tag}" + (f"@{digest}" if digest else "")

    async def policy(self, **settings: Any) -> str:
        """A policy for what the registry keeps: in three batches, good as soon as it runs."""
        wanted = {"imagePattern": f"{self.registry.host}/**", "updateStrategy": "STAGED", "batchDelayMinutes": 0, **settings}
        return await self.api.policy(**wanted)

    async def devices(self, count: int = 1, tag: str = "1.0.0") -> list[Agent]:
        """Devices that run an image of the registry's."""
        return await self.api.devices(*[self.image(tag)] * count)

    async def labelled(self, *platforms: str) -> list[Agent]:
        """A device for each platform."""
        devices = await self.devices(len(platforms))
        for device, platform in zip(devices, platforms, strict=True):
            await self.api.change("setDeviceLabels", uuid=device.uuid, labels={"platform": platform})
        return devices

    async def rollouts(self) -> list[str]:
        """The image of each rollout, oldest first."""
        nodes = (await self.api.graphql("{ rollouts { nodes { image { reference } } } }"))["rollouts"]["nodes"]
        return [str(node["image"]["reference"]) for node in reversed(nodes)]

    async def completed(self, devices: Sequence[Agent], number: int = 1) -> set[str]:
        """Have devices obey until a rollout is completed; returns what they run."""
        async with asyncio.timeout(20):
            while await self.api.status(number) != "COMPLETED":
                await asyncio.gather(*(device.obey() for device in devices))
                await asyncio.sleep(0.05)
        return {await device.obey() for device in devices}

    async def pushes(self) -> list[Any]:
        """Every push that Rollwave heard of, oldest first."""
        return list(reversed(flat(await self.api.graphql(_PUSHES))["pushes"]["nodes"]))

    async def heard(self, count: int) -> list[Any]:
        """What was decided last about each push, once there are so many and all are decided."""

        async def known() -> tuple[int, int]:
            pushes = await self.pushes()
            return len(pushes), sum(push["dueAt"] is not None for push in pushes)

        await eventually(known, (count, 0))
        return [push["decisions"][-1] for push in await self.pushes()]

    async def waits_for(self) -> str | None:
        """What the newest push waits for."""
        waits_for: str | None = (await self.pushes())[-1]["waitsFor"]
        return waits_for

    async def tried(self, policy: str) -> Any:
        """What a policy would make of what the registry keeps."""
        return flat(await self.api.graphql(_TRIED, policy=policy, image=self.registry.repository))["testPolicy"]

    async def says(self, tag: str) -> None:
        """Somebody posts that a tag was pushed, without its digest."""
        status, answer = await self.api.webhook({"image": self.registry.repository, "tag": tag})
        assert status == 202, answer
