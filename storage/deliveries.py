"""Every statement that reads or writes what senders posted."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.deliveries import Delivery, DeliveryFilter
from domain.endpoints import Sender
from domain.ids import DeliveryId, EndpointId
from domain.trails import TrailType
from storage.conditions import Conditions
from storage.connection import Connection, Row
from storage.grouping import counted, grouped

_ALL = DeliveryFilter()


async def keep(
    conn: Connection, endpoint: EndpointId | None, sender: Sender, key: str, headers: dict[str, str], body: bytes, now: datetime
) -> tuple[DeliveryId, bool]:
    """Keep what was posted, have it told, and say whether it is new; of the same one posted many times at once, one is."""
    row = await conn.fetchrow(
        """
        with kept as (
            insert into deliveries (endpoint_id, sender, key, headers, body, received_at, last_at) values ($1, $2, $3, $4, $5, $6, $6)
            on conflict (endpoint_id, sender, key) do update set times = deliveries.times + 1, last_at = excluded.last_at
            returning id, last_at, times = 1 as is_new
        ), told as (
            insert into events (at, type, delivery_id, data) select last_at, $7, id, '{}' from kept
        )
        select id, is_new from kept
        """,
        endpoint, sender, key, headers, body, now, TrailType.DELIVERY_RECEIVED,
    )  # fmt: skip
    assert row is not None
    return DeliveryId(row["id"]), row["is_new"]


async def one(conn: Connection, delivery: DeliveryId) -> Delivery | None:
    return (await many(conn, [delivery])).get(delivery)


async def many(conn: Connection, deliveries: Sequence[DeliveryId]) -> dict[DeliveryId, Delivery]:
    """Those of these deliveries that there are."""
    rows = await conn.fetch("select * from deliveries where id = any ($1)", deliveries)
    return {DeliveryId(row["id"]): _delivery(row) for row in rows}


async def page(conn: Connection, before: DeliveryId, limit: int, wanted: DeliveryFilter = _ALL) -> list[Delivery]:
    """Deliveries that have something in common, newest first."""
    conditions, order = _conditions(wanted), "id desc"
    if wanted.endpoint is None:
        conditions.add("id < {}", before)
    else:
        # A range of the index that is ordered so: of one endpoint, planned for all, PostgreSQL would read every delivery backwards.
        conditions.add("(endpoint_id, id) > ({}, 0) and (endpoint_id, id) < ({}, {})", wanted.endpoint, wanted.endpoint, before)
        order = "endpoint_id desc, id desc"
    rows = await conn.fetch(
        f"select * from deliveries where {conditions} order by {order} limit {limit:d}",  # noqa: S608 – text of our own
        *conditions.given,
    )
    return [_delivery(row) for row in rows]


async def count(conn: Connection, wanted: DeliveryFilter) -> int:
    """How many deliveries have something in common."""
    conditions = _conditions(wanted)
    conditions.where("endpoint_id = {}", wanted.endpoint)
    found: int = await conn.fetchval(f"select count(*) from deliveries where {conditions}", *conditions.given)  # noqa: S608 – text of our own
    return found


def _conditions(wanted: DeliveryFilter) -> Conditions:
    """What is asked of them, but for their endpoint."""
    conditions = Conditions()
    conditions.where("sender = {}", wanted.sender)
    conditions.where("received_at >= {}", wanted.since)
    return conditions


async def forget(conn: Connection, now: datetime, older_than: timedelta, limit: int) -> int:
    """Drop old deliveries of which nothing is left to decide; tells how many."""
    done = await conn.execute(
        """
        delete from deliveries where id in (
            select d.id from deliveries d
             where d.received_at < $1::timestamptz - $2::interval and d.last_at < $1::timestamptz - $2::interval
               and not exists (select from pushes p where p.delivery_id = d.id and p.due_at is not null)
             order by d.received_at limit $3
               for update skip locked)
        """,
        now, older_than, limit,
    )  # fmt: skip
    return int(done.split()[-1])


def _delivery(row: Row) -> Delivery:
    return Delivery(
        id=DeliveryId(row["id"]),
        endpoint_id=row["endpoint_id"] and EndpointId(row["endpoint_id"]),
        sender=row["sender"],
        key=row["key"],
        headers=row["headers"],
        body=row["body"],
        received_at=row["received_at"],
        last_at=row["last_at"],
        times=row["times"],
    )


async def of_endpoints(
    conn: Connection, endpoints: Sequence[EndpointId], before: DeliveryId, limit: int
) -> dict[EndpointId, list[Delivery]]:
    """Those that were posted to each of these endpoints, newest first."""
    # Ranges of the index that is ordered so, as where one endpoint is asked of.
    rows = await conn.fetch(
        """
        select told.*
          from unnest($1::bigint[]) as asked (endpoint_id),
               lateral (select * from deliveries d
                         where (d.endpoint_id, d.id) > (asked.endpoint_id, 0) and (d.endpoint_id, d.id) < (asked.endpoint_id, $2)
                         order by d.endpoint_id desc, d.id desc limit $3) as told
         order by told.id desc
        """,
        endpoints, before, limit,
    )  # fmt: skip
    return grouped(rows, "endpoint_id", _delivery)


async def count_of_endpoints(conn: Connection, endpoints: Sequence[EndpointId]) -> dict[EndpointId, int]:
    """How many were posted to each of these endpoints."""
    rows = await conn.fetch(
        "select endpoint_id, count(*) as found from deliveries where endpoint_id = any ($1) group by endpoint_id", endpoints
    )
    return counted(rows, "endpoint_id")
