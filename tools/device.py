"""One simulated device: a small state machine that does over HTTP what the agent of November 2025 does on a real one."""

import asyncio
import gzip
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import aiohttp
import orjson

# The real agent's times, in seconds; a demo that polls twenty times as often shortens them twenty-fold.
POLL_EVERY = 60.0
METRICS_EVERY = 300.0
FIRST_BACKOFF, LONGEST_BACKOFF, BACKOFF_SPREAD = 15.0, 900.0, 0.3
# The real agent polls without jitter, so a fleet stays in step after a power cut; ours would come in step with the server's loops.
POLL_SPREAD = 0.1

ServiceKey = tuple[str, str]
"""(app id, service name)"""


class Fate(StrEnum):
    """What becomes of a container after its start."""

    RUNS = "runs"
    EXITS = "exits"


Behaviour = Callable[[str, random.Random], Fate]
"""Decides what an image does on one device."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device makes of itself before it talks to anybody."""

    number: int
    uuid: str
    key: str
    is_silent: bool
    """Registered, then switched off: it never polls."""

    @classmethod
    def made(cls, number: int, dice: random.Random, *, is_silent: bool) -> "Identity":
        """A uuid v4 and a key of 64 hex digits, as the agents make them."""
        return cls(number, str(uuid.UUID(int=dice.getrandbits(128), version=4)), dice.randbytes(32).hex(), is_silent)

    @property
    def name(self) -> str:
        return f"press-{self.number + 1:04}"


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast a device lives."""

    poll_every: float
    pull_seconds: tuple[float, float]
    swap_seconds: tuple[float, float] = (0.1, 0.4)
    """How long the service is missing while its container is replaced."""
    exit_seconds: tuple[float, float] = (0.3, 1.5)
    """How long a bad image runs before it exits."""

    @property
    def pace(self) -> float:
        """What a second of the real agent lasts here."""
        return self.poll_every / POLL_EVERY


@dataclass(frozen=True, slots=True)
class Container:
    """What Docker would show on the device."""

    id: str
    image: str
    status: str = "running"


def backoff(failures: int, dice: random.Random) -> float:
    """How long the agent waits after so many failures in a row: 15 s, doubled each time up to 15 min, give or take 30 %."""
    doubled: float = min(FIRST_BACKOFF * 2 ** min(failures - 1, 30), LONGEST_BACKOFF)
    return doubled * dice.uniform(1 - BACKOFF_SPREAD, 1 + BACKOFF_SPREAD)


class Device:
    """Polls, pulls, swaps and reports, each in its own time, and knows what it really runs."""

    def __init__(self, identity: Identity, timing: Timing, behaviour: Behaviour, dice: random.Random, http: aiohttp.ClientSession) -> None:
        self.identity = identity
        self.containers: dict[ServiceKey, Container] = {}
        self._timing = timing
        self._behaviour = behaviour
        self._dice = dice
        self._http = http
        self._apps: dict[str, Any] = {}
        self._version = 0
        self._etag: str | None = None
        self._pulled: set[str] = set()
        self._told_of_itself = False
        self._told = asyncio.Event()
        self._changed = asyncio.Event()

    async def register(self, provisioning_key: str) -> None:
        """Ask to be let in; whoever is refused says why."""
        said = {"uuid": self.identity.uuid, "deviceName": self.identity.name, "deviceType": "pi4", "deviceApiKey": self.identity.key}
        headers = {"Authorization": f"Bearer {provisioning_key}"}
        async with self._http.post("/api/v1/device/register", json=said, headers=headers) as answer:
            if answer.status != 200:
                raise RuntimeError(f"{self.identity.name} was not let in: {answer.status} {await answer.text()}")

    async def run(self) -> None:
        """Live until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_polling())
            group.create_task(self._keep_applying())
            group.create_task(self._keep_reporting())

    async def _keep_polling(self) -> None:
        await asyncio.sleep(self._dice.uniform(0, self._timing.poll_every))
        failures = 0
        while True:
            failures = 0 if await self._poll() else failures + 1
            spread = self._dice.uniform(1 - POLL_SPREAD, 1 + POLL_SPREAD)
            await asyncio.sleep(self._backoff(failures) if failures else self._timing.poll_every * spread)

    async def _poll(self) -> bool:
        """Ask what to run; whether there was an answer."""
        headers = self._headers({"If-None-Match": self._etag} if self._etag else {})
        try:
            async with self._http.get(f"/api/v1/device/{self.identity.uuid}/state", headers=headers) as answer:
                if answer.status == 200:
                    self._take(orjson.loads(await answer.read())[self.identity.uuid], answer.headers["ETag"])
                return answer.status in (200, 304)
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _take(self, state: dict[str, Any], etag: str) -> None:
        # As the agent does: the tag is kept and the version claimed before anything is applied.
        self._etag, self._version = etag, state["version"]
        if state["apps"] != self._apps:
            self._apps = state["apps"]
            self._told.set()

    async def _keep_applying(self) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            while different := self._different():
                await self._apply(different)

    def _wanted(self) -> dict[ServiceKey, str]:
        return {
            (app, service["serviceName"]): service["imageName"] for app, body in self._apps.items() for service in body.get("services", [])
        }

    def _different(self) -> ServiceKey | None:
        """The next service that runs something else than it should."""
        wanted, found = self._wanted(), {key: container.image for key, container in self.containers.items()}
        return next((key for key in {**found, **wanted} if wanted.get(key) != found.get(key)), None)

    async def _apply(self, key: ServiceKey) -> None:
        image = self._wanted().get(key)
        if image is not None:
            await self._pull(image)
        if self._wanted().get(key) == image:  # else another target came while this one was pulled
            await self._swap(key, image)

    async def _pull(self, image: str) -> None:
        """An image that was here before need not come again, so the way back is short."""
        if image not in self._pulled:
            await asyncio.sleep(self._dice.uniform(*self._timing.pull_seconds))
            self._pulled.add(image)

    async def _swap(self, key: ServiceKey, image: str | None) -> None:
        """Stop, remove, start: in between the service is missing, and a report may say so."""
        if self.containers.pop(key, None) is not None:
            self._changed.set()
            await asyncio.sleep(self._dice.uniform(*self._timing.swap_seconds))
        if image is not None:
            self._start(key, Container(self._dice.randbytes(32).hex(), image))

    def _start(self, key: ServiceKey, container: Container) -> None:
        self._put(key, container)
        if self._behaviour(container.image, self._dice) is Fate.EXITS:
            after = self._dice.uniform(*self._timing.exit_seconds)
            asyncio.get_running_loop().call_later(after, self._exit, key, container)

    def _exit(self, key: ServiceKey, container: Container) -> None:
        if self.containers.get(key) is container:
            self._put(key, replace(container, status="exited"))

    def _put(self, key: ServiceKey, container: Container) -> None:
        self.containers[key] = container
        self._changed.set()

    async def _keep_reporting(self) -> None:
        """Every change at once, and metrics now and then; of what could not be said only the newest is said later."""
        while True:
            try:
                async with asyncio.timeout(METRICS_EVERY * self._timing.pace):
                    await self._changed.wait()
                metrics = {}
            except TimeoutError:
                metrics = self._metrics()
            await self._report_until_heard(metrics)

    async def _report_until_heard(self, metrics: dict[str, Any]) -> None:
        failures = 0
        while not await self._report(metrics):
            failures += 1
            await asyncio.sleep(self._backoff(failures))

    async def _report(self, metrics: dict[str, Any]) -> bool:
        """Say what runs here; whether it was heard."""
        self._changed.clear()
        body = gzip.compress(orjson.dumps({self.identity.uuid: self._state() | metrics}), compresslevel=6)
        headers = self._headers({"Content-Type": "application/json", "Content-Encoding": "gzip"})
        try:
            async with self._http.patch("/api/v1/device/state", data=body, headers=headers) as answer:
                self._told_of_itself |= answer.status == 200
                return answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    def _state(self) -> dict[str, Any]:
        apps = {app: {**body, "services": self._services(app, body)} for app, body in self._apps.items()}
        state = {"apps": apps, "is_online": True, "config": {}, "version": self._version}
        return state if self._told_of_itself else state | self._about()

    def _about(self) -> dict[str, Any]:
        """What the agent says once, since it seldom changes."""
        octets = divmod(self.identity.number, 250)
        return {"os_version": "Debian 12", "agent_version": "2.0.0", "local_ip": f"10.0.{octets[0]}.{octets[1] + 1}"}

    def _services(self, app: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        present = [(service, self.containers.get((app, service["serviceName"]))) for service in body.get("services", [])]
        return [_reported(service, container) for service, container in present if container is not None]

    def _metrics(self) -> dict[str, Any]:
        return {
            "cpu_usage": round(self._dice.uniform(2, 40), 1),
            "memory_usage": round(self._dice.uniform(0.5, 1.5), 2),
            "memory_total": 2,
            "temperature": round(self._dice.uniform(40, 60), 1),
        }

    def _headers(self, more: dict[str, str]) -> dict[str, str]:
        return {"X-Device-API-Key": self.identity.key, **more}

    def _backoff(self, failures: int) -> float:
        return backoff(failures, self._dice) * self._timing.pace


def _reported(service: dict[str, Any], container: Container) -> dict[str, Any]:
    """A service as Docker shows it: what runs, which need not be what was asked for."""
    return {
        **service,
        "imageName": container.image,
        "containerId": container.id,
        "status": container.status,
        "state": "running" if container.status == "running" else "stopped",
        "config": {**service.get("config", {}), "image": container.image},
    }
