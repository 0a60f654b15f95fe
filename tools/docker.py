"""What Docker does on a simulated device: it pulls images, and runs containers until they end."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from tools.modes import Fate

ServiceKey = tuple[str, str]
"""(app id, service name)"""

POLL_EVERY = 60.0
"""The real agent's, in seconds; a simulation that polls twenty times as often shortens its other times twenty-fold."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How fast a device lives."""

    poll_every: float
    pull_seconds: tuple[float, float]
    soak: float = 60.0
    """The policy's: what crashes or flaps does so within it."""
    deadline: float = 1800.0
    """The policy's: whoever pulls slowly takes longer."""
    swap_seconds: tuple[float, float] = (0.1, 0.4)
    """How long the service is missing while its container is replaced."""

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


class Docker:
    """The images and containers of one device."""

    def __init__(self, timing: Timing, fate: Callable[[str], Fate], dice: random.Random, changed: asyncio.Event) -> None:
        self.containers: dict[ServiceKey, Container] = {}
        self._timing = timing
        self._fate = fate
        self._dice = dice
        self._changed = changed
        self._pulled: set[str] = set()

    async def pull(self, image: str) -> bool:
        """Whether it can be had. An image that was here before need not come again, so the way back is short."""
        if image not in self._pulled:
            await asyncio.sleep(self._pull_seconds(image))
            if self._fate(image) is Fate.CANNOT_BE_PULLED:
                return False
            self._pulled.add(image)
        return True

    async def swap(self, key: ServiceKey, image: str | None) -> None:
        """Stop, remove, start: in between the service is missing, and a report may say so."""
        if self.containers.pop(key, None) is not None:
            self._changed.set()
            await asyncio.sleep(self._dice.uniform(*self._timing.swap_seconds))
        if image is not None:
            self._start(key, Container(self._dice.randbytes(32).hex(), image))

    def _pull_seconds(self, image: str) -> float:
        if self._fate(image) is Fate.COMES_SLOWLY:
            return self._timing.deadline * self._dice.uniform(1.5, 3)
        return self._dice.uniform(*self._timing.pull_seconds)

    def _start(self, key: ServiceKey, container: Container) -> None:
        self._put(key, container)
        match self._fate(container.image):
            case Fate.EXITS:
                self._later(0.05, 0.4, key, container)
            case Fate.CRASHES:
                self._later(0.3, 0.8, key, container)
            case Fate.FLAPS:
                self._later(0.2, 0.4, key, container, self._dice.randint(1, 3))

    def _later(self, least: float, most: float, key: ServiceKey, container: Container, restarts: int = 0) -> None:
        """Let the container stop, or start again, within this part of the soak time."""
        seconds = self._timing.soak * self._dice.uniform(least, most)
        asyncio.get_running_loop().call_later(seconds, self._turn, key, container, restarts)

    def _turn(self, key: ServiceKey, container: Container, restarts: int) -> None:
        """A container that runs exits; one that has exited starts again, if it has restarts left."""
        if self.containers.get(key) is not container:
            return
        runs = container.status == "running"
        turned = replace(container, status="exited" if runs else "running")
        self._put(key, turned)
        if restarts or not runs:
            self._later(0.2, 0.4, key, turned, restarts - runs)

    def _put(self, key: ServiceKey, container: Container) -> None:
        self.containers[key] = container
        self._changed.set()
