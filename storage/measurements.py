"""Every statement that reads or writes what checks from outside have shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.checks import Measurement, Result, Verdict
from domain.ids import DeviceId, RolloutId
from domain.rollouts import Rollout
from domain.urls import Subject
from storage.connection import Connection, Row
from storage.grouping import grouped


@dataclass(frozen=True, slots=True)
class Checked:
    """A device that runs the image, and what is known of it so far by the name of each check, oldest first."""

    device: DeviceId
    stage: int
    since: datetime
    subject: Subject
    measured: dict[str, list[Measurement]]


async def claim(conn: Connection, rollout: RolloutId, now: datetime, lasts: timedelta) -> bool:
    """Be the only one that measures for this rollout, for a while; false if somebody else is."""
    done = await conn.execute(
        """
        insert into measuring (rollout_id, until) values ($1, $2::timestamptz + $3::interval)
        on conflict (rollout_id) do update set until = excluded.until where measuring.until <= $2
        """,
        rollout, now, lasts,
    )  # fmt: skip
    return done == "INSERT 0 1"


async def release(conn: Connection, rollout: RolloutId) -> None:
    """Let others measure."""
    await conn.execute("delete from measuring where rollout_id = $1", rollout)


async def record(
    conn: Connection, rollout: RolloutId, stage: int, name: str, measured: Measurement, device: DeviceId | None = None
) -> None:
    """Keep a measurement."""
    await conn.execute(
        "insert into measurements (rollout_id, stage, device_id, name, at, result, detail) values ($1, $2, $3, $4, $5, $6, $7)",
        rollout, stage, device, name, measured.at, measured.result, measured.detail,
    )  # fmt: skip


async def of_batch(conn: Connection, rollout: Rollout) -> dict[str, list[Measurement]]:
    """What was measured of the open batch as a whole since its devices had answered, by check, oldest first."""
    return (await of_batches(conn, [rollout]))[rollout.id]


async def of_batches(conn: Connection, rollouts: Sequence[Rollout]) -> dict[RolloutId, dict[str, list[Measurement]]]:
    """What was measured of the open batch of each of these rollouts; nothing of one whose devices have not answered."""
    rows = await conn.fetch(
        """
        select asked.id as rollout_id, measured.*
          from unnest($1::bigint[], $2::integer[], $3::timestamptz[]) as asked (id, stage, answered_at),
               lateral (select name, at, result, detail from measurements
                         where rollout_id = asked.id and stage = asked.stage and device_id is null and at >= asked.answered_at
                         order by id) as measured
        """,
        [rollout.id for rollout in rollouts], [rollout.stage for rollout in rollouts], [rollout.answered_at for rollout in rollouts],
    )  # fmt: skip
    found = grouped(rows, "rollout_id", lambda row: row)
    return {rollout.id: _by_check(found.get(rollout.id, [])) for rollout in rollouts}


async def to_check(conn: Connection, rollout: Rollout, limit: int) -> list[Checked]:
    """Devices that run the image and have not been checked from outside, those that were measured longest ago first."""
    rows = await conn.fetch(
        """
        select m.device_id, batch_of(m, r) as stage, m.outcome_at, d.uuid, d.name, d.fleet,
               split_part(c.info ->> 'local_ip', ' ', 1) as address
          from members m
          join rollouts r on r.id = m.rollout_id
          join devices d on d.id = m.device_id
          left join current_states c on c.device_id = m.device_id,
               lateral (select max(at) as at from measurements
                         where rollout_id = r.id and stage = batch_of(m, r) and device_id = m.device_id) as last
         where r.id = $1 and m.part = 0 and m.live and m.outcome = 'running' and m.checked is null and is_offered(m, r)
         order by last.at nulls first limit $2
        """,
        rollout.id, limit,
    )  # fmt: skip
    measured = await _of_devices(conn, rollout.id, [row["device_id"] for row in rows])
    return [_checked(row, measured.get(row["device_id"], [])) for row in rows]


async def _of_devices(conn: Connection, rollout: RolloutId, devices: Sequence[int]) -> dict[int, list[Row]]:
    rows = await conn.fetch("select * from measurements where rollout_id = $1 and device_id = any ($2) order by id", rollout, devices)
    found: dict[int, list[Row]] = {}
    for row in rows:
        found.setdefault(row["device_id"], []).append(row)
    return found


def _checked(row: Row, measured: Sequence[Row]) -> Checked:
    since: datetime = row["outcome_at"]
    subject = Subject(str(row["uuid"]), row["name"], row["fleet"], row["address"] or None)
    return Checked(DeviceId(row["device_id"]), row["stage"], since, subject, _by_check([one for one in measured if one["at"] >= since]))


def _by_check(rows: Sequence[Row]) -> dict[str, list[Measurement]]:
    found: dict[str, list[Measurement]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append(Measurement(row["at"], Result(row["result"]), row["detail"]))
    return found


async def conclude(conn: Connection, rollout: RolloutId, device: DeviceId, verdict: Verdict, since: datetime, now: datetime) -> bool:
    """Note how a device that has run the image since then does; false if it has shown something else meanwhile."""
    done = await conn.execute(
        """
        update members set checked = $3, checked_at = $5, reason = case $3 when 'passed' then reason else $6 end
         where rollout_id = $1 and device_id = $2 and outcome = 'running' and outcome_at = $4 and live
        """,
        rollout, device, verdict.state, since, now, verdict.reason,
    )  # fmt: skip
    return done != "UPDATE 0"


async def forget(conn: Connection, rollout: RolloutId, device: DeviceId) -> None:
    """What was measured of a device that is well is not needed any more."""
    await conn.execute("delete from measurements where rollout_id = $1 and device_id = $2", rollout, device)
