"""A simulated fleet: many devices in one process, over real HTTP."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

import aiohttp

from tools.device import Behaviour, Container, Device, Fate, Identity, Timing

REGISTER_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """How many devices, and how they live; the same settings make the same fleet."""

    size: int
    poll_every: float = 60.0
    pull_seconds: tuple[float, float] = (5.0, 60.0)
    silent_share: float = 0.0
    """The share of devices that register and never poll."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class BadImages:
    """Some images exit soon after their start, each on a share of the devices; all others run well."""

    shares: Mapping[str, float]

    def __call__(self, image: str, dice: random.Random) -> Fate:
        return Fate.EXITS if dice.random() < self.shares.get(image, 0.0) else Fate.RUNS


def runs_well(image: str, dice: random.Random) -> Fate:
    """Every image does what it should."""
    return Fate.RUNS


def identities(settings: FleetSettings) -> list[Identity]:
    """Who the devices are."""
    dice = random.Random(f"{settings.seed}")
    silent = set(dice.sample(range(settings.size), round(settings.size * settings.silent_share)))
    return [Identity.made(number, dice, is_silent=number in silent) for number in range(settings.size)]


class Fleet:
    """Devices that live against one server."""

    def __init__(self, settings: FleetSettings, behaviour: Behaviour, http: aiohttp.ClientSession) -> None:
        timing = Timing(settings.poll_every, settings.pull_seconds)
        self.devices = [
            Device(who, timing, behaviour, random.Random(f"{settings.seed}/{who.number}"), http) for who in identities(settings)
        ]

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, settings: FleetSettings, behaviour: Behaviour = runs_well) -> AsyncIterator[Self]:
        """A fleet that talks to the server at `url` for as long as the block runs."""
        # No limit: devices would wait here for each other, which in the field they do not.
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(url, connector=connector, timeout=aiohttp.ClientTimeout(total=30)) as http:
            yield cls(settings, behaviour, http)

    @property
    def awake(self) -> list[Device]:
        """The devices that poll."""
        return [device for device in self.devices if not device.identity.is_silent]

    async def register(self, provisioning_key: str) -> None:
        """Let every device register, a few at a time."""
        turns = asyncio.Semaphore(REGISTER_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for device in self.devices:
                group.create_task(_in_turn(turns, device, provisioning_key))

    async def run(self) -> None:
        """Let the devices live until cancelled."""
        async with asyncio.TaskGroup() as group:
            for device in self.awake:
                group.create_task(device.run())

    def running_images(self, service: str) -> Counter[str]:
        """How many devices really run which image in this service; whoever has none, or one that exited, is not counted."""
        return Counter(container.image for container in self._containers(service) if container.status == "running")

    def exited_images(self, service: str) -> Counter[str]:
        """On how many devices which image of this service has exited."""
        return Counter(container.image for container in self._containers(service) if container.status != "running")

    def _containers(self, service: str) -> list[Container]:
        return [container for device in self.devices for (_, name), container in device.containers.items() if name == service]


async def _in_turn(turns: asyncio.Semaphore, device: Device, provisioning_key: str) -> None:
    async with turns:
        await device.register(provisioning_key)
