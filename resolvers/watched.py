"""The devices that somebody watches in this process, which are read together: a thousand open pages are two statements a look."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

from domain.devices import Device
from domain.events import Cursor
from domain.ids import DeviceId
from domain.watching import Sight
from resolvers.feed import Feed
from resolvers.looking import Looking
from storage import watching
from storage.database import Database

APART, RESTS = 0.2, 3
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Watched:
    """A device at one moment."""

    sight: Sight
    at: datetime = field(compare=False)
    cursor: Cursor = field(compare=False)
    """What happened up to here is in it; what happens later may be."""

    @property
    def device(self) -> Device:
        return self.sight.device


class Place:
    """Where the newest of a device lies for one who watches it."""

    def __init__(self) -> None:
        self._told: Watched | None = None
        self._newest: Watched | None = None
        self._is_over = False
        self._has_news = asyncio.Event()

    def put(self, newest: Watched) -> None:
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

    async def news(self) -> Watched | None:
        """What is so now, as soon as it is not what was said before; None at the end."""
        await self._has_news.wait()
        if self._is_over:
            return None
        self._has_news.clear()
        self._told = self._newest
        return self._told


Places = Mapping[DeviceId, Sequence[Place]]


class Devices:
    """Looks at all of them at once, for as long as there is one."""

    def __init__(self) -> None:
        self._places: dict[DeviceId, list[Place]] = defaultdict(list)
        self._looking: asyncio.Task[None] | None = None
        self.counting = asyncio.Lock()
        """Held while devices are counted: whatever is asked for, a process keeps one connection busy with that."""

    @asynccontextmanager
    async def watching(self, db: Database, feed: Feed, device: DeviceId) -> AsyncIterator[Place]:
        """A place for one device. All are read from the database of whoever came first, which is everybody's."""
        place = Place()
        self._places[device].append(place)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look_on(db, feed), name="watched devices")
        feed.bells.ring()  # or it would wait up to a second for its first look
        try:
            yield place
        finally:
            await self._leave(device, place)

    async def _leave(self, device: DeviceId, place: Place) -> None:
        self._places[device].remove(place)
        if not self._places[device]:
            del self._places[device]
        if self._looking is not None and not self._places:
            looking, self._looking = self._looking, None
            looking.cancel()
            await asyncio.wait([looking])

    async def _look_on(self, db: Database, feed: Feed) -> None:
        with feed.bells.hearing() as bell:
            looking = Looking(bell, apart=APART, rests=RESTS)
            while not bell.is_closed:
                with looking.look():
                    await self._try_to_look(db, feed)
                await looking.again()
        for places in self._places.values():
            for place in places:
                place.end()

    async def _try_to_look(self, db: Database, feed: Feed) -> None:
        try:
            # Those that are here by now: whoever comes meanwhile may have read something newer than what is about to be read.
            await _look(db, feed, {device: tuple(places) for device, places in self._places.items()})
        except db.unavailable:
            log.warning("devices cannot be watched while the database is away; it is tried again")
        except Exception:
            log.exception("looking at the devices that are watched failed; it is tried again")


async def _look(db: Database, feed: Feed, asked: Places) -> None:
    cursor = feed.position
    async with db.reading() as conn:
        now = await db.now(conn)
        found = await watching.sights(conn, [*asked], now)
    for device, places in asked.items():
        sight = found.get(device)
        for place in places:
            if sight is None:
                place.end()
            else:
                place.put(Watched(sight, now, cursor))
