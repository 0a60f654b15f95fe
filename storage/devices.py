"""Every statement that reads or writes devices, and what they last reported."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from domain.aside import Aside, AsideKind
from domain.devices import CurrentState, Device, Report
from domain.ids import DeviceId
from domain.platforms import LABEL
from domain.selectors import Selector, document
from storage.connection import Connection, Row


async def lock_free(conn: Connection, devices: Sequence[DeviceId]) -> dict[DeviceId, bool]:
    """Lock those of these devices that nobody else has locked, as `lock` does; by id, whether the device ever sent a version."""
    rows = await conn.fetch("select id, sends_version from devices where id = any ($1) order by id for no key update skip locked", devices)
    return {DeviceId(row["id"]): row["sends_version"] for row in rows}


async def sends_version(conn: Connection, devices: Sequence[DeviceId]) -> None:
    """These devices send versions: what comes from them without one is an old report, sent again, since they strip it from queued ones."""
    await conn.execute("update devices set sends_version = true where id = any ($1) and not sends_version", devices)


async def save_reports(conn: Connection, reports: Mapping[DeviceId, Report], now: datetime) -> None:
    """Keep what devices said, over what they said before; a report without apps says nothing of them."""
    await conn.execute(
        """
        insert into current_states (device_id, apps, version, info, reported_at)
        select said.device_id, coalesce(said.apps, '{}'), said.version, said.info, $5
          from unnest($1::bigint[], $2::jsonb[], $3::bigint[], $4::jsonb[]) as said (device_id, apps, version, info)
        on conflict (device_id) do update
           set apps = case when current_states.device_id = any ($6) then current_states.apps else excluded.apps end,
               version = coalesce(excluded.version, current_states.version),
               -- Agents send some things only when they change, so what was said before is kept; within reason.
               info = case when pg_column_size(current_states.info) < 65536 then current_states.info || excluded.info
                           else excluded.info end,
               reported_at = excluded.reported_at
        """,
        [*reports], [said.apps for said in reports.values()], [said.version for said in reports.values()],
        [said.info for said in reports.values()], now, [device for device, said in reports.items() if said.apps is None],
    )  # fmt: skip


async def current_states(conn: Connection, devices: Sequence[DeviceId]) -> dict[DeviceId, CurrentState]:
    """What these devices last reported; one that never did is absent."""
    rows = await conn.fetch("select * from current_states where device_id = any ($1)", devices)
    return {DeviceId(row["device_id"]): CurrentState(row["apps"], row["version"], row["info"], row["reported_at"]) for row in rows}


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


async def set_aside(conn: Connection, device: DeviceId, aside: Aside) -> Device:
    """Keep a device from joining rollouts, for the reason that counts from now on."""
    row = await conn.fetchrow(
        "update devices set aside = $2, aside_until = $3, aside_at = $4, aside_by = $5, aside_reason = $6 where id = $1 returning *",
        device, aside.kind, aside.until, aside.at, aside.by, aside.reason,
    )  # fmt: skip
    assert row is not None
    return device_in(row)


async def release(conn: Connection, device: DeviceId) -> Device:
    """Let a device join rollouts again."""
    row = await conn.fetchrow(
        """
        update devices set aside = null, aside_until = null, aside_at = null, aside_by = null, aside_reason = null
         where id = $1
        returning *
        """,
        device,
    )
    assert row is not None
    return device_in(row)


async def aside(conn: Connection, device: DeviceId, now: datetime) -> Aside | None:
    """Why a device joins no rollout now; None if it does."""
    return (await asides(conn, [device], now)).get(device)


async def asides(conn: Connection, devices: Sequence[DeviceId], now: datetime) -> dict[DeviceId, Aside]:
    """Why each of these devices joins no rollout now; one that does is absent."""
    rows = await conn.fetch("select d.* from devices d where id = any ($1) and is_aside(d, $2)", devices, now)
    return {DeviceId(row["id"]): aside_in(row) for row in rows}


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


async def locked(conn: Connection, uuid: str) -> Device | None:
    """One device, locked as `lock` does."""
    row = await conn.fetchrow("select * from devices where uuid = $1 for no key update", uuid)
    return None if row is None else device_in(row)


async def lock(conn: Connection, device: DeviceId) -> None:
    """Keep anybody else from touching this device's target and its places in rollouts; other tables may go on pointing at it."""
    await conn.execute("select from devices where id = $1 for no key update", device)


async def many(conn: Connection, devices: Sequence[DeviceId]) -> dict[DeviceId, Device]:
    """Those of these devices that there are."""
    rows = await conn.fetch("select * from devices where id = any ($1)", devices)
    return {DeviceId(row["id"]): device_in(row) for row in rows}


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
        is_waiting=row["is_waiting"],
        revoked_at=row["revoked_at"],
        version=row["version"],
    )
