"""What can be watched: a rollout's progress, one device, and how many devices there are of a kind. Of each the newest counts."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from domain import fleet
from domain.actors import Permission
from domain.devices import Device
from domain.errors import NotFound
from domain.events import Cursor
from domain.fleet import DeviceFilter
from domain.ids import RolloutId
from resolvers import devices, rollouts
from resolvers.context import AWAY, Context
from resolvers.feed import Feed
from resolvers.looking import Looking
from resolvers.rollouts import Snapshot
from resolvers.streams import Latest, Told
from resolvers.watched import Watched
from storage import selecting

log = logging.getLogger(__name__)


class Moment(Protocol):
    """What is so at one moment; two moments are equal if it is the same at both."""

    @property
    def cursor(self) -> Cursor: ...


M = TypeVar("M", bound=Moment)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many devices have something in common, at one moment."""

    counts: fleet.Counts
    at: datetime = field(compare=False)
    cursor: Cursor = field(compare=False)
    """What happened up to here is in it; what happens later may be."""


async def progress(ctx: Context, rollout_id: RolloutId) -> Latest[Snapshot]:
    """A rollout's counts; ends with the rollout. Raises NotFound."""
    if await rollouts.one(ctx, rollout_id) is None:
        raise NotFound.of("rollout", rollout_id)
    # Up to ten times a second, and for a quarter of the time: a million members take a good part of a second to count.
    return Looked(
        ("progress", rollout_id), ctx.feed, rollout_id, lambda: rollouts.snapshot(ctx, rollout_id),
        is_last=lambda now: now.rollout.status.is_final, apart=0.1, rests=3,
    )  # fmt: skip


async def device(ctx: Context, uuid: str) -> Latest[Watched]:
    """One device; ends when it is deleted. Raises NotFound."""
    found = await devices.one(ctx, uuid)
    if found is None:
        raise NotFound.of("device", uuid)
    return OneDevice(ctx, found)


def counts(ctx: Context, wanted: DeviceFilter) -> Latest[Counts]:
    """How many devices have something in common; it has no end."""
    ctx.actor.must(Permission.READ)
    # For a tenth of the time, all together, since whoever waits for his turn rests for it too: each look may be one at every device.
    return Looked(("counts", wanted), ctx.feed, None, lambda: _counted(ctx, wanted), is_last=lambda _: False, apart=1.0, rests=9)


class Looked(Latest[M]):
    """What is read again and again, for as long as somebody follows it."""

    def __init__(
        self, key: Hashable, feed: Feed, rollout: RolloutId | None, read: Callable[[], Awaitable[M]], *, is_last: Callable[[M], bool],
        apart: float, rests: float,
    ) -> None:  # fmt: skip
        self.key = key
        self._feed = feed
        self._rollout = rollout
        """Whose events make it worth a look; None: everybody's."""
        self._read = read
        self._is_last = is_last
        self._apart, self._rests = apart, rests

    async def values(self) -> AsyncGenerator[Told[M], None]:
        """What was read, where it is not what was told last."""
        last: M | None = None
        with self._feed.bells.hearing(self._rollout) as bell:
            looking = Looking(bell, apart=self._apart, rests=self._rests)
            while not bell.is_closed:
                with looking.look():
                    now = await self._try_to_read()
                if now is not None and now != last:
                    last = now
                    yield Told(now.cursor, now)
                if now is not None and self._is_last(now):
                    return
                await looking.again()

    async def _try_to_read(self) -> M | None:
        """None while the database is away: what was told last is all that is known until it is back."""
        try:
            return await self._read()
        except AWAY:
            log.warning("%s cannot be read while the database is away; it is tried again", self.key)
            return None


class OneDevice(Latest[Watched]):
    """A device, which is looked at together with all others that are watched in this process."""

    def __init__(self, ctx: Context, device: Device) -> None:
        self.key = ("device", device.uuid)
        self._ctx = ctx
        self._device = device.id

    async def values(self) -> AsyncGenerator[Told[Watched], None]:
        """How it looks, whenever that is not what was told last."""
        async with self._ctx.watched.watching(self._ctx.db, self._ctx.feed, self._device) as place:
            while (now := await place.news()) is not None:
                yield Told(now.cursor, now)


async def _counted(ctx: Context, wanted: DeviceFilter) -> Counts:
    cursor = ctx.feed.position
    async with ctx.watched.counting, ctx.db.reading() as conn:
        now = await ctx.db.now(conn)
        return Counts(await selecting.tally(conn, wanted, now), now, cursor)
