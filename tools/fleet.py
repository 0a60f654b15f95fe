"""A simulated fleet: many devices in one process, over real HTTP."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Self

import aiohttp

from tools.device import Behaviour, Device, Identity
from tools.docker import Container, Timing
from tools.line import KEEP_ALIVE
from tools.modes import Fate, Mode, dealt

REGISTER_AT_ONCE = 20


@dataclass(frozen=True, slots=True)
class FleetSettings:
    """How many devices, and how they live; the same settings make the same fleet."""

    size: int
    poll_every: float = 60.0
    pull_seconds: tuple[float, float] = (5.0, 60.0)
    soak: float = 60.0
    deadline: float = 1800.0
    """The policy's, as is the soak time: what some devices do wrong is measured by them."""
    shares: Mapping[Mode, float] = field(default_factory=dict)
    """Which share of the devices has which mode."""
    obedient_share: float = 0.0
    """The share of agents of 2026, which poll as often as the server says."""
    connections: int = 0
    """How many the devices share; 0: as many as they need."""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class BadImages:
    """Some images exit soon after their start, each on a share of the devices; all others run well."""

    shares: Mapping[str, float]

    def __call__(self, who: Identity, image: str, dice: random.Random) -> Fate:
        return Fate.EXITS if dice.random() < self.shares.get(image, 0.0) else Fate.RUNS


def runs_well(who: Identity, image: str, dice: random.Random) -> Fate:
    """Every image does what it should."""
    return Fate.RUNS


def identities(settings: FleetSettings) -> list[Identity]:
    """Who the devices are."""
    dice = random.Random(f"{settings.seed}")
    obedient = set(random.Random(f"{settings.seed}/obedient").sample(range(settings.size), round(settings.size * settings.obedient_share)))
    hands = dealt(settings.shares, settings.size, settings.seed)
    return [Identity.made(number, dice, modes, obeys_intervals=number in obedient) for number, modes in enumerate(hands)]


@dataclass(slots=True)
class Queue:
    """How long requests waited for one of the shared connections."""

    requests: int = 0
    waits: list[float] = field(default_factory=list)
    """In seconds, of those that had to wait."""

    def watched(self) -> aiohttp.TraceConfig:
        """What makes aiohttp tell."""
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._count)
        trace.on_connection_queued_start.append(self._begin)
        trace.on_connection_queued_end.append(self._end)
        return trace

    async def _count(self, _: aiohttp.ClientSession, request: SimpleNamespace, __: aiohttp.TraceRequestStartParams) -> None:
        self.requests += 1

    async def _begin(self, _: aiohttp.ClientSession, request: SimpleNamespace, __: aiohttp.TraceConnectionQueuedStartParams) -> None:
        request.queued_at = time.perf_counter()

    async def _end(self, _: aiohttp.ClientSession, request: SimpleNamespace, __: aiohttp.TraceConnectionQueuedEndParams) -> None:
        self.waits.append(time.perf_counter() - request.queued_at)


class Fleet:
    """Devices that live against one server."""

    def __init__(self, settings: FleetSettings, behaviour: Behaviour, http: aiohttp.ClientSession, queue: Queue) -> None:
        timing = Timing(settings.poll_every, settings.pull_seconds, settings.soak, settings.deadline)
        self.queue = queue
        self.devices = [
            Device(who, timing, behaviour, random.Random(f"{settings.seed}/{who.number}"), http) for who in identities(settings)
        ]

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, settings: FleetSettings, behaviour: Behaviour = runs_well) -> AsyncIterator[Self]:
        """A fleet that talks to the server at `url` for as long as the block runs."""
        connector, queue = aiohttp.TCPConnector(limit=settings.connections, keepalive_timeout=KEEP_ALIVE), Queue()
        timeout = aiohttp.ClientTimeout(total=30)
        async with aiohttp.ClientSession(url, connector=connector, timeout=timeout, trace_configs=[queue.watched()]) as http:
            yield cls(settings, behaviour, http, queue)

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
