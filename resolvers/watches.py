"""What is watched in this process: each thing is read once for all who watch it, and only for as long as somebody does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, Generic, TypeVar

from domain.ids import RolloutId
from resolvers.bells import Bell
from resolvers.feed import Feed
from resolvers.looking import Looking, Pace
from storage.database import Database

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
log = logging.getLogger(__name__)


class Place(Generic[V]):
    """Where the newest of something lies for one who watches it."""

    def __init__(self) -> None:
        self._told: V | None = None
        self._newest: V | None = None
        self._is_over = False
        self._has_news = asyncio.Event()

    def put(self, newest: V) -> None:
        """So it is now; that is no news if it is as it was when somebody last asked."""
        self._newest = newest
        if newest == self._told:
            self._has_news.clear()
        else:
            self._has_news.set()

    def end(self) -> None:
        """Nothing will change any more."""
        self._is_over = True
        self._has_news.set()

    async def news(self) -> V | None:
        """What is so now, as soon as it is not what was said before; None at the end."""
        await self._has_news.wait()
        if self._is_over:
            return None
        self._has_news.clear()
        self._told = self._newest
        return self._told


class Watch(Generic[K, V]):
    """Reads some things together, again and again."""

    def __init__(
        self, name: str, feed: Feed, rollout: RolloutId | None, read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], pace: Pace
    ) -> None:
        self._name = name
        self._feed = feed
        self._rollout = rollout
        """Whose events make it worth a look; None: whatever is committed."""
        self._read = read
        self._pace = pace
        self._places: dict[K, list[Place[V]]] = {}
        self._newest: dict[K, V] = {}
        self._looking: asyncio.Task[None] | None = None
        self._bell: Bell | None = None

    @property
    def is_idle(self) -> bool:
        """Nobody watches."""
        return not self._places

    @asynccontextmanager
    async def watching(self, key: K) -> AsyncIterator[Place[V]]:
        """A place for one of the things; what was read of it last lies there already."""
        place = Place[V]()
        self._places.setdefault(key, []).append(place)
        if key in self._newest:
            place.put(self._newest[key])
        self._wake()
        try:
            yield place
        finally:
            self._leave(key, place)
            if self.is_idle:
                await self._rest()

    def _wake(self) -> None:
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_on(), name=f"watching {self._name}")
        elif self._bell is not None:
            self._bell.ring()

    def _leave(self, key: K, place: Place[V]) -> None:
        self._places[key].remove(place)
        if not self._places[key]:
            del self._places[key]
            self._newest.pop(key, None)

    async def _rest(self) -> None:
        looking, self._looking = self._looking, None
        if looking is not None:
            looking.cancel()
            await asyncio.wait([looking])

    async def _look_on(self) -> None:
        with self._feed.bells.hearing(self._rollout) as self._bell:
            looking = Looking(self._bell, self._pace)
            while not self._bell.is_closed:
                with looking.look():
                    await self._try_to_look()
                await looking.again()
        for key in self._places:
            self._end(key)

    async def _try_to_look(self) -> None:
        """While the database is away, what was told last is all that is known."""
        try:
            await self._look()
        except Database.unavailable:
            log.warning("%s cannot be read while the database is away; it is tried again", self._name)
        except Exception:
            log.exception("reading %s failed; it is tried again", self._name)

    async def _look(self) -> None:
        keys = [*self._places]
        found = await self._read(keys)
        self._newest = {key: value for key, value in found.items() if key in self._places}
        for key in keys:
            if key not in found:
                self._end(key)
        for key, value in self._newest.items():
            for place in self._places[key]:
                place.put(value)

    def _end(self, key: K) -> None:
        for place in self._places.get(key, ()):
            place.end()


class Turns:
    """Takes those who want the same one after the other, and rests three times as long as each took."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._free_at = 0.0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """The block, when it is its turn."""
        async with self._lock:
            await asyncio.sleep(self._free_at - monotonic())
            began = monotonic()
            try:
                yield
            finally:
                self._free_at = (ended := monotonic()) + 3 * (ended - began)


class Watches:
    """All of one process."""

    def __init__(self) -> None:
        self._watches: dict[Hashable, Watch[Any, Any]] = {}
        self.counting = Turns()
        """For who counts devices: a process keeps a quarter of a connection busy with that, whatever is asked for."""

    def __len__(self) -> int:
        return len(self._watches)

    @asynccontextmanager
    async def watching(self, what: Hashable, key: K, make: Callable[[], Watch[K, V]]) -> AsyncIterator[Place[V]]:
        """A place in the watch of this, which is made for the first who asks for it and is dropped with the last."""
        watch: Watch[K, V] = self._watches.get(what) or self._watches.setdefault(what, make())
        try:
            async with watch.watching(key) as place:
                yield place
        finally:
            if watch.is_idle and self._watches.get(what) is watch:
                del self._watches[what]
