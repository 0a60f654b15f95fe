"""One simulated device: a small state machine that does over HTTP what the agent of November 2025 does on a real one."""

import asyncio
import gzip
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import aiohttp
import orjson

from tools import reports
from tools.docker import Container, Docker, ServiceKey, Timing
from tools.line import Line
from tools.modes import Fate, Mode

# The real agent's times, in seconds.
METRICS_EVERY = 300.0
FIRST_BACKOFF, LONGEST_BACKOFF, BACKOFF_SPREAD = 15.0, 900.0, 0.3
# The real agent polls without jitter, so a fleet stays in step after a power cut; ours would come in step with the server's loops.
POLL_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Identity:
    """What a device makes of itself before it talks to anybody, and what is wrong with it."""

    number: int
    uuid: str
    key: str
    modes: frozenset[Mode] = frozenset()
    obeys_intervals: bool = False
    """An agent of 2026: it polls and reports as often as the server says."""

    @classmethod
    def made(cls, number: int, dice: random.Random, modes: frozenset[Mode], *, obeys_intervals: bool = False) -> "Identity":
        """A uuid v4 and a key of 64 hex digits, as the agents make them."""
        return cls(number, str(uuid.UUID(int=dice.getrandbits(128), version=4)), dice.randbytes(32).hex(), modes, obeys_intervals)

    @property
    def name(self) -> str:
        return f"press-{self.number + 1:04}"

    @property
    def is_silent(self) -> bool:
        return Mode.NEVER_POLLS in self.modes


Behaviour = Callable[[Identity, str, random.Random], Fate]
"""Decides what becomes of an image on one device."""


def backoff(failures: int, dice: random.Random) -> float:
    """How long the agent waits after so many failures in a row: 15 s, doubled each time up to 15 min, give or take 30 %."""
    doubled: float = min(FIRST_BACKOFF * 2 ** min(failures - 1, 30), LONGEST_BACKOFF)
    return doubled * dice.uniform(1 - BACKOFF_SPREAD, 1 + BACKOFF_SPREAD)


class Device:
    """Polls, pulls, swaps and reports, each in its own time, and knows what it really runs."""

    def __init__(self, identity: Identity, timing: Timing, behaviour: Behaviour, dice: random.Random, http: aiohttp.ClientSession) -> None:
        self.identity = identity
        self.contradictions: list[str] = []
        """Where what the server told went against what it had told before."""
        self.version = 0
        self.said_version: int | None = None
        """The version in the last report that was heard."""
        self.ever_told: set[str] = set()
        """Every image the server ever told it to run."""
        self._timing = timing
        self._dice = dice
        self._line = Line(http, identity.key)
        self._told = asyncio.Event()
        self._changed = asyncio.Event()
        self._fate = cache(lambda image: behaviour(identity, image, dice))
        self._docker = Docker(timing, self._fate, dice, self._changed)
        self._apps: dict[str, Any] = {}
        self._etag = ""
        self._stuck: dict[ServiceKey, str] = {}
        self._unheard: list[dict[str, Any]] = []
        self._told_of_itself = False
        self._poll_every = timing.poll_every
        self._report_every = 0.0

    @property
    def containers(self) -> dict[ServiceKey, Container]:
        """What runs here, or has exited."""
        return self._docker.containers

    @property
    def wanted(self) -> dict[ServiceKey, str]:
        """What the server last told it to run."""
        return {
            (app, service["serviceName"]): service["imageName"] for app, body in self._apps.items() for service in body.get("services", [])
        }

    @property
    def has_said_all(self) -> bool:
        """Whether the server has heard of the last change here."""
        return self.said_version == self.version and not self._changed.is_set()

    async def register(self, provisioning_key: str) -> None:
        """Ask to be let in; whoever is refused says why."""
        said = {"uuid": self.identity.uuid, "deviceName": self.identity.name, "deviceType": "pi4", "deviceApiKey": self.identity.key}
        headers = {"Authorization": f"Bearer {provisioning_key}", "Content-Type": "application/json"}
        answer = await self._line.ask("POST", "/api/v1/device/register", headers, orjson.dumps(said))
        if answer is None or answer.status != 200:
            why = "no answer" if answer is None else f"{answer.status} {answer.body.decode()}"
            raise RuntimeError(f"{self.identity.name} was not let in: {why}")

    async def run(self) -> None:
        """Live until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_polling())
            group.create_task(self._keep_applying())
            group.create_task(self._keep_reporting())
            if Mode.RESTARTS in self.identity.modes:
                group.create_task(self._keep_restarting())

    async def _keep_polling(self) -> None:
        await asyncio.sleep(self._dice.uniform(0, self._timing.poll_every))
        failures = 0
        while True:
            failures = 0 if await self._poll() else failures + 1
            spread = self._dice.uniform(1 - POLL_SPREAD, 1 + POLL_SPREAD)
            await asyncio.sleep(self._backoff(failures) if failures else self._poll_every * spread)

    async def _poll(self) -> bool:
        """Ask what to run; whether there was an answer."""
        headers = {"If-None-Match": self._etag} if self._etag else {}
        answer = await self._line.ask("GET", f"/api/v1/device/{self.identity.uuid}/state", headers)
        if answer is not None and answer.status == 200:
            self._take(orjson.loads(answer.body)[self.identity.uuid], answer.etag)
        return answer is not None and answer.status in (200, 304)

    def _take(self, state: dict[str, Any], etag: str) -> None:
        self._notice_contradictions(state)
        # As the agent does: the tag is kept and the version claimed before anything is applied.
        self._etag, self.version = etag, state["version"]
        self._obey(state.get("config") or {})
        if state["apps"] != self._apps:
            if self._apps:
                self._lose_connection()
            self._apps = state["apps"]
            self.ever_told.update(self.wanted.values())
            self._told.set()

    def _notice_contradictions(self, state: dict[str, Any]) -> None:
        version = state["version"]
        if version < self.version:
            self.contradictions.append(f"it was told version {version} after {self.version}")
        if version == self.version and self._apps and state["apps"] != self._apps:
            self.contradictions.append(f"it was told two things under version {version}")

    def _obey(self, config: dict[str, Any]) -> None:
        if self.identity.obeys_intervals:
            self._poll_every, self._report_every = intervals(config, self._timing)

    def _lose_connection(self) -> None:
        if self.identity.modes & {Mode.LOSES_CONNECTION, Mode.REPLAYS}:
            self._line.cut(self._timing.poll_every * self._dice.uniform(1, 1.5))
            self._changed.set()  # what it says now is heard by nobody, and what it runs is about to change

    async def _keep_restarting(self) -> None:
        while True:
            await asyncio.sleep(self._timing.poll_every * self._dice.uniform(2, 4))
            self._etag, self._told_of_itself = "", False

    async def _keep_applying(self) -> None:
        while True:
            await self._told.wait()
            self._told.clear()
            while different := self._different():
                await self._apply(different)

    def _different(self) -> ServiceKey | None:
        """The next service that runs something else than it should, and is not stuck with that."""
        wanted, found = self.wanted, {key: container.image for key, container in self.containers.items()}
        return next((key for key in {**found, **wanted} if wanted.get(key) not in (found.get(key), self._stuck.get(key))), None)

    async def _apply(self, key: ServiceKey) -> None:
        image = self.wanted.get(key)
        can_be_had = image is None or (self._fate(image) is not Fate.IS_ONLY_CLAIMED and await self._docker.pull(image))
        if self.wanted.get(key) != image:  # another target came while this one was pulled
            return
        if can_be_had:
            await self._docker.swap(key, image)
        elif image is not None:
            self._stuck[key] = image
            self._changed.set()

    async def _keep_reporting(self) -> None:
        """Every change at once, and metrics now and then; of what could not be said only the newest is said later."""
        # Metrics come with the truth: who replays sends none, or they would put right what a server believed of old reports.
        patience = None if Mode.REPLAYS in self.identity.modes else METRICS_EVERY * self._timing.pace
        while True:
            try:
                async with asyncio.timeout(patience):
                    await self._changed.wait()
                metrics = {}
            except TimeoutError:
                metrics = reports.metrics(self._dice)
            await self._report_until_heard(metrics)
            await asyncio.sleep(self._report_every)

    async def _report_until_heard(self, metrics: dict[str, Any]) -> None:
        failures = 0
        while not await self._report(metrics):
            failures += 1
            await asyncio.sleep(self._backoff(failures))
        await self._replay()

    async def _report(self, metrics: dict[str, Any]) -> bool:
        """Say what runs here; whether it was heard."""
        self._changed.clear()
        state = self._state() | metrics
        if await self._say(state):
            self._told_of_itself, self.said_version = True, state["version"]
            return True
        if Mode.REPLAYS in self.identity.modes:
            self._unheard.append({name: value for name, value in state.items() if name != "version"})
        return False

    async def _replay(self) -> None:
        """Send what was not heard at its time, now that it is not true any more."""
        unheard, self._unheard = self._unheard, []
        for state in unheard:
            await self._say(state)

    async def _say(self, state: dict[str, Any]) -> bool:
        body = gzip.compress(orjson.dumps({self.identity.uuid: state}), compresslevel=6)
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        answer = await self._line.ask("PATCH", "/api/v1/device/state", headers, body)
        return answer is not None and answer.status == 200

    def _state(self) -> dict[str, Any]:
        apps = {app: {**body, "services": self._services(app, body)} for app, body in self._apps.items()}
        state = {"apps": apps, "is_online": True, "config": {}, "version": self.version}
        return state if self._told_of_itself else state | reports.about(self.identity.number)

    def _services(self, app: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        present = [(service, self.containers.get((app, service["serviceName"]))) for service in body.get("services", [])]
        return [self._shown(app, service, container) for service, container in present if container is not None]

    def _shown(self, app: str, service: dict[str, Any], container: Container) -> dict[str, Any]:
        shown, wanted = reports.service(service, container), service["imageName"]
        if self._stuck.get((app, service["serviceName"])) != wanted or container.image == wanted:
            return shown
        is_claimed = self._fate(wanted) is Fate.IS_ONLY_CLAIMED
        return reports.claimed(shown, wanted) if is_claimed else reports.not_pulled(shown, wanted)

    def _backoff(self, failures: int) -> float:
        return backoff(failures, self._dice) * self._timing.pace


def intervals(config: dict[str, Any], timing: Timing) -> tuple[float, float]:
    """Seconds from poll to poll, and from report to report, as the server says them, at the pace of this simulation."""
    said = config.get("intervals")
    said = said if isinstance(said, dict) else {}
    return (
        _seconds(said.get("targetStatePollIntervalMs"), timing.poll_every, timing),
        _seconds(said.get("reportIntervalMs"), 0.0, timing),
    )


def _seconds(said: object, otherwise: float, timing: Timing) -> float:
    return said / 1000 * timing.pace if isinstance(said, int | float) and said > 0 else otherwise
