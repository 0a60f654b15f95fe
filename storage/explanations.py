"""Every statement that reads why a device is on the image it is on."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.aside import Aside
from domain.devices import CurrentState, Device
from domain.explanations import Back, Past, Place, Told
from domain.ids import DeviceId, RolloutId
from domain.images import Image
from domain.statuses import DeviceStatus, Status
from storage.connection import Connection, Row
from storage.devices import aside_in, device_in
from storage.grouping import grouped


async def standings(conn: Connection, devices: Sequence[DeviceId], now: datetime) -> dict[DeviceId, list[Told]]:
    """What each service of these devices is told, with all that is recorded of how it came to that."""
    rows = await conn.fetch(
        """
        with passed_over as (
            select distinct rollout_id, lane from members
             where device_id = any ($1) and live and deferred_at is not null and lane is not null
        ), stuck as materialized (
            select distinct on (other.rollout_id, other.lane) other.rollout_id, other.lane, d.uuid
              from members other
              join rollouts r on r.id = other.rollout_id
              join devices d on d.id = other.device_id
             where exists (select from passed_over) and other.rollout_id = any (array(select rollout_id from passed_over))
               -- Not a join: PostgreSQL expects a single one, and for each looked through all members of its rollout, 300,000 in 100 ms.
               and ((other.rollout_id, other.lane) in (select * from passed_over)) is true
               and other.live and is_stuck(other, r, $2)
             order by other.rollout_id, other.lane, other.rank
        )
        select e.device_id, e.app, e.service, e.image, e.base_image, t.updated_at as written_at,
               r.id as rollout_id, coalesce(m.image, r.image) as brought, r.status as rollout_status, m.rank, r.size,
               case when m.rank < r.reached then batch_of(m, r) + 1 end as batch, member_status(m, r, $2) as status,
               is_offered(m, r) as is_offered, is_taken_back(m, r) as is_taken_back, turn.at as turn_at, m.offered_at as again_at,
               m.taken_at, m.outcome_at, m.reason, m.retries, m.retry_at, m.withdrawn_at, m.returned_at,
               case when r.are_devices_checked and m.outcome = 'running' and not is_checked(m, r)
                    then coalesce(m.checked, 'running') end as awaited_check,
               m.deferred_at is not null as is_passed_over, stuck.uuid::text as stuck, m.zone,
               back.at as back_at, back.actor as back_by, back.reason as back_reason,
               origin.rollout_id as origin_id, origin.at as origin_at, parted.rollout_id as left_id, parted.skipped_at as left_at
          from effective_services e
          join targets t on t.device_id = e.device_id
          left join members m on m.device_id = e.device_id and m.repository = e.repository and m.live
          left join rollouts r on r.id = m.rollout_id
          left join lateral first_offer(m) as turn on true
          left join stuck on stuck.rollout_id = m.rollout_id and stuck.lane = m.lane and m.deferred_at is not null
          left join lateral (
               select moves.at, moves.actor, moves.reason from moves
                where moves.rollout_id = m.rollout_id and moves.frontier <= m.rank
                  and moves.event in ('image.rollback_started', 'image.rollback_widened')
                order by moves.revision limit 1
          ) as back on is_taken_back(m, r) and m.withdrawn_at is null
          left join lateral (
               select past.rollout_id, offered.at
                 from members past
                 join rollouts before on before.id = past.rollout_id
                cross join lateral first_offer(past) as offered
                where past.device_id = e.device_id and past.repository = e.repository and not past.live
                  and coalesce(past.image, before.image) = e.image and past.rank < before.reached
                order by past.rollout_id desc limit 1
          ) as origin on true
          left join lateral (
               select past.rollout_id, past.skipped_at from members past
                where past.device_id = e.device_id and past.repository = e.repository and past.skipped_at is not null
                  and past.rollout_id > coalesce(m.rollout_id, 0)
                order by past.rollout_id desc limit 1
          ) as parted on true
         where e.device_id = any ($1)
         order by e.app, e.service
        """,
        devices, now,
    )  # fmt: skip
    return grouped(rows, "device_id", _told)


@dataclass(frozen=True, slots=True)
class Known:
    """A device, whether it is set aside, and what it last reported."""

    device: Device
    aside: Aside | None
    state: CurrentState | None


async def known(conn: Connection, devices: Sequence[DeviceId], now: datetime) -> dict[DeviceId, Known]:
    """What there is to know of these devices beside their services."""
    rows = await conn.fetch(
        """
        select d.*, is_aside(d, $2) as is_aside, c.apps, c.version as told_version, c.info, c.reported_at
          from devices d
          left join current_states c on c.device_id = d.id
         where d.id = any ($1)
        """,
        devices, now,
    )  # fmt: skip
    return {DeviceId(row["id"]): Known(device_in(row), aside_in(row) if row["is_aside"] else None, _state(row)) for row in rows}


def _state(row: Row) -> CurrentState | None:
    return None if row["reported_at"] is None else CurrentState(row["apps"], row["told_version"], row["info"], row["reported_at"])


def _told(row: Row) -> Told:
    return Told(
        app=row["app"],
        service=row["service"],
        image=Image.parse(row["image"]),
        base=Image.parse(row["base_image"]),
        written_at=row["written_at"],
        origin=_past(row["origin_id"], row["origin_at"]),
        left=_past(row["left_id"], row["left_at"]),
        place=None if row["rollout_id"] is None else _place(row),
    )


def _past(rollout: int | None, at: datetime) -> Past | None:
    return None if rollout is None else Past(RolloutId(rollout), at)


_AS_THEY_ARE = (
    "rank", "size", "batch", "is_offered", "is_taken_back", "turn_at", "again_at", "taken_at", "outcome_at", "reason", "retries",
    "retry_at", "withdrawn_at", "returned_at", "awaited_check", "is_passed_over", "stuck", "zone",
)  # fmt: skip


def _place(row: Row) -> Place:
    plain: dict[str, Any] = {name: row[name] for name in _AS_THEY_ARE}
    return Place(
        rollout_id=RolloutId(row["rollout_id"]),
        image=Image.parse(row["brought"]),
        rollout_status=Status(row["rollout_status"]),
        status=DeviceStatus(row["status"]),
        back=None if row["back_at"] is None else Back(row["back_at"], row["back_by"], row["back_reason"]),
        **plain,
    )
