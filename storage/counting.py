"""Every statement that counts where the members of a rollout are: what the engine decides by, and what people see."""

from dataclasses import dataclass
from datetime import datetime

from domain.health import Outcome
from domain.ids import RolloutId
from domain.progress import Count
from domain.rollouts import Rollout
from domain.statuses import DeviceStatus
from domain.zones import Zone
from storage.connection import Connection


async def by_status(conn: Connection, rollout: RolloutId, now: datetime) -> dict[DeviceStatus, int]:
    """How many members are where."""
    rows = await conn.fetch(
        """
        select status, count(*) as devices
          from (select member_status(m, r, $2) as status
                  from members m
                  join rollouts r on r.id = m.rollout_id
                 where m.rollout_id = $1 and m.part = 0
                offset 0) as shown -- or PostgreSQL expects as many groups as members, and sorts a million rows
         group by status
        """,
        rollout, now,
    )  # fmt: skip
    return {DeviceStatus(row["status"]): row["devices"] for row in rows}


async def tallies(conn: Connection, rollout: Rollout, now: datetime) -> list[Count]:
    """What the engine goes by: the members that were offered the image and not handed to a newer rollout, alike ones counted together."""
    silence = await silent_below(conn, rollout, now)
    rows = await conn.fetch(
        """
        select kind, count(*) as devices
          from (select member_status(m, r, $2) || ' ' || coalesce(m.outcome, '') || ' ' || (
                           case when m.rank >= $3 then 1 else 0 end
                           + case when is_silent(m, r, $5, $6, $7, $8) then 2 else 0 end
                           + case when case when m.outcome is null
                                             then member_status(m, r, $2) = 'timed_out' and silent_until(m, r) <= r.failures_accepted_at
                                            when m.outcome <> 'running' then m.outcome_at <= r.failures_accepted_at end then 4 else 0 end
                           + case when m.checked = 'inconclusive' and not is_checked(m, r) then 8 else 0 end)::text as kind
                  from members m
                  join rollouts r on r.id = m.rollout_id
                 where m.rollout_id = $1 and m.part = 0 and (m.live or m.skipped_at is not null) and m.rank < $4
                offset 0) as shown -- and as one column: or PostgreSQL expects as many groups as members, and sorts a million rows
         group by kind
        """,
        rollout.id, now, rollout.ends[-1] if rollout.ends else 0, rollout.reached, *silence.as_arguments(),
    )  # fmt: skip
    return [_count(row["kind"], row["devices"]) for row in rows]


def _count(kind: str, devices: int) -> Count:
    status, outcome, flags = kind.split(" ")
    in_batch, is_silent, is_accepted, is_inconclusive = (bool(int(flags) & bit) for bit in (1, 2, 4, 8))
    return Count(DeviceStatus(status), Outcome(outcome) if outcome else None, devices, in_batch, is_silent, is_accepted, is_inconclusive)


@dataclass(frozen=True, slots=True)
class Silence:
    """Below which rank a member that has not polled is silent."""

    patience: datetime
    """Whoever was offered the image by then has had the time to poll."""
    below: int
    below_in_zone: dict[str, int]

    def as_arguments(self) -> tuple[object, ...]:
        """What the SQL function is_silent is told."""
        return self.patience, self.below, list(self.below_in_zone), list(self.below_in_zone.values())


async def silent_below(conn: Connection, rollout: Rollout, now: datetime) -> Silence:
    """How far the frontier was when patience began, and that of each time zone."""
    patience = now - rollout.plan.pickup
    row = await conn.fetchrow(
        """
        select (select frontier from moves where rollout_id = $1 and at <= $2 order by revision desc limit 1) as frontier,
               (select changes -> 'zones' from moves where rollout_id = $1 and at <= $2 and changes ? 'zones'
                 order by revision desc limit 1) as zones
        """,
        rollout.id, patience,
    )  # fmt: skip
    assert row is not None
    then = {zone["name"]: zone["frontier"] for zone in row["zones"] or ()}
    return Silence(patience, row["frontier"] or 0, {zone.name: _silent_below(zone, then, patience) for zone in rollout.zones})


def _silent_below(zone: Zone, then: dict[str, int], patience: datetime) -> int:
    """Those of a zone had their window, or were let in long enough ago in the one that is open."""
    if not zone.is_open:
        return zone.frontier
    return then.get(zone.name, 0) if zone.since <= patience else 0


async def reach(conn: Connection, rollout: Rollout, lowest: int, now: datetime) -> int | None:
    """The first rank that a cap on a label does not let in, of those above `lowest`; None where the plan has no such cap.

    Who may be down counts: offered it and not proven, failed, to be offered it again, or going back.
    """
    if (cap := rollout.plan.pace.per_label) is None:
        return None
    rank: int | None = await conn.fetchval(
        """
        with busy as (
            select lane, count(*) as devices from members m join rollouts r on r.id = m.rollout_id
             where m.rollout_id = $1 and m.part = 0 and m.lane is not null and m.rank < $6 and may_be_down(m, r, $3)
             group by lane
        ), next as (
            select m.rank, m.lane, row_number() over (partition by m.lane order by m.rank) as nth
              from (select m.* from members m join rollouts r on r.id = m.rollout_id
                     where m.rollout_id = $1 and m.part = 0 and m.rank >= $2 and m.live and m.lane is not null and not is_offered(m, r)
                       and m.withdrawn_at is null and m.deferred_at is null and (m.zone is null or m.zone = any ($5))
                     order by m.rank limit 10000) as m  -- more are not let in at once
        )
        select min(next.rank) from next left join busy using (lane) where next.nth + coalesce(busy.devices, 0) > $4
        """,
        rollout.id, lowest, now, cap.devices, [zone.name for zone in rollout.zones if zone.is_open], rollout.reached,
    )  # fmt: skip
    return rank if rank is not None else lowest + 10_000
