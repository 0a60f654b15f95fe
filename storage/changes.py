"""Every statement that tells which devices and rollouts changed between two looks.

A look is a snapshot: what is visible now and was not visible then is new, whichever transactions are still open. Reading events in
their order would wait for the oldest of those, and ranking a million devices takes one half a minute.
"""

from dataclasses import dataclass
from datetime import timedelta

from domain.ids import DeviceId, RolloutId
from domain.reach import UNDER_WAY, Reach
from domain.statuses import Status
from storage.connection import Connection, Row

KEPT = timedelta(minutes=10)
"""For so long changes can be read; whoever has not looked for longer has to read everything anew."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What happened between two looks."""

    snapshot: str
    """To be given next time."""
    server: str
    """Which server this is, and since when: of another one, or after its restart, nothing is known that was known before."""
    devices: tuple[bytes, ...]
    """The uuids of devices whose target, key or place changed."""
    rollouts: tuple[RolloutId, ...]
    """Those that moved."""
    enrolled: tuple[RolloutId, ...]
    """Those whose members were ranked."""


async def since(conn: Connection, snapshot: str | None) -> Changes:
    """What happened since a look; since no look at all: nothing, but where to begin."""
    row = await conn.fetchrow(
        """
        select pg_current_snapshot()::text as snapshot, pg_postmaster_start_time()::text as server,
               array_agg(distinct device) filter (where device is not null) as devices,
               array_agg(distinct rollout_id) filter (where rollout_id is not null) as rollouts,
               array_agg(distinct rollout_id) filter (where is_enrolled) as enrolled
          from changes
         where xid >= pg_snapshot_xmin($1::text::pg_snapshot) and not pg_visible_in_snapshot(xid, $1::text::pg_snapshot)
        """,
        snapshot,
    )
    assert row is not None
    return Changes(
        snapshot=row["snapshot"],
        server=row["server"],
        devices=tuple(uuid.bytes for uuid in row["devices"] or ()),
        rollouts=tuple(RolloutId(number) for number in row["rollouts"] or ()),
        enrolled=tuple(RolloutId(number) for number in row["enrolled"] or ()),
    )


async def note(conn: Connection, device: DeviceId) -> None:
    """What is known of this device is out of date: it joined a rollout alone, which no trigger tells of."""
    await conn.execute("insert into changes (device) select uuid from devices where id = $1", device)


async def forget(conn: Connection) -> None:
    """Delete what nobody can still want to read."""
    await conn.execute("delete from changes where at < now() - $1::interval", 2 * KEPT)


async def reaches(conn: Connection, rollouts: tuple[RolloutId, ...]) -> list[Reach]:
    """How far these rollouts have got."""
    return [reach_in(row) for row in await conn.fetch("select * from rollouts where id = any ($1)", rollouts)]


async def ranks(conn: Connection, rollout: RolloutId, after: int, limit: int) -> list[tuple[bytes, int]]:
    """(device uuid, rank) of up to `limit` members, by rank."""
    rows = await conn.fetch(
        """
        select d.uuid, m.rank from members m join devices d on d.id = m.device_id
         where m.rollout_id = $1 and m.part = 0 and m.rank > $2
         order by m.rank limit $3
        """,
        rollout, after, limit,
    )  # fmt: skip
    return [(row["uuid"].bytes, row["rank"]) for row in rows]


def reach_in(row: Row) -> Reach:
    """What a rollout's row says of its reach."""
    status = Status(row["status"])
    return Reach(
        rollout_id=RolloutId(row["id"]),
        frontier=row["frontier"],
        reached=row["reached"],
        revision=row["revision"],
        is_under_way=status in UNDER_WAY,
        is_over=status.is_final,
    )
