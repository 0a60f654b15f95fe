"""Every statement about who was heard of, and who has gone silent."""

from collections.abc import Sequence
from datetime import datetime

from domain.events import EventType
from domain.ids import DeviceId
from storage.connection import Connection

_LOOKING = 0x73696C74  # any number that nobody else uses


async def seen(conn: Connection, devices: Sequence[DeviceId], now: datetime) -> None:
    """Note that devices were heard of, and tell of those that had gone silent.

    One that somebody else is changing is passed over: it is heard of again soon.
    """
    await conn.execute(
        """
        with heard as materialized (
            select id, is_offline from devices where id = any ($1) order by id for no key update skip locked
        ), noted as (
            update devices set last_seen_at = greatest(devices.last_seen_at, $2), is_offline = false
              from heard
             where devices.id = heard.id
            returning devices.uuid, heard.is_offline as was_offline
        )
        insert into events (at, type, device_uuid, data)
        select $2, $3, uuid, jsonb_build_object('last_seen_at', $2::timestamptz) from noted where was_offline
        """,
        devices, now, EventType.DEVICE_ONLINE,
    )  # fmt: skip


async def tell(conn: Connection, since: datetime, now: datetime, limit: int) -> int:
    """Tell of up to so many devices that were heard of, but not since then, or that came back; returns how many. None is told of twice."""
    told: int = await conn.fetchval(
        """
        with changed as materialized (
            select id from devices where is_offline <> (last_seen_at < $1) limit $5 for no key update skip locked
        ), marked as (
            update devices set is_offline = not is_offline from changed where devices.id = changed.id
            returning uuid, last_seen_at, is_offline
        ), told as (
            insert into events (at, type, device_uuid, data)
            select $2, case when is_offline then $3 else $4 end, uuid, jsonb_build_object('last_seen_at', last_seen_at) from marked
        )
        select count(*) from marked
        """,
        since, now, EventType.DEVICE_OFFLINE, EventType.DEVICE_ONLINE, limit,
    )  # fmt: skip
    return told


async def alone_at_once(conn: Connection) -> bool:
    """Be the only one that looks for silent devices, a look at every row, or false if another is looking."""
    taken: bool = await conn.fetchval("select pg_try_advisory_xact_lock($1)", _LOOKING)
    return taken
