"""Every statement by which single devices lose the image of a rollout and get it again: withdrawn, timed out, deferred, admitted."""

from datetime import datetime

from domain.health import Outcome
from domain.ids import DeviceId, RolloutId
from domain.rollouts import Rollout
from storage.connection import Connection
from storage.counting import Silence


async def withdraw(conn: Connection, rollout: RolloutId, device: DeviceId, now: datetime, retry_at: datetime | None) -> None:
    """Take the image back from one device, for good or until it is tried again."""
    await conn.execute(
        """
        update members set withdrawn_at = coalesce(withdrawn_at, $3), retry_at = $4, returned_at = null
         where rollout_id = $1 and device_id = $2
        """,
        rollout, device, now, retry_at,
    )  # fmt: skip


async def withdraw_all(conn: Connection, rollout: Rollout, first: int, end: int, now: datetime, only: DeviceId | None = None) -> list[str]:
    """Take the image back from members with first <= rank < end that were offered it, or from one of them; returns their uuids."""
    rows = await conn.fetch(
        """
        update members set withdrawn_at = $4, retry_at = null
          from devices d
         where d.id = members.device_id and rollout_id = $1 and rank >= $2 and rank < $3 and ($5::bigint is null or device_id = $5)
           and live and skipped_at is null and (withdrawn_at is null or retry_at is not null)
        returning d.uuid
        """,
        rollout.id, first, end, now, only,
    )  # fmt: skip
    return sorted({str(row["uuid"]) for row in rows})


async def time_out(conn: Connection, rollout: Rollout, now: datetime) -> list[str]:
    """Take the image back from devices that were silent past the deadline, where the plan tries them again or returns failed ones."""
    retries = rollout.plan.retries
    limit = retries.limits.get(Outcome.TIMED_OUT, 0)
    rows = await conn.fetch(
        """
        update members m
           set outcome = 'timed_out', outcome_at = $2, reason = 'silent past the deadline', withdrawn_at = $2,
               retry_at = case when m.retries < $3 then $2::timestamptz + $4::interval * 2 ^ m.retries end
          from rollouts r, devices d
         where r.id = $1 and m.rollout_id = r.id and d.id = m.device_id and m.rank < $6 and m.live and m.withdrawn_at is null
           and m.outcome is null and m.taken_at is not null and member_status(m, r, $2) = 'timed_out'
           and ($5 or m.retries < $3)
        returning d.uuid
        """,
        rollout.id, now, limit, retries.backoff, rollout.plan.only_failed_return, rollout.frontier,
    )  # fmt: skip
    return sorted({str(row["uuid"]) for row in rows})


async def try_again(conn: Connection, rollout: Rollout, now: datetime) -> None:
    """Take the image back from all that failed; they are offered it again once they have seen that, and there is room."""
    await conn.execute(
        """
        update members m
           set retry_at = $2, withdrawn_at = coalesce(withdrawn_at, $2), returned_at = null
          from rollouts r
         where r.id = $1 and m.rollout_id = r.id and m.rank < r.frontier and m.live and m.skipped_at is null
           and (m.outcome <> 'running' or member_status(m, r, $2) = 'timed_out')
        """,
        rollout.id, now,
    )  # fmt: skip


async def defer_silent(conn: Connection, rollout: Rollout, silence: Silence, now: datetime) -> None:
    """Take the offer from devices that were silent when their turn came, lest they wake when somebody else has it."""
    await conn.execute(
        """
        update members m set deferred_at = $6, offered_at = null
          from rollouts r
         where r.id = $1 and m.rollout_id = r.id and m.rank < $7 and m.live and m.deferred_at is null
           and is_silent(m, r, $2, $3, $4, $5)
        """,
        rollout.id, *silence.as_arguments(), now, rollout.frontier,
    )  # fmt: skip


async def defer_beside_stuck(conn: Connection, rollout: Rollout, now: datetime) -> None:
    """Pass over devices that share a label's value with as many that failed as may be down at once, so that nobody waits behind them."""
    if (cap := rollout.plan.pace.per_label) is None:
        return
    await conn.execute(
        """
        with full_lanes as (
            select m.lane from members m join rollouts r on r.id = m.rollout_id
             where m.rollout_id = $1 and m.part = 0 and m.live and m.lane is not null and m.rank < r.reached and is_stuck(m, r, $2)
             group by m.lane having count(*) >= $3
        )
        update members m set deferred_at = $2, offered_at = null
          from rollouts r, full_lanes
         where r.id = $1 and m.rollout_id = r.id and m.lane = full_lanes.lane and m.live
           and m.taken_at is null and m.withdrawn_at is null and not is_offered(m, r)
           and coalesce(m.deferred_at < (select last_seen_at from devices d where d.id = m.device_id), true)
        """,
        rollout.id, now, cap.devices,
    )  # fmt: skip


async def admit(conn: Connection, rollout: Rollout, in_flight: int, now: datetime) -> list[str]:
    """Offer the image again to those whose time for another try has come, and to those that were passed over, are awake and not too late.

    As far as there is room: who waits to be tried again holds a place already, also one that is not there. It has polled since the
    image was taken back from it, or had the time to: what is taken and given again between two polls looks the same to it, and
    nothing would be tried. Returns their uuids.
    """
    cap = rollout.plan.pace.per_label
    rows = await conn.fetch(
        """
        with due as (
            select m.* from members m join rollouts r on r.id = m.rollout_id join devices d on d.id = m.device_id
             where m.rollout_id = $1 and m.part = 0 and m.live and m.retry_at <= $2
               and (d.last_seen_at > m.withdrawn_at or m.withdrawn_at + $7::interval <= $2)
               and (m.zone is null or is_let_in(m.rank, m.zone, r.zones))
        ), waiting as (
            select device_id, lane, rank, retry_at from due
            union all
            select m.device_id, m.lane, m.rank, null
              from members m join rollouts r on r.id = m.rollout_id join devices d on d.id = m.device_id
             where m.rollout_id = $1 and m.part = 0 and m.live and m.rank < r.frontier and m.withdrawn_at is null
               and m.deferred_at is not null -- for the planner, who knows how few they are
               and m.deferred_at < d.last_seen_at and coalesce($2 < $6, true)
               and (m.zone is null or is_let_in(m.rank, m.zone, r.zones))
        ), busy as (
            select m.lane, count(*) as devices from members m join rollouts r on r.id = m.rollout_id
             where m.rollout_id = $1 and m.part = 0 and $5::integer is not null and m.lane is not null and m.rank < r.reached
               and not exists (select from due where due.device_id = m.device_id) and may_be_down(m, r, $2)
             group by m.lane
        ), queue as (
            select device_id, lane, retry_at, rank, row_number() over (partition by lane order by retry_at, rank) as nth from waiting
        ), admitted as (
            select device_id from queue left join busy using (lane)
             where $5 is null or lane is null or nth + coalesce(busy.devices, 0) <= $5
             order by retry_at, rank
             limit case when $4::integer is not null then greatest(0, $4 - $3::integer + (select count(*) from due)) end
        )
        update members m
           set withdrawn_at = null, retry_at = null, deferred_at = null, offered_at = $2, taken_at = null, progress_at = null,
               retries = m.retries + case when m.retry_at is null then 0 else 1 end,
               outcome = null, outcome_at = null, returned_at = null, reason = null, checked = null
          from admitted, devices d
         where m.rollout_id = $1 and m.device_id = admitted.device_id and d.id = m.device_id
        returning d.uuid
        """,
        rollout.id, now, in_flight, rollout.plan.pace.in_flight, cap and cap.devices, rollout.plan.schedule.not_after,
        rollout.plan.pickup,
    )  # fmt: skip
    return sorted({str(row["uuid"]) for row in rows})
