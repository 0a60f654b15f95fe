"""What operators do with rollouts, and what everybody may see of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.actors import Permission
from domain.errors import NotFound
from domain.ids import PolicyId, RolloutId
from domain.members import Member
from domain.rollouts import DeviceStatus, PastMove, Request, Rollout, Status, ask
from resolvers import moves
from resolvers.context import Context
from storage import members, rollouts
from storage.connection import Connection


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A rollout and where its members are, at one moment."""

    rollout: Rollout
    counts: dict[DeviceStatus, int]
    at: datetime


async def request(ctx: Context, rollout_id: RolloutId, what: Request, reason: str | None = None) -> Rollout:
    """Start, pause, resume, cancel or roll back a rollout; raises IllegalMove when its state does not allow it."""
    ctx.actor.must(Permission.OPERATE)
    async with ctx.db.transaction() as conn:
        rollout = _found(await rollouts.locked(conn, rollout_id), rollout_id)
        move = ask(rollout, what, await ctx.db.now(conn), reason)
        await moves.save(conn, move, ctx.actor)
    return move.result


async def one(ctx: Context, rollout_id: RolloutId) -> Rollout | None:
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await rollouts.one(conn, rollout_id)


async def page(
    ctx: Context, before: RolloutId, limit: int, statuses: Sequence[Status] | None = None, policy: PolicyId | None = None
) -> list[Rollout]:
    """Rollouts, newest first."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await rollouts.page(conn, before, limit, statuses, policy)


async def snapshot(ctx: Context, rollout_id: RolloutId) -> Snapshot:
    """The rollout and its counts, read together; raises NotFound."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.snapshot() as conn:
        return await _snapshot(ctx, conn, rollout_id)


async def history(ctx: Context, rollout_id: RolloutId) -> list[PastMove]:
    """Every move, first to last."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await rollouts.history(conn, rollout_id)


async def devices(
    ctx: Context, rollout_id: RolloutId, after_rank: int, limit: int, statuses: Sequence[DeviceStatus] | None = None
) -> list[Member]:
    """A rollout's members, in the order in which they are offered the image."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await members.page(conn, rollout_id, after_rank, limit, await ctx.db.now(conn), statuses)


async def _snapshot(ctx: Context, conn: Connection, rollout_id: RolloutId) -> Snapshot:
    rollout = _found(await rollouts.one(conn, rollout_id), rollout_id)
    now = await ctx.db.now(conn)
    return Snapshot(rollout, await rollouts.counts(conn, rollout_id, now), now)


def _found(rollout: Rollout | None, rollout_id: RolloutId) -> Rollout:
    if rollout is None:
        raise NotFound(f"there is no rollout {rollout_id}")
    return rollout
