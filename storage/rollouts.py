"""Every statement that reads or writes rollouts and their moves."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from domain import plans
from domain.devices import Device
from domain.events import EventType
from domain.ids import PolicyId, ReleaseId, RolloutId
from domain.images import Image
from domain.plans import Plan
from domain.policies import Scope
from domain.rollouts import ROLLBACK_WINDOW, Move, PastMove, Rollout, RolloutFilter
from domain.selectors import Selector, document
from domain.statuses import Status
from domain.zones import Zone
from storage.conditions import Conditions
from storage.connection import Connection, Row
from storage.grouping import counted, grouped


class Moved(Exception):
    """The rollout moved on since it was read; whoever reads it again will see what to do."""


async def start(
    conn: Connection, scope: Scope, release: ReleaseId, image: Image, now: datetime, *, by_hand: bool, also: Sequence[Image] = ()
) -> Rollout:
    """A new rollout, whose members are still to be ranked. The database allows one active rollout per policy and image."""
    plan = scope.policy.settings.plan(by_hand=by_hand)
    row = await conn.fetchrow(
        """
        insert into rollouts (policy_id, release_id, repository, image, also, repositories, fleet, except_fleets, selector, by_hand,
                              plan, soaks, deadline, step, health_check_enabled, are_devices_checked,
                              status, stages, stage, size, frontier, reached, revision, created_at, moved_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
                'enrolling', '{}', -1, 0, 0, 0, 0, $17, $17)
        returning *
        """,
        scope.policy.id, release, image.repository, str(image), list(map(str, also)), [one.repository for one in (image, *also)],
        scope.fleet, list(scope.except_fleets), document(scope.selector), by_hand,
        *_plan_columns(plan), now,
    )  # fmt: skip
    assert row is not None
    return _rollout(row)


def _plan_columns(plan: Plan) -> tuple[object, ...]:
    """The plan, and what SQL reads of it: plan, soaks, deadline, step, health_check_enabled, are_devices_checked."""
    soaks = [stage.soak for stage in plan.stages]
    return plans.document(plan), soaks, plan.deadline, plan.step, plan.health_check_enabled, bool(plan.device_checks)


async def claim(conn: Connection, after: RolloutId, now: datetime) -> Rollout | None:
    """Lock the next rollout that may move by itself; those that another process is moving are passed over."""
    row = await conn.fetchrow(
        """
        select * from rollouts
         where id > $1
           and (status in ('enrolling', 'pending', 'in_progress', 'rolling_back') or zones <> '[]' and frontier > 0)
           and (finished_at is null or finished_at > $2)
         order by id limit 1
           for update skip locked
        """,
        after, now - ROLLBACK_WINDOW,
    )  # fmt: skip
    return None if row is None else _rollout(row)


async def checked(conn: Connection) -> list[Rollout]:
    """The rollouts on their way that have checks from outside."""
    rows = await conn.fetch(
        """
        select * from rollouts
         where status = 'in_progress' and (are_devices_checked or answered_at is not null and settled_at is null)
         order by id
        """
    )
    return [_rollout(row) for row in rows]


async def claim_for_waking(conn: Connection, after: RolloutId) -> Rollout | None:
    """Lock the next completed rollout with devices that were passed over and polled since; those another process has are passed over."""
    row = await conn.fetchrow(
        """
        select * from rollouts
         where id > $1 and status = 'completed'
           and exists (select from members m join devices d on d.id = m.device_id
                        where m.rollout_id = rollouts.id and m.live and m.deferred_at < d.last_seen_at)
         order by id limit 1
           for update skip locked
        """,
        after,
    )
    return None if row is None else _rollout(row)


async def locked(conn: Connection, rollout: RolloutId) -> Rollout | None:
    """One rollout, so that nobody else moves it before this transaction ends."""
    row = await conn.fetchrow("select * from rollouts where id = $1 for update", rollout)
    return None if row is None else _rollout(row)


async def active(conn: Connection, policy: PolicyId, repositories: Sequence[str]) -> list[Rollout]:
    """The rollouts under way for this policy and these images."""
    rows = await conn.fetch(
        """
        select * from rollouts
         where policy_id = $1 and repositories && $2 and status in ('enrolling', 'pending', 'in_progress', 'paused')
         order by id
        """,
        policy, repositories,
    )  # fmt: skip
    return [_rollout(row) for row in rows]


async def locked_active(conn: Connection, policy: PolicyId, repository: str) -> Rollout | None:
    """The rollout under way for this policy and image, locked."""
    row = await conn.fetchrow(
        """
        select * from rollouts
         where policy_id = $1 and $2 = any (repositories) and status in ('enrolling', 'pending', 'in_progress', 'paused')
         order by id
           for update
        """,
        policy, repository,
    )  # fmt: skip
    return None if row is None else _rollout(row)


async def locked_around(conn: Connection, device: Device, repositories: Sequence[str]) -> list[Rollout]:
    """The rollouts that a change of this device's target concerns, locked: those it is in, and those it would join with these images."""
    rows = await conn.fetch(
        """
        select * from rollouts
         where id in (select rollout_id from members where device_id = $1 and live)
            or repositories && $2 and status in ('pending', 'in_progress', 'paused')
               and (fleet is null and not coalesce($3 = any (except_fleets), false) or fleet = $3)
         order by id
           for update
        """,
        device.id, repositories, device.fleet,
    )  # fmt: skip
    return [_rollout(row) for row in rows]


async def lock_active(conn: Connection, repositories: Sequence[str]) -> None:
    """Lock every rollout of these images that is under way."""
    await conn.execute(
        """
        select from rollouts
         where repositories && $1 and status in ('enrolling', 'pending', 'in_progress', 'paused')
         order by id
           for update
        """,
        repositories,
    )


async def save(conn: Connection, move: Move, actor: str) -> None:
    """Write a move and its history, or raise Moved if the rollout is no longer what the move was decided on."""
    new = move.result
    done = await conn.execute(
        """
        update rollouts
           set status = $3, stages = $4, canaries = $5, ends = $6, stage = $7, size = $8, frontier = $9, reached = $10, zones = $11,
               revision = $12, frontier_at = $13, paced_at = $14, settled_at = $15, promoted = $16, approved_by = $17,
               failures_accepted_at = $18, reason = $19, moved_at = $20, started_at = $21, finished_at = $22,
               answered_at = $23,
               plan = $24, soaks = $25, deadline = $26, step = $27, health_check_enabled = $28, are_devices_checked = $29
         where id = $1 and revision = $2
        """,
        new.id, move.before.revision, new.status, list(new.stages), list(new.canaries), list(new.ends), new.stage, new.size,
        new.frontier, new.reached, _zones().dump_python(new.zones, mode="json"), new.revision, new.frontier_at, new.paced_at,
        new.settled_at, new.promoted, list(new.approved_by), new.failures_accepted_at, new.reason, new.moved_at, new.started_at,
        new.finished_at, new.answered_at, *_plan_columns(new.plan),
    )  # fmt: skip
    if done != "UPDATE 1":
        raise Moved(f"rollout {new.id} moved on since it was read")
    await conn.execute(
        """
        insert into moves (rollout_id, revision, at, event, actor, reason, status, stage, frontier, changes)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        new.id, new.revision, new.moved_at, move.event, actor, new.reason, new.status, new.stage, new.frontier, changes(move),
    )  # fmt: skip


def changes(move: Move) -> dict[str, Any]:
    """What a move made of each field that it changed, as JSON keeps it."""
    changed = [field.name for field in fields(Rollout) if getattr(move.before, field.name) != getattr(move.result, field.name)]
    kept: dict[str, Any] = _rollouts().dump_python(move.result, mode="json", include=set(changed))
    return kept


def folded(first: Rollout, history: Sequence[dict[str, Any]]) -> Rollout:
    """The rollout that a history of changes, first to last, makes of what it was when it was created."""
    known: dict[str, Any] = _rollouts().dump_python(first, mode="json")
    for changed in history:
        known |= changed
    return _rollouts().validate_python(known)


@cache
def _zones() -> TypeAdapter[tuple[Zone, ...]]:
    return TypeAdapter(tuple[Zone, ...])


@cache
def _rollouts() -> TypeAdapter[Rollout]:
    return TypeAdapter(Rollout)


async def block_release(conn: Connection, rollout: Rollout, actor: str) -> None:
    """Keep what a rollout that is rolled back brought from being started again by the next webhook."""
    await conn.execute(
        """
        update releases set blocked_at = $2, blocked_reason = $3, blocked_by = $4
          from unnest($5::text[], $6::text[]) as brought (repository, identity)
         where policy_id = $1 and releases.repository = brought.repository and releases.identity = brought.identity
        """,
        rollout.policy_id, rollout.moved_at, rollout.reason or "rolled back", actor,
        [image.repository for image in rollout.images], [image.release for image in rollout.images],
    )  # fmt: skip


async def follower(conn: Connection, rollout: Rollout) -> RolloutId | None:
    """The first rollout of the same policy that took over devices of an ended one."""
    found: int | None = await conn.fetchval(
        """
        select min(id) from rollouts
         where policy_id = $1 and id > $2 and repositories && $3 and reached > 0
        """,
        rollout.policy_id, rollout.id, list(rollout.repositories),
    )  # fmt: skip
    return None if found is None else RolloutId(found)


async def latest_of(conn: Connection, release: ReleaseId) -> Rollout | None:
    """The newest rollout of a release."""
    row = await conn.fetchrow("select * from rollouts where release_id = $1 order by id desc limit 1", release)
    return None if row is None else _rollout(row)


async def recent_release_of_tag(conn: Connection, policy: PolicyId, image: Image, since: datetime) -> ReleaseId | None:
    """The release of the same tag that was told with a digest where this one has none, or without where it has one, since then."""
    found: int | None = await conn.fetchval(
        """
        select release_id from rollouts
         where policy_id = $1 and repository = $2 and split_part(image, '@', 1) = split_part($3, '@', 1)
           and (image like '%@%') <> ($3 like '%@%') and created_at > $4
         order by id desc limit 1
        """,
        policy, image.repository, str(image), since,
    )  # fmt: skip
    return None if found is None else ReleaseId(found)


async def one(conn: Connection, rollout: RolloutId) -> Rollout | None:
    return (await many(conn, [rollout])).get(rollout)


async def many(conn: Connection, rollouts: Sequence[RolloutId]) -> dict[RolloutId, Rollout]:
    """Those of these rollouts that there are."""
    return {RolloutId(row["id"]): _rollout(row) for row in await conn.fetch("select * from rollouts where id = any ($1)", rollouts)}


async def page(conn: Connection, before: RolloutId, limit: int, wanted: RolloutFilter) -> list[Rollout]:
    """Rollouts that have something in common, newest first."""
    conditions = _conditions(wanted)
    conditions.add("id < {}", before)
    rows = await conn.fetch(
        f"select * from rollouts where {conditions} order by id desc limit {limit:d}",  # noqa: S608 – text of our own
        *conditions.given,
    )
    return [_rollout(row) for row in rows]


async def count(conn: Connection, wanted: RolloutFilter) -> int:
    """How many rollouts have something in common."""
    conditions = _conditions(wanted)
    found: int = await conn.fetchval(f"select count(*) from rollouts where {conditions}", *conditions.given)  # noqa: S608 – text of our own
    return found


def _conditions(wanted: RolloutFilter) -> Conditions:
    conditions = Conditions()
    conditions.where("status = any ({})", wanted.statuses)
    conditions.where("policy_id = {}", wanted.policy)
    conditions.where("fleet = {}", wanted.fleet)
    conditions.where("position(lower({}::text) in lower(concat_ws(' ', image, array_to_string(also, ' ')))) > 0", wanted.search)
    conditions.where("created_at >= {}", wanted.since)
    conditions.where("created_at < {}", wanted.until)
    return conditions


async def of_policies(
    conn: Connection, policies: Sequence[PolicyId], before: RolloutId, limit: int, statuses: Sequence[Status] | None
) -> dict[PolicyId, list[Rollout]]:
    """The rollouts of each of these policies, newest first."""
    rows = await conn.fetch(
        """
        select r.*
          from unnest($1::bigint[]) as asked (policy_id),
               lateral (select * from rollouts
                         where policy_id = asked.policy_id and id < $2 and ($4::text[] is null or status = any ($4))
                         order by id desc limit $3) as r
         order by r.id desc
        """,
        policies, before, limit, statuses,
    )  # fmt: skip
    return grouped(rows, "policy_id", _rollout)


async def count_of_policies(conn: Connection, policies: Sequence[PolicyId], statuses: Sequence[Status] | None) -> dict[PolicyId, int]:
    """How many rollouts each of these policies has."""
    rows = await conn.fetch(
        """
        select policy_id, count(*) as found from rollouts
         where policy_id = any ($1) and ($2::text[] is null or status = any ($2))
         group by policy_id
        """,
        policies, statuses,
    )  # fmt: skip
    return counted(rows, "policy_id")


async def history(conn: Connection, rollout: RolloutId) -> list[PastMove]:
    """Every move of a rollout, first to last."""
    return (await histories(conn, [rollout])).get(rollout, [])


async def histories(conn: Connection, rollouts: Sequence[RolloutId]) -> dict[RolloutId, list[PastMove]]:
    """Every move of each of these rollouts, first to last."""
    return grouped(await conn.fetch("select * from moves where rollout_id = any ($1) order by revision", rollouts), "rollout_id", _past)


def _past(row: Row) -> PastMove:
    return PastMove(
        revision=row["revision"],
        at=row["at"],
        event=EventType(row["event"]),
        actor=row["actor"],
        reason=row["reason"],
        status=Status(row["status"]),
        stage=row["stage"],
        frontier=row["frontier"],
    )


_AS_THEY_ARE = (
    "fleet", "by_hand", "stage", "size", "frontier", "reached", "revision", "frontier_at", "paced_at", "settled_at", "answered_at",
    "promoted", "failures_accepted_at", "reason", "created_at", "moved_at", "started_at", "finished_at",
)  # fmt: skip
_TUPLES = ("except_fleets", "stages", "canaries", "ends", "approved_by")


def _rollout(row: Row) -> Rollout:
    plain: dict[str, Any] = {name: row[name] for name in _AS_THEY_ARE} | {name: tuple(row[name]) for name in _TUPLES}
    return Rollout(
        id=RolloutId(row["id"]),
        policy_id=PolicyId(row["policy_id"]),
        image=Image.parse(row["image"]),
        also=tuple(map(Image.parse, row["also"])),
        plan=plans.from_document(row["plan"]),
        status=Status(row["status"]),
        zones=_zones().validate_python(row["zones"]),
        selector=Selector.from_document(row["selector"]),
        **plain,
    )


async def of_fleets(conn: Connection, fleets: Sequence[str | None], before: RolloutId, limit: int) -> dict[str | None, list[Rollout]]:
    """The rollouts that are for each of these fleets, alone or with others, newest first; None is for devices without one."""
    # Ranges of an index, as in storage/selecting.py.
    rows = await conn.fetch(
        """
        select asked.fleet as asked, r.*
          from unnest($1::text[]) as asked (fleet),
               lateral ((select * from rollouts where (fleet, id) > (asked.fleet, 0) and (fleet, id) < (asked.fleet, $2)
                          order by fleet desc, id desc limit $3)
                        union all
                        (select * from rollouts
                          where fleet is null and coalesce(asked.fleet <> all (except_fleets), true) and id < $2
                          order by fleet desc, id desc limit $3)
                        order by id desc limit $3) as r
         order by r.id desc
        """,
        fleets, before, limit,
    )  # fmt: skip
    return grouped(rows, "asked", _rollout)


async def count_of_fleets(conn: Connection, fleets: Sequence[str | None]) -> dict[str | None, int]:
    """How many rollouts are for each of these fleets, alone or with others."""
    rows = await conn.fetch(
        """
        select asked.fleet, count(*) as found
          from unnest($1::text[]) as asked (fleet)
          join rollouts r on r.fleet = asked.fleet or r.fleet is null and coalesce(asked.fleet <> all (r.except_fleets), true)
         group by asked.fleet
        """,
        fleets,
    )  # fmt: skip
    return counted(rows, "fleet")
