"""What can be watched: a rollout's progress, one device, and how many devices there are of a kind. Of each the newest counts."""

from collections.abc import AsyncGenerator, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from domain import fleet
from domain.actors import Permission
from domain.devices import Device
from domain.errors import NotFound
from domain.events import Cursor
from domain.fleet import DeviceFilter
from domain.ids import DeviceId, RolloutId
from domain.watching import Sight
from resolvers import devices, rollouts
from resolvers.context import Context
from resolvers.looking import Pace
from resolvers.rollouts import Snapshot
from resolvers.streams import Latest, Told
from resolvers.watches import Watch
from storage import selecting
from storage import watching as stored

# A quarter of the time: a million members take a good part of a second to count.
PROGRESS = Pace(apart=0.1, rests=3)
# The same: a thousand devices take some 50 ms.
DEVICES = Pace(apart=0.2, rests=3)
# All counts take turns, for a quarter of the time together: a million devices take 0.6 s.
COUNTS = Pace(apart=1.0, rests=0)


class Moment(Protocol):
    """What is so at one moment; two are equal if it is the same at both."""

    @property
    def cursor(self) -> Cursor: ...


K = TypeVar("K", bound=Hashable)
M = TypeVar("M", bound=Moment)


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
    name = f"the progress of rollout {rollout_id}"

    def watch(ctx: Context) -> Watch[RolloutId, Snapshot]:
        return Watch(name, ctx.feed, rollout_id, lambda ids: rollouts.snapshots(ctx, ids), PROGRESS)

    return Watching(ctx, name, rollout_id, watch, is_last=lambda now: now.rollout.status.is_final)


async def device(ctx: Context, uuid: str) -> Latest[Watched]:
    """One device, looked at together with all others that are watched; ends when it is deleted. Raises NotFound."""
    found = await devices.one(ctx, uuid)
    if found is None:
        raise NotFound.of("device", uuid)

    def watch(ctx: Context) -> Watch[DeviceId, Watched]:
        return Watch("devices", ctx.feed, None, lambda ids: _watched(ctx, ids), DEVICES)

    return Watching(ctx, "devices", found.id, watch)


def counts(ctx: Context, wanted: DeviceFilter) -> Latest[Counts]:
    """How many devices have something in common; it has no end."""
    ctx.actor.must(Permission.READ)

    def watch(ctx: Context) -> Watch[DeviceFilter, Counts]:
        return Watch("counts of devices", ctx.feed, None, lambda asked: _counted(ctx, *asked), COUNTS)

    return Watching(ctx, ("counts", wanted), wanted, watch)


class Watching(Latest[M], Generic[K, M]):
    """Whatever is read for all who watch it."""

    def __init__(
        self,
        ctx: Context,
        what: Hashable,
        one: K,
        watch: Callable[[Context], Watch[K, M]],
        *,
        is_last: Callable[[M], bool] = lambda _: False,
    ) -> None:
        super().__init__(ctx, (what, one))
        self._what = what
        """What is read together."""
        self._one = one
        self._watch = watch
        self._is_last = is_last

    async def values(self) -> AsyncGenerator[Told[M], None]:
        """What was read, where it is not what was told last."""
        async with self._ctx.watches.watching(self._what, self._one, lambda: self._watch(self._ctx)) as place:
            while (now := await place.news()) is not None:
                yield Told(now.cursor, now)
                if self._is_last(now):
                    return


async def _watched(ctx: Context, ids: Sequence[DeviceId]) -> dict[DeviceId, Watched]:
    cursor = ctx.feed.position
    async with ctx.db.reading() as conn:
        now = await ctx.db.now(conn)
        found = await stored.sights(conn, ids, now)
    return {device: Watched(sight, now, cursor) for device, sight in found.items()}


async def _counted(ctx: Context, wanted: DeviceFilter) -> dict[DeviceFilter, Counts]:
    async with ctx.watches.counting.turn(), ctx.db.reading() as conn:
        cursor = ctx.feed.position
        now = await ctx.db.now(conn)
        return {wanted: Counts(await selecting.tally(conn, wanted, now), now, cursor)}
