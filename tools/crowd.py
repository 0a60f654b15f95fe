"""Many devices at once, written straight into the database: for measuring what follows, not how they came."""

import hashlib

from domain.ids import DeviceId
from domain.images import Image
from storage.database import Database


def key_of(uuid: str) -> str:
    """The key of a device of the crowd: of 64 hex digits, as agents make them, but anybody who knows the uuid can tell it."""
    return hashlib.sha256(uuid.encode()).hexdigest()


async def crowd(db: Database, count: int, image: str = "nginx:1.0.0", *, fleet: str | None = None, awake: bool = True) -> list[DeviceId]:
    """Devices with one service each, that have run this image for long, in one statement."""
    base = Image.parse(image)
    async with db.transaction() as conn:
        now = await db.now(conn)
        rows = await conn.fetch(
            """
            with new as (
                insert into devices (uuid, name, type, fleet, key_hash, created_at, last_seen_at)
                select uuid, 'device ' || n, 'pi4', $2,
                       sha256(convert_to(encode(sha256(convert_to(uuid::text, 'UTF8')), 'hex'), 'UTF8')), -- of `key_of` the uuid
                       $5, case when $6 then $5::timestamptz end
                  from (select n, gen_random_uuid() as uuid from generate_series(1, $1) as n) as made
                returning id
            ), target as (
                insert into targets (device_id, apps, config, version, updated_at)
                select id, '{"1001": {"appId": 1001, "services": [{"serviceName": "web", "config": {}}]}}', '{}', 1, $5 from new
            ), service as (
                insert into services (device_id, app, service, repository, image) select id, '1001', 'web', $3, $4 from new
            )
            select id from new order by id
            """,
            count, fleet, base.repository, str(base), now, awake,
        )  # fmt: skip
    return [DeviceId(row["id"]) for row in rows]
