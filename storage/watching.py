"""The statement that sees whether devices have changed."""

from collections.abc import Sequence
from datetime import datetime

from domain.ids import DeviceId, RolloutId
from domain.statuses import DeviceStatus
from domain.watching import Sight
from storage.connection import Connection, Row
from storage.devices import device_in


async def sights(conn: Connection, devices: Sequence[DeviceId], now: datetime) -> dict[DeviceId, Sight]:
    """Those of these devices that there are, as they look at one moment."""
    rows = await conn.fetch(
        """
        select d.*, is_aside(d, $2) as is_aside, t.version as target_version, c.reported_at, places.those as places
          from devices d
          join device_target_state t on t.device_id = d.id
          left join current_states c on c.device_id = d.id,
               lateral (select array_agg(row (r.id, member_status(m, r, $2)) order by r.id) as those
                          from members m join rollouts r on r.id = m.rollout_id
                         where m.device_id = d.id and m.live and m.part = 0) as places
         where d.id = any ($1)
        """,
        devices, now,
    )  # fmt: skip
    return {DeviceId(row["id"]): _sight(row, now) for row in rows}


def _sight(row: Row, now: datetime) -> Sight:
    device = device_in(row)
    return Sight(
        device=device,
        is_online=device.is_online(now),
        is_aside=row["is_aside"],
        provisioning_key=row["provisioning_key_id"],
        target_version=row["target_version"],
        reported_at=row["reported_at"],
        places=tuple((RolloutId(rollout), DeviceStatus(status)) for rollout, status in row["places"] or ()),
    )
