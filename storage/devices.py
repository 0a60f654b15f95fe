"""Every statement that reads or writes devices, the keys that let them in, and what they last reported."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.aside import Aside, AsideKind
from domain.devices import CurrentState, Device, Report
from domain.ids import DeviceId
from domain.platforms import LABEL
from domain.selectors import Selector, document
from storage.connection import Connection, Row


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a provisioning key allows."""

    fleet: str | None


async def insert_provisioning_key(conn: Connection, key_hash: bytes, fleet: str | None, now: datetime) -> None:
    """Let whoever holds this key register devices in a fleet."""
    await conn.execute("insert into provisioning_keys (hash, fleet, created_at) values ($1, $2, $3)", key_hash, fleet, now)


async def enrolment(conn: Connection, key_hash: bytes) -> Enrolment | None:
    """What a provisioning key allows, or None if there is no such key."""
    row = await conn.fetchrow("select fleet from provisioning_keys where hash = $1", key_hash)
    return None if row is None else Enrolment(row["fleet"])


async def register(conn: Connection, uuid: str, name: str, kind: str, fleet: str | None, key_hash: bytes, now: datetime) -> Device | None:
    """A new device with an empty target; the one there is if it registers again with the same key; None if the uuid is taken."""
    inserted = await conn.fetchrow(
        """
        with new as (
            insert into devices (uuid, name, type, fleet, key_hash, created_at) values ($1, $2, $3, $4, $5, $6)
            on conflict (uuid) do nothing
            returning *
        ), target as (
            insert into targets (device_id, apps, config, version, updated_at) select id, '{}', '{}', 0, $6 from new
        )
        select * from new
        """,
        uuid, name, kind, fleet, key_hash, now,
    )  # fmt: skip
    row = inserted or await conn.fetchrow("select * from devices where uuid = $1 and key_hash = $2", uuid, key_hash)
    return None if row is None else device_in(row)


async def key_of(conn: Connection, uuid: str) -> tuple[DeviceId, bytes] | None:
    """A device's id and the hash of its key."""
    row = await conn.fetchrow("select id, key_hash from devices where uuid = $1", uuid)
    return None if row is None else (DeviceId(row["id"]), row["key_hash"])


async def seen(conn: Connection, device: DeviceId, now: datetime, every: timedelta) -> None:
    """Note that a device was heard of, unless that was noted a moment ago."""
    await conn.execute(
        "update devices set last_seen_at = $2 where id = $1 and (last_seen_at is null or last_seen_at < $2::timestamptz - $3::interval)",
        device, now, every,
    )  # fmt: skip


async def is_replay(conn: Connection, device: DeviceId, version: int | None) -> bool:
    """Whether a report is an old one, sent again: agents that report a version strip it from what they had queued."""
    if version is None:
        sends: bool = await conn.fetchval("select sends_version from devices where id = $1", device)
        return sends
    await conn.execute("update devices set sends_version = true where id = $1 and not sends_version", device)
    return False


async def save_report(conn: Connection, device: DeviceId, report: Report, now: datetime) -> None:
    """Keep what a device said, over what it said before; a report without apps says nothing of them."""
    await conn.execute(
        """
        insert into current_states (device_id, apps, version, info, reported_at) values ($1, coalesce($2, '{}'::jsonb), $3, $4, $5)
        on conflict (device_id) do update
           set apps = coalesce($2, current_states.apps),
               version = coalesce($3, current_states.version),
               -- Agents send some things only when they change, so what was said before is kept; within reason.
               info = case when pg_column_size(current_states.info) < 65536 then current_states.info || excluded.info
                           else excluded.info end,
               reported_at = excluded.reported_at
        """,
        device, report.apps, report.version, report.info, now,
    )  # fmt: skip


async def current_state(conn: Connection, device: DeviceId) -> CurrentState | None:
    """What a device last reported, if it ever did."""
    row = await conn.fetchrow("select * from current_states where device_id = $1", device)
    return None if row is None else CurrentState(row["apps"], row["version"], row["info"], row["reported_at"])


async def quarantine(conn: Connection, device: DeviceId, after: int, now: datetime) -> None:
    """Set a device aside if it failed in each of the last so many rollouts that it showed anything of; others go on without it."""
    await conn.execute(
        """
        update devices set aside = 'quarantined', aside_until = null, aside_at = $3, aside_by = 'rollwave',
                           aside_reason = 'it failed in ' || $2 || ' rollouts in a row'
         where id = $1 and not is_aside(devices, $3)
           and (select count(*) = $2 and bool_and(outcome <> 'running')
                  from (select outcome from members
                         where device_id = $1 and part = 0 and outcome is not null
                         order by rollout_id desc limit $2) as last)
        """,
        device, after, now,
    )  # fmt: skip


async def set_aside(conn: Connection, device: DeviceId, aside: Aside) -> None:
    """Keep a device from joining rollouts, for the reason that counts from now on."""
    await conn.execute(
        "update devices set aside = $2, aside_until = $3, aside_at = $4, aside_by = $5, aside_reason = $6 where id = $1",
        device, aside.kind, aside.until, aside.at, aside.by, aside.reason,
    )  # fmt: skip


async def release(conn: Connection, device: DeviceId) -> None:
    """Let a device join rollouts again."""
    await conn.execute(
        "update devices set aside = null, aside_until = null, aside_at = null, aside_by = null, aside_reason = null where id = $1", device
    )


async def aside(conn: Connection, device: DeviceId, now: datetime) -> Aside | None:
    """Why a device joins no rollout now; None if it does."""
    row = await conn.fetchrow("select d.* from devices d where id = $1 and is_aside(d, $2)", device, now)
    return None if row is None else aside_in(row)


def aside_in(row: Row) -> Aside:
    """What a device's row says of its being set aside."""
    return Aside(AsideKind(row["aside"]), row["aside_until"], row["aside_at"], row["aside_by"], row["aside_reason"])


async def set_labels(conn: Connection, device: DeviceId, labels: dict[str, str]) -> Device:
    """Write these labels on a device, and no others."""
    row = await conn.fetchrow("update devices set labels = $2 where id = $1 returning *", device, labels)
    assert row is not None
    return device_in(row)


async def platforms(
    conn: Connection, repository: str, fleet: str | None, except_fleets: Sequence[str], selector: Selector | None
) -> list[str]:
    """What the devices in scope that run an image are, by their label or by their own words; nothing of those that say nothing."""
    rows = await conn.fetch(
        """
        select distinct coalesce(d.labels ->> $4, c.info ->> 'architecture') as said
          from services s
          join devices d on d.id = s.device_id
          left join current_states c on c.device_id = d.id
         where s.repository = $1 and ($2::text is null or d.fleet = $2) and (d.fleet is null or d.fleet <> all ($3::text[]))
           and selects($5, d.labels) is not false
           and coalesce(d.labels ->> $4, c.info ->> 'architecture') is not null
        """,
        repository, fleet, list(except_fleets), LABEL, document(selector),
    )  # fmt: skip
    return [row["said"] for row in rows]


async def by_uuid(conn: Connection, uuid: str) -> Device | None:
    row = await conn.fetchrow("select * from devices where uuid = $1", uuid)
    return None if row is None else device_in(row)


async def lock(conn: Connection, device: DeviceId) -> None:
    """Keep anybody else from touching this device's target and its places in rollouts; other tables may go on pointing at it."""
    await conn.execute("select from devices where id = $1 for no key update", device)


async def by_id(conn: Connection, device: DeviceId) -> Device | None:
    row = await conn.fetchrow("select * from devices where id = $1", device)
    return None if row is None else device_in(row)


def device_in(row: Row) -> Device:
    """What a device's row says of it."""
    return Device(
        id=DeviceId(row["id"]),
        uuid=str(row["uuid"]),
        name=row["name"],
        type=row["type"],
        fleet=row["fleet"],
        created_at=row["created_at"],
        last_seen_at=row["last_seen_at"],
        labels=row["labels"],
    )
