"""Every statement that counts where the members of rollouts are: what the engine decides by, and what people see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.health import Outcome
from domain.ids import RolloutId
from domain.progress import Count
from domain.rollouts import Rollout, lowest
from domain.statuses import DeviceStatus
from domain.zones import Zone
from storage.connection import Connection, Row

_TYPES = {
    "rollout_id": "bigint", "at": "timestamptz", "batch_began": "integer", "reached": "integer", "patience": "timestamptz",
    "below": "integer", "zones": "text[]", "below_in_zone": "integer[]", "lowest": "integer", "most": "integer", "open_zones": "text[]",
}  # fmt: skip
"""What the statements here are given for each rollout that they count."""


async def _of_each(conn: Connection, statement: str, names: Sequence[str], given: Sequence[tuple[object, ...]]) -> list[Row]:
    """What a statement that takes one rollout from `given` counts, for each.

    Of one alone PostgreSQL is shown the values and not a row of them: it sees how many members there are and counts with several workers,
    and need not plan each time.
    """
    if len(given) == 1:
        values = ", ".join(f"${number}::{_TYPES[name]} as {name}" for number, name in enumerate(names, 1))
        asked, arguments = f"(select {values}) as given", given[0]
    else:
        columns = ", ".join(f"{name} {_TYPES[name]}" for name in names)
        asked, arguments = f"jsonb_to_recordset($1) as given ({columns})", ([dict(zip(names, one, strict=True)) for one in given],)
    counted = f"select given.rollout_id, counted.* from {asked}, lateral ({statement}) as counted"  # noqa: S608 – text of our own
    return await conn.fetch(counted, *arguments)


async def by_status(conn: Connection, rollout: RolloutId, now: datetime) -> dict[DeviceStatus, int]:
    """How many members are where."""
    return (await by_statuses(conn, [rollout], now))[rollout]


async def by_statuses(conn: Connection, rollouts: Sequence[RolloutId], now: datetime) -> dict[RolloutId, dict[DeviceStatus, int]]:
    """How many members of each of these rollouts are where."""
    rows = await _of_each(
        conn,
        """
        select status, count(*) as devices
          from (select member_status(m, r, given.at) as status
                  from members m
                  join rollouts r on r.id = m.rollout_id
                 where m.rollout_id = given.rollout_id and m.part = 0
                offset 0) as shown -- or PostgreSQL expects as many groups as members, and sorts a million rows
         group by status
        """,
        ["rollout_id", "at"], [(rollout, now) for rollout in rollouts],
    )  # fmt: skip
    found: dict[RolloutId, dict[DeviceStatus, int]] = {rollout: {} for rollout in rollouts}
    for row in rows:
        found[row["rollout_id"]][DeviceStatus(row["status"])] = row["devices"]
    return found


async def tallies(conn: Connection, rollouts: Sequence[Rollout], now: datetime) -> dict[RolloutId, list[Count]]:
    """What the engine goes by: the members that were offered the image and not handed to a newer rollout, alike ones counted together."""
    silences = await silent_below_in(conn, rollouts, now)
    given = [
        (rollout.id, now, rollout.ends[-1] if rollout.ends else 0, rollout.reached, *silences[rollout.id].as_arguments())
        for rollout in rollouts
    ]
    rows = await _of_each(
        conn,
        """
        select kind, count(*) as devices
          from (select member_status(m, r, given.at) || ' ' || coalesce(m.outcome, '') || ' ' || (
                           case when m.rank >= given.batch_began then 1 else 0 end
                           + case when is_silent(m, r, given.patience, given.below, given.zones, given.below_in_zone) then 2 else 0 end
                           + case when case when m.outcome is null
                                             then member_status(m, r, given.at) = 'timed_out'
                                                  and silent_until(m, r) <= r.failures_accepted_at
                                            when m.outcome <> 'running' then m.outcome_at <= r.failures_accepted_at end then 4 else 0 end
                           + case when m.checked = 'inconclusive' and not is_checked(m, r) then 8 else 0 end)::text as kind
                  from members m
                  join rollouts r on r.id = m.rollout_id
                 where m.rollout_id = given.rollout_id and m.part = 0 and (m.live or m.skipped_at is not null) and m.rank < given.reached
                offset 0) as shown -- and as one column: or PostgreSQL expects as many groups as members, and sorts a million rows
         group by kind
        """,
        ["rollout_id", "at", "batch_began", "reached", "patience", "below", "zones", "below_in_zone"], given,
    )  # fmt: skip
    found: dict[RolloutId, list[Count]] = {rollout.id: [] for rollout in rollouts}
    for row in rows:
        found[row["rollout_id"]].append(_count(row["kind"], row["devices"]))
    return found


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
    return (await silent_below_in(conn, [rollout], now))[rollout.id]


async def silent_below_in(conn: Connection, rollouts: Sequence[Rollout], now: datetime) -> dict[RolloutId, Silence]:
    """The same in each of these rollouts, each of which has a patience of its own."""
    rows = await _of_each(
        conn,
        """
        select (select frontier from moves where rollout_id = given.rollout_id and at <= given.patience
                 order by revision desc limit 1) as frontier,
               (select changes -> 'zones' from moves where rollout_id = given.rollout_id and at <= given.patience and changes ? 'zones'
                 order by revision desc limit 1) as zones
        """,
        ["rollout_id", "patience"], [(rollout.id, now - rollout.plan.pickup) for rollout in rollouts],
    )  # fmt: skip
    then = {row["rollout_id"]: row for row in rows}
    return {rollout.id: _silence(rollout, then[rollout.id], now) for rollout in rollouts}


def _silence(rollout: Rollout, row: Row, now: datetime) -> Silence:
    patience = now - rollout.plan.pickup
    then = {zone["name"]: zone["frontier"] for zone in row["zones"] or ()}
    return Silence(patience, row["frontier"] or 0, {zone.name: _silent_below(zone, then, patience) for zone in rollout.zones})


def _silent_below(zone: Zone, then: dict[str, int], patience: datetime) -> int:
    """Those of a zone had their window, or were let in long enough ago in the one that is open."""
    if not zone.is_open:
        return zone.frontier
    return then.get(zone.name, 0) if zone.since <= patience else 0


async def reaches(conn: Connection, rollouts: Sequence[Rollout], now: datetime) -> dict[RolloutId, int]:
    """The first rank that a cap on a label does not let in, of those above the lowest frontier; absent where the plan has no such cap.

    Who may be down counts: offered it and not proven, failed, to be offered it again, or going back.
    """
    given = [
        (rollout.id, now, rollout.reached, lowest(rollout), cap.devices, [zone.name for zone in rollout.zones if zone.is_open])
        for rollout in rollouts
        if (cap := rollout.plan.pace.per_label)
    ]
    rows = await _of_each(
        conn,
        """
        with busy as (
            select lane, count(*) as devices from members m join rollouts r on r.id = m.rollout_id
             where m.rollout_id = given.rollout_id and m.part = 0 and m.lane is not null and m.rank < given.reached
               and may_be_down(m, r, given.at)
             group by lane
        ), next as (
            select m.rank, m.lane, row_number() over (partition by m.lane order by m.rank) as nth
              from (select m.* from members m join rollouts r on r.id = m.rollout_id
                     where m.rollout_id = given.rollout_id and m.part = 0 and m.rank >= given.lowest and m.live and m.lane is not null
                       and not is_offered(m, r)
                       and m.withdrawn_at is null and m.deferred_at is null and (m.zone is null or m.zone = any (given.open_zones))
                     order by m.rank limit 10000) as m  -- more are not let in at once
        )
        select coalesce(min(next.rank), given.lowest + 10000) as rank
          from next left join busy using (lane) where next.nth + coalesce(busy.devices, 0) > given.most
        """,
        ["rollout_id", "at", "reached", "lowest", "most", "open_zones"], given,
    )  # fmt: skip
    return {RolloutId(row["rollout_id"]): row["rank"] for row in rows}
