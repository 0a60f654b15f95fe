"""Every statement that reads or writes who a device is."""

from datetime import datetime

from domain.devices import Device
from domain.ids import DeviceId
from storage.connection import Connection
from storage.devices import device_in


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
