"""The statements that read everything the answers to polls are made of, as of one moment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.health import ServiceKey
from domain.identity import Identity
from domain.ids import DeviceId, RolloutId
from domain.reach import UNDER_WAY, Place, Reach, standing
from domain.statuses import Status
from domain.targets import Target, render
from storage.connection import Connection, Row
from storage.identity import identity_in


@dataclass(frozen=True, slots=True)
class Known:
    """One device, as a poll needs it."""

    uuid: bytes
    identity: Identity
    target: Target
    places: tuple[Place, ...]
    reaches: tuple[Reach, ...]
    """Of the rollouts it has places in."""
    is_awaited: bool
    """A rollout passed it over, or is to offer it the image again, once it is heard of."""
    at: datetime
    """When this was so."""

    @property
    def is_let_in(self) -> bool:
        """Whether it may be told anything."""
        return self.identity.revoked_at is None and not self.identity.is_waiting

    @property
    def is_settled(self) -> bool:
        """Whether what it is told may be told again, by whoever knows its key, until something changes."""
        return self.identity.key_hash is not None and self.is_let_in and not self.target.has_untaken_offer


async def known(conn: Connection, uuids: Sequence[bytes], now: datetime) -> list[Known]:
    """What is known of these devices; nothing of those that nobody knows. One statement, so one moment."""
    rows = await conn.fetch(f"{_KNOWN} where d.uuid = any ($2)", now, [UUID(bytes=uuid) for uuid in uuids])
    return [_known(row) for row in rows]


async def page(conn: Connection, after: DeviceId, limit: int, now: datetime) -> list[Known]:
    """What is known of up to `limit` devices, by id."""
    # An array: of so few the planner looks everything up, where for a range it would read half of every table once a page.
    ids = "array(select id from devices where id > $2 order by id limit $3)"
    rows = await conn.fetch(f"{_KNOWN} where d.id = any ({ids}) order by d.id", now, after, limit)
    return [_known(row) for row in rows]


_KNOWN = """
    select d.id, d.uuid, d.key_hash, d.old_key_hash, d.old_key_until, d.public_key, d.challenge, d.is_waiting, d.revoked_at,
           $1::timestamptz as at, t.apps, t.config, t.version, t.images, t.has_untaken_offer, places.those as places
      from devices d
      join device_target_state t on t.device_id = d.id,
           lateral (select array_agg(row (r.id, m.rank, m.zone is not null and m.taken_at is null,
                                          r.frontier, r.reached, r.revision, r.status,
                                          m.deferred_at is not null or m.retry_at is not null)) as those
                      from members m join rollouts r on r.id = m.rollout_id
                     where m.device_id = d.id and m.live and m.part = 0) as places
"""


def _known(row: Row) -> Known:
    places = row["places"] or ()
    return Known(
        uuid=row["uuid"].bytes,
        identity=identity_in(row),
        target=Target(str(row["uuid"]), _apps(row), row["config"], row["version"], row["has_untaken_offer"]),
        places=tuple(_place(place) for place in places),
        reaches=tuple(_reach(place) for place in places),
        is_awaited=any(place[7] for place in places),
        at=row["at"],
    )


def _apps(row: Row) -> dict[str, object]:
    images: dict[ServiceKey, str] = {(app, service): image for app, service, image in row["images"]}
    return render(row["apps"], images)


def _place(place: Row) -> Place:
    reach = _reach(place)
    stands = standing(place[1], reach)
    return Place(reach.rollout_id, place[1], stands, reach.revision if stands and place[2] else None)


def _reach(place: Row) -> Reach:
    status = Status(place[6])
    return Reach(RolloutId(place[0]), place[3], place[4], place[5], status in UNDER_WAY, status.is_final)
