"""Every statement that tells when devices were heard of."""

from collections.abc import Sequence
from datetime import datetime

from domain.ids import DeviceId
from storage.connection import Connection


async def seen(conn: Connection, devices: Sequence[DeviceId], now: datetime) -> None:
    """Note that these devices were heard of; of one that somebody else is changing, the next time."""
    await conn.execute(
        """
        with free as (select id from devices where id = any ($1) order by id for no key update skip locked)
        update devices set last_seen_at = $2 from free where devices.id = free.id
        """,
        devices, now,
    )  # fmt: skip
