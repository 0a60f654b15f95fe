"""Every statement that reads or writes the keys that let devices in."""

from dataclasses import dataclass
from datetime import datetime

from storage.connection import Connection


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What a provisioning key allows."""

    fleet: str | None


async def insert(conn: Connection, key_hash: bytes, fleet: str | None, now: datetime) -> None:
    """Let whoever holds this key register devices in a fleet."""
    await conn.execute("insert into provisioning_keys (hash, fleet, created_at) values ($1, $2, $3)", key_hash, fleet, now)


async def enrolment(conn: Connection, key_hash: bytes) -> Enrolment | None:
    """What a provisioning key allows, or None if there is no such key."""
    row = await conn.fetchrow("select fleet from provisioning_keys where hash = $1", key_hash)
    return None if row is None else Enrolment(row["fleet"])
