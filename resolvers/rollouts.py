"""What operators do with rollouts, and what everybody may see of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from domain import expected, requests
from domain.actors import Permission
from domain.audit import Action, Subject, SubjectType
from domain.decisions import decide
from domain.errors import Conflict, NotFound
from domain.events import Cursor, EventType
from domain.ids import DeviceId, PolicyId, RolloutId
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
Found = TypeVar("Found")


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
    at: datetime = field(compare=False)
    cursor: Cursor = field(compare=False)
    """What happened up to here is in it; what happens later may be."""


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
    return _found((await explanations(ctx, [rollout_id])).get(rollout_id), rollout_id)


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
    return _found((await snapshots(ctx, [rollout_id])).get(rollout_id), rollout_id)


async def history(ctx: Context, rollout_id: RolloutId) -> list[PastMove]:
    """Every move, first to last."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await rollouts.history(conn, rollout_id)


async def devices(
    ctx: Context, rollout_id: RolloutId, after_rank: int, limit: int, statuses: Sequence[DeviceStatus] | None = None
) -> list[Member]:
    """A rollout's members, in the order in which they are offered the image."""
    return (await members_of(ctx, [rollout_id], after_rank, limit, statuses)).get(rollout_id, [])


async def _locked(conn: Connection, rollout_id: RolloutId, expected_version: int | None) -> Rollout:
    rollout = _found(await rollouts.locked(conn, rollout_id), rollout_id)
    expected.check(f"rollout {rollout_id}", rollout.revision, expected_version)
    return rollout


def _subject(rollout_id: RolloutId) -> Subject:
    return Subject.of(SubjectType.ROLLOUT, rollout_id)


def _found(found: Found | None, rollout_id: RolloutId) -> Found:
    if found is None:
        raise NotFound.of("rollout", rollout_id)
    return found


# For many at once, in as many statements as for one


async def many(ctx: Context, ids: Sequence[RolloutId]) -> dict[RolloutId, Rollout]:
    """Those of these rollouts that there are."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await rollouts.many(conn, ids)


async def of_policies(
    ctx: Context, policy_ids: Sequence[PolicyId], before: RolloutId, limit: int, statuses: Sequence[Status] | None = None
) -> dict[PolicyId, list[Rollout]]:
    """The rollouts of each of these policies, newest first; a policy that has none is absent."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await rollouts.of_policies(conn, policy_ids, before, limit, statuses)


async def counts_of_policies(ctx: Context, policy_ids: Sequence[PolicyId], statuses: Sequence[Status] | None = None) -> dict[PolicyId, int]:
    """How many rollouts each of these policies has; a policy that has none is absent."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await rollouts.count_of_policies(conn, policy_ids, statuses)


async def snapshots(ctx: Context, ids: Sequence[RolloutId]) -> dict[RolloutId, Snapshot]:
    """Those of these rollouts that there are and their counts, read together."""
    ctx.actor.must(Permission.READ)
    cursor = ctx.feed.position
    async with ctx.db.snapshot() as conn:
        found, now = await rollouts.many(conn, ids), await ctx.db.now(conn)
        counts = await counting.by_statuses(conn, [*found], now)
    return {id_: Snapshot(rollout, counts[id_], now, cursor) for id_, rollout in found.items()}


async def histories(ctx: Context, ids: Sequence[RolloutId]) -> dict[RolloutId, list[PastMove]]:
    """Every move of each of these rollouts, first to last; one that has made none is absent."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await rollouts.histories(conn, ids)


async def explanations(ctx: Context, ids: Sequence[RolloutId]) -> dict[RolloutId, Explanation]:
    """What those of these rollouts that there are wait for, each by the engine's own decision."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.snapshot() as conn:
        found, now = await rollouts.many(conn, ids), await ctx.db.now(conn)
        counts = await progress.counts(conn, [*found.values()], now)
        decided = await pushes.began(conn, [*found])
    return {one.id: Explanation(one, counts[one.id], decide(one, counts[one.id], now), _cause(one, decided)) for one in found.values()}


def _cause(rollout: Rollout, decided: Mapping[RolloutId, str]) -> str:
    by_tag = "" if rollout.image.digest else ", by its tag"
    if rollout.by_hand:
        return f"an operator created it{by_tag}"
    return decided.get(rollout.id) or f"{rollout.image} was pushed; what was decided of that is forgotten{by_tag}"


async def members_of(
    ctx: Context, ids: Sequence[RolloutId], after_rank: int, limit: int, statuses: Sequence[DeviceStatus] | None = None
) -> dict[RolloutId, list[Member]]:
    """The members of each of these rollouts, in the order in which they are offered the image; a rollout without any is absent."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await members.pages(conn, ids, after_rank, limit, await ctx.db.now(conn), statuses)


async def member_counts(ctx: Context, ids: Sequence[RolloutId], statuses: Sequence[DeviceStatus] | None = None) -> dict[RolloutId, int]:
    """How many members each of these rollouts has; who left is one of them."""
    if statuses is None:
        return {id_: rollout.size for id_, rollout in (await many(ctx, ids)).items()}
    found = await snapshots(ctx, ids)
    return {id_: sum(one.counts.get(status, 0) for status in set(statuses)) for id_, one in found.items()}


async def places(ctx: Context, named: Sequence[tuple[RolloutId, str]]) -> dict[tuple[RolloutId, str], Member]:
    """Those of these places of devices in rollouts that there are, each by its rollout and the device's uuid."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await members.many(conn, named, await ctx.db.now(conn))
