"""The story that `python -m tools.simulate` plays: in a fleet where much goes wrong a good image arrives, and a bad one is taken back."""

import asyncio
import secrets
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from domain.statuses import Status
from resolvers import tokens
from server.embedded import embedded_postgres
from storage.database import Database
from tools import registry
from tools.agreement import OLD, Account, Row, Rule, after_a_bad_image, after_a_good_image, compared, runs, table
from tools.api import Api, Progress
from tools.device import Identity
from tools.fleet import Fleet, FleetSettings
from tools.modes import Fate, Mode, fate
from tools.processes import a_process
from tools.props import BAD, FIRST, GOOD, REPOSITORY, apps, image, policy
from tools.stage import Stage

TARGETS_AT_ONCE = 20
DEADLINE = 6.0
"""In polls: longer than any outage, and the five polls between two reports of metrics."""
TOLERATED = 0.75
"""Of the devices that answer so many may fail: more than do with a good image, fewer than with a bad one."""
SAY_EVERY = 5.0

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person who started it wants."""

    devices: int
    shares: Mapping[Mode, float]
    seed: int = 0
    poll_every: float = 50.0
    batches: int = 3
    obedient_share: float = 0.3
    connections: int = 200

    @property
    def fleet(self) -> FleetSettings:
        """The fleet that this makes; its soak time is a poll, as the policy's."""
        poll = self.poll_every
        return FleetSettings(
            size=self.devices, poll_every=poll, pull_seconds=(0.2 * poll, poll), soak=poll, deadline=DEADLINE * poll,
            shares=self.shares, obedient_share=self.obedient_share, connections=self.connections, seed=self.seed,
        )  # fmt: skip

    @property
    def policy(self) -> dict[str, Any]:
        """The policy that governs it."""
        minutes = {"deadlineMinutes": DEADLINE * self.poll_every / 60}
        return {**policy(self.poll_every), **minutes, "stagedBatches": self.batches, "maxFailureRate": TOLERATED, "minOutcomes": 10}


@dataclass(frozen=True, slots=True)
class Act:
    """One image, to the end of its rollout."""

    image: str
    should_end: Status
    ended: Status | None
    seconds: float
    rows: list[Row]
    disagreements: list[str]

    @property
    def went_well(self) -> bool:
        return self.ended is self.should_end and not self.disagreements


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the devices asked, and how long they waited for one of the connections they share."""

    requests: int
    waited: int
    p99_seconds: float
    """Of those that had to wait."""
    longest_seconds: float


@dataclass(frozen=True, slots=True)
class Told:
    """The whole story."""

    acts: list[Act] = field(default_factory=list)
    traffic: Traffic | None = None

    @property
    def went_well(self) -> bool:
        return len(self.acts) == 2 and all(act.went_well for act in self.acts)


def trouble(who: Identity, wanted: str, dice: Random) -> Fate:
    """The image that devices begin with runs everywhere, the good one as their modes let it, the bad one on none."""
    if wanted not in (image(GOOD), image(BAD)):
        return Fate.RUNS
    found = fate(who.modes)
    never_starts = found in (Fate.IS_ONLY_CLAIMED, Fate.CANNOT_BE_PULLED, Fate.COMES_SLOWLY)
    return Fate.EXITS if wanted == image(BAD) and not never_starts else found


@asynccontextmanager
async def a_server() -> AsyncIterator[Stage]:
    """A server in a process of its own, on a PostgreSQL of its own, both gone when the block ends."""
    secret = secrets.token_urlsafe(24)
    with _a_postgres() as url:
        async with a_process(url, secret) as process, Database.connect(url) as db:
            yield Stage(process.url, await tokens.issue(db, "the simulation"), secret)


@contextmanager
def _a_postgres() -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="rollwave-simulation-") as directory:
        Path(directory).chmod(0o755)  # as root PostgreSQL runs under another user, who has to get in
        with embedded_postgres(Path(directory) / "data") as url:
            yield url


async def simulate(asked: Asked, place: Stage, say: Say = print) -> Told:
    """Play it against a server that has not seen it before."""
    async with Api.connect(place.url, place.token) as api, Fleet.connect(place.url, asked.fleet, trouble) as fleet:
        return await _Simulation(asked, place, api, fleet, say).play()


@dataclass(frozen=True, slots=True)
class _Simulation:
    asked: Asked
    place: Stage
    api: Api
    fleet: Fleet
    say: Say

    async def play(self) -> Told:
        await self._meet_the_fleet()
        async with asyncio.TaskGroup() as group:
            living = group.create_task(self.fleet.run())
            acts = await self._acts()
            living.cancel()
        return Told(acts, self._traffic())

    async def _meet_the_fleet(self) -> None:
        began = time.monotonic()
        await self.fleet.register(await self.api.create_provisioning_key("simulation"))
        self.say(f"{len(self.fleet.devices)} devices registered in {time.monotonic() - began:.0f} s")
        began, turns = time.monotonic(), asyncio.Semaphore(TARGETS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for device in self.fleet.devices:
                group.create_task(self._give_target(turns, device.identity.uuid))
        self.say(f"and were given their first targets, each over GraphQL, in {time.monotonic() - began:.0f} s")

    async def _give_target(self, turns: asyncio.Semaphore, uuid: str) -> None:
        async with turns:
            await self.api.set_target(uuid, apps())

    async def _acts(self) -> list[Act]:
        if not await self._all_run_the_first():
            return []
        await self.api.create_policy(**self.asked.policy)
        good = await self._act(GOOD, Status.COMPLETED, after_a_good_image)
        return [good, await self._act(BAD, Status.ROLLED_BACK, after_a_bad_image)]

    async def _all_run_the_first(self) -> bool:
        deadline = time.monotonic() + 10 * self.asked.poll_every
        while (ready := self._ready()) < len(self.fleet.awake) and time.monotonic() < deadline:  # noqa: ASYNC110 – the devices tell nobody
            await asyncio.sleep(0.1)
        self.say(f"{ready} of the {len(self.fleet.awake)} that are switched on run {image(FIRST)}, and have said so")
        return ready == len(self.fleet.awake)

    def _ready(self) -> int:
        return sum(runs(device) == OLD and device.has_said_all for device in self.fleet.awake)

    async def _act(self, tag: str, should_end: Status, rule: Rule) -> Act:
        """Push an image, follow its rollout, and compare."""
        began = time.monotonic()
        self.say(f"{image(tag)} is pushed; it should end {should_end}")
        rollout = await self._push(tag)
        ended = None if rollout is None else await self._followed(rollout)
        seconds = time.monotonic() - began
        accounts = [] if rollout is None else await self._agreed(rollout, rule)
        wrong = [what for account in accounts for what in account.disagreements]
        self.say(f"it ended {ended} after {seconds:.0f} s; {len(accounts)} devices compared, disagreements: {len(wrong)}")
        return Act(image(tag), should_end, ended, seconds, table(accounts), wrong)

    async def _push(self, tag: str) -> str | None:
        said = await registry.push(self.place.url, self.place.secret, REPOSITORY, tag)
        *_, last = await self.api.decisions(said["delivery_id"])
        return None if last.rollout is None else last.rollout.id

    async def _followed(self, rollout: str) -> Status | None:
        """How it ended; None if it does not."""
        status, said_at = None, 0.0
        with suppress(TimeoutError):
            async with asyncio.timeout(20 * DEADLINE * self.asked.poll_every), aclosing(self.api.progress(rollout)) as moments:
                async for progress in moments:
                    status = progress.status
                    if status.is_final or time.monotonic() - said_at >= SAY_EVERY:
                        said_at = time.monotonic()
                        self.say(f"  {_in_words(progress)}")
        return status if status is not None and status.is_final else None

    async def _agreed(self, rollout: str, rule: Rule) -> list[Account]:
        """Every account. Where the two disagree the server is asked again: what it was told may still be on its way, or be old by now."""
        deadline = time.monotonic() + DEADLINE * self.asked.poll_every
        accounts = {account.device: account for account in await self._accounts(rollout, rule)}
        while (wrong := [one for one in accounts.values() if one.disagreements]) and time.monotonic() < deadline:
            await asyncio.sleep(self.asked.poll_every / 4)
            for one in wrong:
                known, status = await self.api.device(one.device.identity.uuid, rollout)
                accounts[one.device] = compared(one.device, known, status, rule)
        return list(accounts.values())

    async def _accounts(self, rollout: str, rule: Rule) -> list[Account]:
        statuses = await self.api.statuses(rollout)
        known = {device.uuid: device for device in await self.api.devices()}
        return [compared(one, known[one.identity.uuid], statuses.get(one.identity.uuid), rule) for one in self.fleet.devices]

    def _traffic(self) -> Traffic:
        waits = self.fleet.queue.waits
        p99 = statistics.quantiles(waits, n=100)[98] if len(waits) > 1 else 0.0
        return Traffic(self.fleet.queue.requests, len(waits), p99, max(waits, default=0.0))


def _in_words(progress: Progress) -> str:
    numbers = ", ".join(f"{count} {status.value}" for status, count in progress.devices.items() if count)
    offered = f"{progress.offered_devices} of {progress.total_devices} offered"
    return f"{progress.status}, batch {progress.current_batch} of {progress.total_batches}, {offered}: {numbers}"
