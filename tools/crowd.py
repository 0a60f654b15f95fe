"""Many devices at once, written straight into the database: for measuring what follows, not how they came."""

from domain.ids import DeviceId
from domain.images import Image
from storage.database import Database


async def crowd(db: Database, count: int, image: str = "nginx:1.0.0", *, fleet: str | None = None, awake: bool = True) -> list[DeviceId]:
    """Devices with one service each, that have run this image for long, in one statement."""
    base = Image.parse(image)
    async with db.transaction() as conn:
        now = await db.now(conn)
        rows = await conn.fetch(
            """
            with new as (
                insert into devices (uuid, name, type, fleet, key_hash, created_at, last_seen_at)
                select gen_random_uuid(), 'device ' || n, 'pi4', $2, '', $5, case when $6 then $5::timestamptz end
                  from generate_series(1, $1) as n
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
