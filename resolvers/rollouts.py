"""What operators do with rollouts, and what everybody may see of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain import requests
from domain.actors import Permission
from domain.decisions import decide
from domain.errors import Conflict, NotFound
from domain.events import EventType
from domain.ids import DeviceId, PolicyId, RolloutId
from domain.members import Member
from domain.progress import Progress
from domain.requests import Request, ask
from domain.rollouts import Move, PastMove, Rollout, ranks_of
from domain.statuses import DeviceStatus, Status
from domain.waits import Wait
from resolvers import moves, progress
from resolvers.context import Context
from resolvers.devices import checked_uuid
from storage import counting, events, members, policies, pushes, rollouts, turns
from storage import devices as devices_of
from storage.connection import Connection


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a rollout is where it is."""

    rollout: Rollout
    progress: Progress
    next: Move | Wait
    cause: str
    """What it came of; of one that goes by its tag, why."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A rollout and where its members are, at one moment."""

    rollout: Rollout
    counts: dict[DeviceStatus, int]
    at: datetime


async def request(
    ctx: Context, rollout_id: RolloutId, what: Request, reason: str | None = None, decided_on: str | None = None, batch: int | None = None
) -> Rollout:
    """Start, approve, promote, pause, resume, retry, cancel or roll back a rollout.

    Raises IllegalMove when its state does not allow it. A decision names the checksum of what it was made for, or is a Conflict.
    """
    ctx.actor.must(Permission.OPERATE)
    async with ctx.db.transaction() as conn:
        rollout, now = _found(await rollouts.locked(conn, rollout_id), rollout_id), await ctx.db.now(conn)
        move = ask(rollout, what, now, reason, actor=ctx.actor.name, decided_on=decided_on, batch=batch)
        if what is Request.ROLL_BACK:
            await _check_not_followed(conn, rollout)
        await moves.save(conn, move, ctx.actor)
        if what is Request.RETRY:
            await turns.try_again(conn, rollout, now)
    return move.result


async def replan(ctx: Context, rollout_id: RolloutId) -> Rollout:
    """Have a rollout that has not begun take over the settings its policy has now; approvals given for the old ones are void."""
    ctx.actor.must(Permission.OPERATE)
    async with ctx.db.transaction() as conn:
        rollout = _found(await rollouts.locked(conn, rollout_id), rollout_id)
        policy = await policies.one(conn, rollout.policy_id)
        assert policy is not None, "a rollout's policy keeps its row"
        move = requests.replan(rollout, policy.settings.plan(by_hand=rollout.by_hand), await ctx.db.now(conn))
        await moves.save(conn, move, ctx.actor)
    return move.result


async def roll_back_batch(ctx: Context, rollout_id: RolloutId, batch: int) -> Rollout:
    """Take the image back from one batch, counted from 1; the others keep it, and the rollout goes on.

    Raises Conflict where nobody in it has the image any more.
    """
    ctx.actor.must(Permission.OPERATE)
    async with ctx.db.transaction() as conn:
        rollout = _found(await rollouts.locked(conn, rollout_id), rollout_id)
        first, end = ranks_of(rollout, batch - 1)
        await _check_not_followed(conn, rollout)
        if not await _withdraw(ctx, conn, rollout, first, end):
            raise Conflict(f"nobody in batch {batch} is offered the image of rollout {rollout_id} any more")
    return rollout


async def roll_back_device(ctx: Context, rollout_id: RolloutId, uuid: str) -> Rollout:
    """Take the image back from one device; it stays out of this rollout."""
    ctx.actor.must(Permission.OPERATE)
    async with ctx.db.transaction() as conn:
        device = await devices_of.by_uuid(conn, checked_uuid(uuid))
        rollout = _found(await rollouts.locked(conn, rollout_id), rollout_id)
        if device is None or not await _withdraw(ctx, conn, rollout, 0, rollout.frontier, device.id):
            raise Conflict(f"device {uuid} is not offered the image of rollout {rollout_id}")
    return rollout


async def _check_not_followed(conn: Connection, rollout: Rollout) -> None:
    if rollout.status is Status.COMPLETED and (by := await rollouts.follower(conn, rollout)):
        raise Conflict(
            f"rollout {by} has followed it on its devices, and made its image their own: create one with the image that they should run"
        )


async def _withdraw(ctx: Context, conn: Connection, rollout: Rollout, first: int, end: int, only: DeviceId | None = None) -> int:
    now = await ctx.db.now(conn)
    withdrawn = await turns.withdraw_all(conn, rollout, first, end, now, only)
    for uuid in withdrawn if only else ():
        await events.record(
            conn, EventType.DEVICE_WITHDRAWN, now, rollout=rollout.id, revision=rollout.revision, device=uuid, actor=ctx.actor.name
        )
    if withdrawn and not only:
        await events.record(
            conn, EventType.BATCH_WITHDRAWN, now, rollout=rollout.id, revision=rollout.revision,
            first_rank=first, end_rank=end, devices=len(withdrawn), actor=ctx.actor.name,
        )  # fmt: skip
    return len(withdrawn)


async def explain(ctx: Context, rollout_id: RolloutId) -> Explanation:
    """What a rollout waits for and what would make it move: the engine's own decision, and nothing made up beside it."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.snapshot() as conn:
        rollout, now = _found(await rollouts.one(conn, rollout_id), rollout_id), await ctx.db.now(conn)
        found = await progress.count(conn, rollout, now)
        return Explanation(rollout, found, decide(rollout, found, now), await _cause(conn, rollout))


async def _cause(conn: Connection, rollout: Rollout) -> str:
    by_tag = "" if rollout.image.digest else ", by its tag"
    if rollout.by_hand:
        return f"an operator created it{by_tag}"
    return await pushes.began(conn, rollout.id) or f"{rollout.image} was pushed; what was decided of that is forgotten{by_tag}"


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
    return Snapshot(rollout, await counting.by_status(conn, rollout_id, now), now)


def _found(rollout: Rollout | None, rollout_id: RolloutId) -> Rollout:
    if rollout is None:
        raise NotFound(f"there is no rollout {rollout_id}")
    return rollout
