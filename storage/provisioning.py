"""Every statement that reads or writes the keys that let devices in."""

from collections.abc import Sequence
from datetime import datetime

from domain.ids import DeviceId, ProvisioningKeyId
from domain.provisioning import ProvisioningKey, Wanted
from storage.connection import Connection, Row
from storage.grouping import counted, grouped


async def insert(conn: Connection, wanted: Wanted, key_hash: bytes, by: str, now: datetime) -> ProvisioningKey:
    """Let whoever holds this key register devices."""
    row = await conn.fetchrow(
        """
        insert into provisioning_keys (hash, name, fleet, labels, max_uses, expires_at, needs_acceptance, created_at, created_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        returning *
        """,
        key_hash, wanted.name, wanted.fleet, wanted.labels, wanted.max_uses, wanted.expires_at, wanted.needs_acceptance, now, by,
    )  # fmt: skip
    assert row is not None
    return _key(row)


async def by_hash(conn: Connection, key_hash: bytes) -> ProvisioningKey | None:
    """The key of this hash, whether or not it still lets anybody in."""
    row = await conn.fetchrow("select * from provisioning_keys where hash = $1", key_hash)
    return None if row is None else _key(row)


async def one(conn: Connection, key: ProvisioningKeyId) -> ProvisioningKey | None:
    return (await many(conn, [key])).get(key)


async def many(conn: Connection, keys: Sequence[ProvisioningKeyId]) -> dict[ProvisioningKeyId, ProvisioningKey]:
    """Those of these keys that there are."""
    rows = await conn.fetch("select * from provisioning_keys where id = any ($1)", keys)
    return {ProvisioningKeyId(row["id"]): _key(row) for row in rows}


async def page(conn: Connection, after: ProvisioningKeyId, limit: int) -> list[ProvisioningKey]:
    """Keys in the order they were made."""
    rows = await conn.fetch("select * from provisioning_keys where id > $1 order by id limit $2", after, limit)
    return [_key(row) for row in rows]


async def count(conn: Connection) -> int:
    """How many there are, revoked ones included."""
    found: int = await conn.fetchval("select count(*) from provisioning_keys")
    return found


async def locked(conn: Connection, key: ProvisioningKeyId) -> ProvisioningKey | None:
    """One key, so that nobody else changes it before this transaction ends."""
    row = await conn.fetchrow("select * from provisioning_keys where id = $1 for no key update", key)
    return None if row is None else _key(row)


async def use(conn: Connection, key: ProvisioningKeyId, now: datetime) -> bool:
    """Count one more device; false if the key lets nobody in any more.

    `domain.provisioning.why_not` says the same; here it is said under the row's lock, so that of many at once no more get in than may.
    """
    used: bool | None = await conn.fetchval(
        """
        update provisioning_keys set uses = uses + 1
         where id = $1 and revoked_at is null and (expires_at is null or expires_at > $2) and (max_uses is null or uses < max_uses)
        returning true
        """,
        key, now,
    )  # fmt: skip
    return used is not None


async def revoke(conn: Connection, key: ProvisioningKeyId, now: datetime) -> ProvisioningKey:
    """Have a key let nobody in from now on; one that was revoked before stays as it is."""
    row = await conn.fetchrow("update provisioning_keys set revoked_at = coalesce(revoked_at, $2) where id = $1 returning *", key, now)
    assert row is not None
    return _key(row)


def _key(row: Row) -> ProvisioningKey:
    return ProvisioningKey(
        id=ProvisioningKeyId(row["id"]),
        name=row["name"],
        fleet=row["fleet"],
        labels=row["labels"],
        max_uses=row["max_uses"],
        uses=row["uses"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        needs_acceptance=row["needs_acceptance"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        version=row["version"],
    )


async def of_devices(conn: Connection, devices: Sequence[DeviceId]) -> dict[DeviceId, ProvisioningKey]:
    """The key that each of these devices registered with last."""
    rows = await conn.fetch(
        "select d.id as device_id, k.* from devices d join provisioning_keys k on k.id = d.provisioning_key_id where d.id = any ($1)",
        devices,
    )
    return {DeviceId(row["device_id"]): _key(row) for row in rows}


async def of_fleets(
    conn: Connection, fleets: Sequence[str | None], after: ProvisioningKeyId, limit: int
) -> dict[str | None, list[ProvisioningKey]]:
    """The keys whose devices join each of these fleets, in the order they were made; None is for those whose devices join none."""
    # Ranges of an index, as in storage/selecting.py.
    rows = await conn.fetch(
        """
        select k.*
          from unnest($1::text[]) as asked (fleet),
               lateral ((select * from provisioning_keys
                          where (fleet, id) > (asked.fleet, $2) and (fleet, id) < (asked.fleet, 9223372036854775807)
                          order by fleet, id limit $3)
                        union all
                        (select * from provisioning_keys where asked.fleet is null and fleet is null and id > $2
                          order by fleet, id limit $3)) as k
         order by k.id
        """,
        fleets, after, limit,
    )  # fmt: skip
    return grouped(rows, "fleet", _key)


async def count_of_fleets(conn: Connection, fleets: Sequence[str | None]) -> dict[str | None, int]:
    """How many keys have their devices join each of these fleets."""
    rows = await conn.fetch(
        "select fleet, count(*) as found from provisioning_keys where fleet = any ($1) or $2 and fleet is null group by fleet",
        fleets, None in fleets,
    )  # fmt: skip
    return counted(rows, "fleet")
