"""Every statement that reads or writes rollouts and their moves."""

from collections.abc import Sequence
from datetime import datetime

from domain.devices import Device
from domain.events import EventType
from domain.ids import PolicyId, ReleaseId, RolloutId
from domain.images import Image
from domain.plans import Plan
from domain.policies import Scope
from domain.rollouts import DeviceStatus, Move, PastMove, Progress, Rollout, Status
from storage.connection import Connection, Row


class Moved(Exception):
    """The rollout moved on since it was read; whoever reads it again will see what to do."""


async def start(conn: Connection, scope: Scope, release: ReleaseId, image: Image, now: datetime, *, by_hand: bool) -> Rollout:
    """A new rollout, whose members are still to be ranked. The database allows one active rollout per policy and image."""
    plan = scope.policy.settings.plan()
    row = await conn.fetchrow(
        """
        insert into rollouts (policy_id, release_id, repository, image, fleet, except_fleets,
                              shares, delay, soak, pickup, deadline, max_failure_rate, min_outcomes,
                              health_check_enabled, auto_rollback_enabled, starts_by_itself, by_hand,
                              status, stages, stage, size, frontier, reached, revision, created_at, moved_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17,
                'enrolling', '{}', -1, 0, 0, 0, 0, $18, $18)
        returning *
        """,
        scope.policy.id, release, image.repository, str(image), scope.fleet, list(scope.except_fleets),
        list(plan.shares), plan.delay, plan.soak, plan.pickup, plan.deadline, plan.max_failure_rate, plan.min_outcomes,
        plan.health_check_enabled, plan.auto_rollback_enabled, plan.starts_by_itself or by_hand, by_hand, now,
    )  # fmt: skip
    assert row is not None
    return _rollout(row)


async def claim(conn: Connection, after: RolloutId) -> Rollout | None:
    """Lock the next rollout that may move by itself; those that another process is moving are passed over."""
    row = await conn.fetchrow(
        """
        select * from rollouts
         where status in ('enrolling', 'pending', 'in_progress', 'rolling_back') and id > $1
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


async def locked_active(conn: Connection, policy: PolicyId, repository: str) -> Rollout | None:
    """The rollout under way for this policy and image, locked."""
    row = await conn.fetchrow(
        """
        select * from rollouts
         where policy_id = $1 and repository = $2 and status in ('enrolling', 'pending', 'in_progress', 'paused')
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
            or repository = any ($2) and status in ('pending', 'in_progress', 'paused')
               and (fleet is null and not coalesce($3 = any (except_fleets), false) or fleet = $3)
         order by id
           for update
        """,
        device.id, repositories, device.fleet,
    )  # fmt: skip
    return [_rollout(row) for row in rows]


async def lock_active(conn: Connection, repository: str) -> None:
    """Lock every rollout of this image that is under way."""
    await conn.execute(
        """
        select from rollouts
         where repository = $1 and status in ('enrolling', 'pending', 'in_progress', 'paused')
         order by id
           for update
        """,
        repository,
    )


async def save(conn: Connection, move: Move, actor: str) -> None:
    """Write a move and its history, or raise Moved if the rollout is no longer what the move was decided on."""
    new = move.result
    done = await conn.execute(
        """
        update rollouts
           set status = $3, stages = $4, stage = $5, size = $6, frontier = $7, reached = $8, revision = $9,
               frontier_at = $10, settled_at = $11, failures_accepted_at = $12, reason = $13,
               moved_at = $14, started_at = $15, finished_at = $16
         where id = $1 and revision = $2
        """,
        new.id, move.before.revision, new.status, list(new.stages), new.stage, new.size, new.frontier, new.reached, new.revision,
        new.frontier_at, new.settled_at, new.failures_accepted_at, new.reason, new.moved_at, new.started_at, new.finished_at,
    )  # fmt: skip
    if done != "UPDATE 1":
        raise Moved(f"rollout {new.id} moved on since it was read")
    await conn.execute(
        """
        insert into moves (rollout_id, revision, at, event, actor, reason, status, stage, frontier)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        new.id, new.revision, new.moved_at, move.event, actor, new.reason, new.status, new.stage, new.frontier,
    )  # fmt: skip


async def grow(conn: Connection, rollout: RolloutId, by: int) -> None:
    """Members joined at the end."""
    await conn.execute("update rollouts set size = size + $2 where id = $1", rollout, by)


async def block_release(conn: Connection, rollout: Rollout) -> None:
    """Keep the release of a rollout that is rolled back from being started again by the next webhook."""
    await conn.execute(
        """
        update releases set blocked_at = $2, blocked_reason = $3
         where id = (select release_id from rollouts where id = $1)
        """,
        rollout.id, rollout.moved_at, rollout.reason or "rolled back",
    )  # fmt: skip


async def counts(conn: Connection, rollout: RolloutId, now: datetime) -> dict[DeviceStatus, int]:
    """How many members are where."""
    rows = await conn.fetch(
        """
        select member_status(m, r, $2) as status, count(*) as devices
          from members m
          join rollouts r on r.id = m.rollout_id
         where m.rollout_id = $1
         group by 1
        """,
        rollout, now,
    )  # fmt: skip
    return {DeviceStatus(row["status"]): row["devices"] for row in rows}


async def progress(conn: Connection, rollout: Rollout, now: datetime) -> Progress:
    """What the engine goes by: the members that were offered the image and not handed to a newer rollout."""
    rows = await conn.fetch(
        """
        select member_status(m, r, $2) as status, count(*) as devices,
               count(*) filter (where case m.outcome when 'failed' then m.outcome_at else silent_until(m, r) end
                                      <= r.failures_accepted_at) as before_resuming
          from members m
          join rollouts r on r.id = m.rollout_id
         where m.rollout_id = $1 and (m.live or m.skipped_at is not null) and m.rank < r.reached
         group by 1
        """,
        rollout.id, now,
    )  # fmt: skip
    counts = {DeviceStatus(row["status"]): row["devices"] for row in rows}
    accepted = sum(row["before_resuming"] for row in rows if row["status"] in (DeviceStatus.FAILED, DeviceStatus.TIMED_OUT))
    return Progress.of(counts, rollout.plan, accepted)


async def latest_of(conn: Connection, release: ReleaseId) -> Rollout | None:
    """The newest rollout of a release."""
    row = await conn.fetchrow("select * from rollouts where release_id = $1 order by id desc limit 1", release)
    return None if row is None else _rollout(row)


async def one(conn: Connection, rollout: RolloutId) -> Rollout | None:
    row = await conn.fetchrow("select * from rollouts where id = $1", rollout)
    return None if row is None else _rollout(row)


async def page(
    conn: Connection, before: RolloutId, limit: int, statuses: Sequence[Status] | None, policy: PolicyId | None
) -> list[Rollout]:
    """Rollouts, newest first."""
    rows = await conn.fetch(
        """
        select * from rollouts
         where id < $1 and ($3::text[] is null or status = any($3)) and ($4::bigint is null or policy_id = $4)
         order by id desc limit $2
        """,
        before, limit, statuses, policy,
    )  # fmt: skip
    return [_rollout(row) for row in rows]


async def history(conn: Connection, rollout: RolloutId) -> list[PastMove]:
    """Every move of a rollout, first to last."""
    rows = await conn.fetch("select * from moves where rollout_id = $1 order by revision", rollout)
    return [_past(row) for row in rows]


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


def _rollout(row: Row) -> Rollout:
    return Rollout(
        id=RolloutId(row["id"]),
        policy_id=PolicyId(row["policy_id"]),
        image=Image.parse(row["image"]),
        plan=_plan(row),
        fleet=row["fleet"],
        except_fleets=tuple(row["except_fleets"]),
        status=Status(row["status"]),
        stages=tuple(row["stages"]),
        **{
            name: row[name]
            for name in (
                "by_hand", "stage", "size", "frontier", "reached", "revision", "frontier_at", "settled_at", "failures_accepted_at",
                "reason", "created_at", "moved_at", "started_at", "finished_at",
            )
        },
    )  # fmt: skip


def _plan(row: Row) -> Plan:
    return Plan(
        shares=tuple(row["shares"]),
        delay=row["delay"],
        soak=row["soak"],
        pickup=row["pickup"],
        deadline=row["deadline"],
        max_failure_rate=row["max_failure_rate"],
        min_outcomes=row["min_outcomes"],
        health_check_enabled=row["health_check_enabled"],
        auto_rollback_enabled=row["auto_rollback_enabled"],
        starts_by_itself=row["starts_by_itself"],
    )
