"""What operators do with rollouts, and what everybody may see of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain import expected, requests
from domain.actors import Permission
from domain.audit import Action, Subject, SubjectType
from domain.decisions import decide
from domain.errors import Conflict, NotFound
from domain.events import EventType
from domain.ids import DeviceId, RolloutId
from domain.members import Member
from domain.progress import Progress
from domain.requests import Request, ask
from domain.rollouts import Move, PastMove, Rollout, RolloutFilter, ranks_of
from domain.statuses import DeviceStatus, Status
from domain.waits import Wait
from resolvers import moves, progress
from resolvers.changing import Change
from resolvers.context import Context
from resolvers.devices import checked_uuid
from storage import counting, events, members, policies, pushes, rollouts, turns
from storage import devices as devices_of
from storage.connection import Connection

_ALL = RolloutFilter()
_ACTIONS = {
    Request.START: Action.START_ROLLOUT,
    Request.APPROVE: Action.APPROVE_ROLLOUT,
    Request.REJECT: Action.REJECT_ROLLOUT,
    Request.PROMOTE: Action.PROMOTE_ROLLOUT,
    Request.PAUSE: Action.PAUSE_ROLLOUT,
    Request.RESUME: Action.RESUME_ROLLOUT,
    Request.RETRY: Action.RETRY_ROLLOUT,
    Request.CANCEL: Action.CANCEL_ROLLOUT,
    Request.ROLL_BACK: Action.ROLL_BACK_ROLLOUT,
}


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
    ctx: Context, rollout_id: RolloutId, what: Request, reason: str | None = None, decided_on: str | None = None, batch: int | None = None,
    *, expected_version: int | None = None,
) -> Rollout:  # fmt: skip
    """Start, approve, promote, pause, resume, retry, cancel or roll back a rollout.

    Raises IllegalMove when its state does not allow it, and StaleVersion when it has moved. A decision names the checksum of what it was
    made for, or is a Conflict.
    """
    async with ctx.changing(_ACTIONS[what]) as change:
        rollout = await _locked(change.conn, rollout_id, expected_version)
        move = ask(rollout, what, change.now, reason, actor=ctx.actor.name, decided_on=decided_on, batch=batch)
        if what is Request.ROLL_BACK:
            await _check_not_followed(change.conn, rollout)
        await moves.save(change.conn, move, ctx.actor)
        if what is Request.RETRY:
            await turns.try_again(change.conn, rollout, change.now)
        change.of(_subject(rollout_id), revision=move.result.revision, reason=reason, **({} if batch is None else {"batch": batch}))
    return move.result


async def replan(ctx: Context, rollout_id: RolloutId, *, expected_version: int | None = None) -> Rollout:
    """Have a rollout that has not begun take over the settings its policy has now; approvals given for the old ones are void."""
    async with ctx.changing(Action.REPLAN_ROLLOUT) as change:
        rollout = await _locked(change.conn, rollout_id, expected_version)
        policy = await policies.one(change.conn, rollout.policy_id)
        assert policy is not None, "a rollout's policy keeps its row"
        move = requests.replan(rollout, policy.settings.plan(by_hand=rollout.by_hand), change.now)
        await moves.save(change.conn, move, ctx.actor)
        change.of(_subject(rollout_id), revision=move.result.revision, policy_version=policy.version)
    return move.result


async def roll_back_batch(ctx: Context, rollout_id: RolloutId, batch: int, *, expected_version: int | None = None) -> Rollout:
    """Take the image back from one batch, counted from 1; the others keep it, and the rollout goes on.

    Raises Conflict where nobody in it has the image any more.
    """
    async with ctx.changing(Action.ROLL_BACK_BATCH) as change:
        rollout = await _locked(change.conn, rollout_id, expected_version)
        first, end = ranks_of(rollout, batch - 1)
        await _check_not_followed(change.conn, rollout)
        devices = await _withdraw(ctx, change, rollout, first, end)
        if not devices:
            raise Conflict(f"nobody in batch {batch} is offered the image of rollout {rollout_id} any more")
        change.of(_subject(rollout_id), batch=batch, devices=devices)
    return rollout


async def roll_back_device(ctx: Context, rollout_id: RolloutId, uuid: str, *, expected_version: int | None = None) -> Rollout:
    """Take the image back from one device; it stays out of this rollout."""
    async with ctx.changing(Action.ROLL_BACK_DEVICE) as change:
        device = await devices_of.by_uuid(change.conn, checked_uuid(uuid))
        rollout = await _locked(change.conn, rollout_id, expected_version)
        if device is None or not await _withdraw(ctx, change, rollout, 0, rollout.frontier, device.id):
            raise Conflict(f"device {uuid} is not offered the image of rollout {rollout_id}")
        change.of(_subject(rollout_id), device=device.uuid)
    return rollout


async def _check_not_followed(conn: Connection, rollout: Rollout) -> None:
    if rollout.status is Status.COMPLETED and (by := await rollouts.follower(conn, rollout)):
        raise Conflict(
            f"rollout {by} has followed it on its devices, and made its image their own: create one with the image that they should run"
        )


async def _withdraw(ctx: Context, change: Change, rollout: Rollout, first: int, end: int, only: DeviceId | None = None) -> int:
    conn, now = change.conn, change.now
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


async def page(ctx: Context, before: RolloutId, limit: int, wanted: RolloutFilter = _ALL) -> list[Rollout]:
    """Rollouts that have something in common, newest first."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await rollouts.page(conn, before, limit, wanted)


async def count(ctx: Context, wanted: RolloutFilter = _ALL) -> int:
    """How many rollouts have something in common."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await rollouts.count(conn, wanted)


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


async def _locked(conn: Connection, rollout_id: RolloutId, expected_version: int | None) -> Rollout:
    rollout = _found(await rollouts.locked(conn, rollout_id), rollout_id)
    expected.check(f"rollout {rollout_id}", rollout.revision, expected_version)
    return rollout


def _subject(rollout_id: RolloutId) -> Subject:
    return Subject.of(SubjectType.ROLLOUT, rollout_id)


def _found(rollout: Rollout | None, rollout_id: RolloutId) -> Rollout:
    if rollout is None:
        raise NotFound.of("rollout", rollout_id)
    return rollout
