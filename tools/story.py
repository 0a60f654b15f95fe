"""The story that `python -m tools.demo` plays: a good image reaches everybody; a bad one is taken back before it does."""

import asyncio
import logging
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import uvloop
from rich.console import Console
from rich.logging import RichHandler

from domain.statuses import Status
from server.embedded import EmbeddedPostgresError
from server.process import database_url
from server.settings import BadSetting, Settings
from tools import registry, stage
from tools.api import Api, Decision
from tools.ending import Ending
from tools.fleet import BadImages, Fleet, FleetSettings
from tools.modes import Mode
from tools.props import BAD, FIRST, GOOD, NEXT, REPOSITORY, SERVICE, apps, image, policy
from tools.screen import Screen
from tools.stage import CannotPlay, Stage
from tools.watch import watch

BAD_SHARE, SILENT_SHARE = 0.6, 0.04
TARGETS_AT_ONCE = 20
# With 1000 devices, on two cores, this process – server and fleet – is then busy for 42 % of the time.
DEVICES_PER_SECOND, FASTEST_POLL = 200, 4.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What the person who started the story wants."""

    devices: int
    port: int | None
    once: bool
    """Leave when both rollouts have ended, and say by the exit code whether they ended as they should."""

    @property
    def poll_every(self) -> float:
        """How long a minute of the field lasts here; everything else is in proportion to it."""
        return max(FASTEST_POLL, self.devices / DEVICES_PER_SECOND)


def perform(asked: Asked, ending: Ending) -> int:
    """Play the story and return the exit code."""
    console = Console()
    _log_to(console)
    try:
        settings = stage.settings(asked.port)
        if settings.database_url is None:
            Screen(console).say("PostgreSQL starts; the first time takes a few seconds.")
        with database_url(settings) as cluster:
            went_well = uvloop.run(ending.or_until(_play(asked, settings, cluster, Screen(console))))
    except (BadSetting, EmbeddedPostgresError, CannotPlay) as error:
        print(error, file=sys.stderr)
        return 2
    return 1 if went_well is False else 0


def _log_to(console: Console) -> None:
    """What the server warns of goes through the console, which puts it above the picture instead of through it."""
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s", handlers=[RichHandler(console=console, show_path=False)])
    logging.getLogger("pogo_core").setLevel(logging.ERROR)


async def _play(asked: Asked, settings: Settings, cluster: str, screen: Screen) -> bool:
    """Whether everything went as it should; with `once` unset it stays up until it is cancelled."""
    poll = asked.poll_every
    fleet_settings = FleetSettings(
        size=asked.devices, poll_every=poll, pull_seconds=(0.2 * poll, poll), soak=poll, shares={Mode.NEVER_POLLS: SILENT_SHARE}
    )
    behaviour = BadImages({f"{REPOSITORY}:{BAD}": BAD_SHARE})
    async with (
        stage.playing(settings, cluster) as place,
        Api.connect(place.url, place.token) as api,
        Fleet.connect(place.url, fleet_settings, behaviour) as fleet,
    ):
        return await _Story(asked, place, api, fleet, screen).play()


@dataclass(frozen=True, slots=True)
class _Story:
    """Act by act."""

    asked: Asked
    place: Stage
    api: Api
    fleet: Fleet
    screen: Screen

    async def play(self) -> bool:
        """Every act; whether each ended as it should."""
        await self._meet_the_fleet()
        async with asyncio.TaskGroup() as group:
            living = group.create_task(self.fleet.run())
            went_well = await self._acts()
            if not self.asked.once:
                await self._stay_up()
            logging.disable()  # requests are cut off now, which the server would tell of at length
            living.cancel()
        return went_well

    async def _acts(self) -> bool:
        went_well = await self._settle() and await self._good_image() and await self._bad_image() and await self._bad_image_again()
        self._say("That is the whole story." if went_well else "That is not how the story should go.", "bold" if went_well else "bold red")
        return went_well

    async def _meet_the_fleet(self) -> None:
        began = time.monotonic()
        self._say(f"{len(self.fleet.devices)} simulated devices register with a provisioning key and are given their first target.", "bold")
        await self.fleet.register(await self.api.create_provisioning_key("plant-a"))
        await self._give_targets()
        silent = len(self.fleet.devices) - len(self.fleet.awake)
        self.screen.say(f"Done in {time.monotonic() - began:.1f} s. Switched off from now on: {silent}; that must hold nobody up.")

    async def _give_targets(self) -> None:
        turns = asyncio.Semaphore(TARGETS_AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for device in self.fleet.devices:
                group.create_task(self._give_target(turns, device.identity.uuid))

    async def _give_target(self, turns: asyncio.Semaphore, uuid: str) -> None:
        async with turns:
            await self.api.set_target(uuid, apps())

    async def _settle(self) -> bool:
        self._say(f"The devices poll every {self.asked.poll_every:g} s, pull {image(FIRST)} and redis:7, start both and report.", "bold")
        settled = await self._all_run(FIRST)
        governs = policy(self.asked.poll_every)
        await self.api.create_policy(**governs)
        self.screen.say(
            f"{self._how_many(FIRST)}. A policy is made: {governs['imagePattern']} goes out in {governs['stagedBatches']} batches, "
            f"and if more than {governs['maxFailureRate']:.0%} of the devices fail, everybody goes back."
        )
        return settled

    async def _good_image(self) -> bool:
        self._say(f"Docker Hub says that {image(GOOD)} was pushed.", "bold")
        ended = await self._push_and_watch(GOOD)
        arrived = await self._all_run(GOOD)
        self.screen.say(f"The rollout {_ended(ended)}. {self._how_many(GOOD)}.")
        return ended is Status.COMPLETED and arrived

    async def _bad_image(self) -> bool:
        self._say(f"Docker Hub says that {image(BAD)} was pushed. It is a bad one: on {BAD_SHARE:.0%} of devices it exits at once.", "bold")
        ended = await self._push_and_watch(BAD)
        returned = await self._all_run(GOOD)
        self.screen.say(f"The rollout {_ended(ended)}. {self._how_many(GOOD)}.")
        return ended is Status.ROLLED_BACK and returned

    async def _bad_image_again(self) -> bool:
        self._say(f"Docker Hub sends the webhook for {image(BAD)} once more.", "bold")
        *_, last = await self._push(BAD)
        return not last.started

    async def _push_and_watch(self, tag: str) -> Status | None:
        """How the rollout ended that a push of this tag starts; None if there is none, or it does not end."""
        *_, last = await self._push(tag)
        try:
            async with asyncio.timeout(60 * self.asked.poll_every):
                return None if last.rollout is None else await self._watch(last.rollout.id)
        except TimeoutError:
            return None

    async def _push(self, tag: str) -> list[Decision]:
        said = await registry.push(self.place.url, self.place.secret, REPOSITORY, tag)
        decisions = await self.api.decisions(said["delivery_id"])
        self.screen.say(f"Rollwave keeps it as delivery {said['delivery_id']}, and decides: {decisions[-1].sentence}.")
        return decisions

    async def _watch(self, rollout: str) -> Status | None:
        return await watch(self.api, self.screen, self.fleet, SERVICE, rollout)

    async def _all_run(self, tag: str) -> bool:
        """Wait until every device that polls runs this; False if that takes too long."""
        return await _soon(lambda: self._running(tag) == len(self.fleet.awake), 10 * self.asked.poll_every)

    def _running(self, tag: str) -> int:
        return self.fleet.running_images(SERVICE)[image(tag)]

    def _how_many(self, tag: str) -> str:
        awake, running = len(self.fleet.awake), self._running(tag)
        return f"{f'All {awake}' if running == awake else f'{running} of the {awake}'} devices that are switched on run {image(tag)}"

    async def _stay_up(self) -> None:
        """Show every rollout that somebody starts, until cancelled."""
        self._tell_what_to_try()
        last = max((rollout.number for rollout in await self.api.rollouts_after(0)), default=0)
        while True:
            for rollout in await self.api.rollouts_after(last):
                last = rollout.number
                await self._watch(rollout.id)
            await asyncio.sleep(1)

    def _tell_what_to_try(self) -> None:
        self._say("The server stays up and the devices go on polling. Ctrl-C ends all of it. Meanwhile:", "bold")
        self.screen.say(f"  GraphiQL  {self.place.url}/graphql")
        self.screen.say("            Put this into its Headers tab, then queries, mutations and subscriptions work:")
        self.screen.say(f'            {{"Authorization": "Bearer {self.place.token}"}}')
        for what, command in self._commands():
            self.screen.say(f"\n  {what}")
            self.screen.say(f"    {command}")
        self.screen.say()

    def _commands(self) -> list[tuple[str, str]]:
        who = self.fleet.awake[0].identity
        query = {"query": "{ rollouts { nodes { number image { reference } status reason } } }"}
        bearer = f"Authorization: Bearer {self.place.token}"
        return [
            ("List the rollouts:", _curl(f"{self.place.url}/graphql", bearer, query)),
            (
                f"Say that {image(NEXT)} was pushed, and watch it here:",
                _curl(registry.address(self.place.url, self.place.secret), None, registry.body(REPOSITORY, NEXT)),
            ),
            (
                f"Ask, as the device {who.name}, what to run:",
                _curl(f"{self.place.url}/api/v1/device/{who.uuid}/state", f"X-Device-API-Key: {who.key}"),
            ),
        ]

    def _say(self, text: str, style: str) -> None:
        """A new paragraph."""
        self.screen.say()
        self.screen.say(text, style)


def _ended(status: Status | None) -> str:
    return "did not end in time" if status is None else f"ended: {status.replace('_', ' ')}"


def _curl(url: str, header: str | None, body: dict[str, Any] | None = None) -> str:
    headers = [header] * (header is not None) + ["Content-Type: application/json"] * (body is not None)
    data = [] if body is None else ["-d", orjson.dumps(body).decode()]
    return shlex.join(["curl", "-s", url, *(part for header in headers for part in ("-H", header or "")), *data])


async def _soon(is_so: Callable[[], bool], seconds: float) -> bool:
    """Whether something becomes so in time."""
    deadline = time.monotonic() + seconds
    while not is_so() and time.monotonic() < deadline:  # noqa: ASYNC110 – the devices tell the server, and nobody else
        await asyncio.sleep(0.1)
    return is_so()
