"""Every statement that reads or writes the addresses that senders post to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.endpoints import Endpoint, Scheme, Sender
from domain.ids import EndpointId
from storage.connection import Connection, Row


@dataclass(frozen=True, slots=True)
class Sealed:
    """An endpoint's secrets, encrypted; the old one counts until its time is over."""

    secret: bytes | None
    old: bytes | None
    old_until: datetime | None


async def insert(conn: Connection, new: Endpoint, secret: bytes | None) -> Endpoint:
    """A new endpoint; the id of `new` does not matter."""
    row = await conn.fetchrow(
        """
        insert into webhook_endpoints (name, sender, scheme, default_host, repositories, audience, service_account, secret,
                                       enabled, created_at, rotated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        returning *
        """,
        new.name, new.sender, new.scheme, new.default_host, list(new.repositories), new.audience, new.service_account, secret,
        new.enabled, new.created_at, new.rotated_at,
    )  # fmt: skip
    assert row is not None
    return _endpoint(row)


async def many(conn: Connection, endpoints: Sequence[EndpointId]) -> dict[EndpointId, Endpoint]:
    """Those of these endpoints that there are."""
    rows = await conn.fetch("select * from webhook_endpoints where id = any ($1) and deleted_at is null", endpoints)
    return {EndpointId(row["id"]): _endpoint(row) for row in rows}


async def ever(conn: Connection, endpoint: EndpointId) -> Endpoint:
    """One endpoint that there is, or was."""
    row = await conn.fetchrow("select * from webhook_endpoints where id = $1", endpoint)
    assert row is not None, "a deleted endpoint keeps its row"
    return _endpoint(row)


async def locked(conn: Connection, endpoint: EndpointId) -> Endpoint | None:
    """One endpoint, so that nobody else changes it before this transaction ends."""
    row = await conn.fetchrow("select * from webhook_endpoints where id = $1 and deleted_at is null for update", endpoint)
    return None if row is None else _endpoint(row)


async def with_secrets(conn: Connection, endpoint: EndpointId) -> tuple[Endpoint, Sealed] | None:
    """An endpoint, and what it takes to check that a webhook is from its sender."""
    row = await conn.fetchrow("select * from webhook_endpoints where id = $1 and deleted_at is null", endpoint)
    return None if row is None else (_endpoint(row), Sealed(row["secret"], row["old_secret"], row["old_until"]))


async def page(conn: Connection, after: EndpointId, limit: int) -> list[Endpoint]:
    """Endpoints in the order they were made."""
    rows = await conn.fetch("select * from webhook_endpoints where id > $1 and deleted_at is null order by id limit $2", after, limit)
    return [_endpoint(row) for row in rows]


async def count(conn: Connection) -> int:
    """How many there are."""
    found: int = await conn.fetchval("select count(*) from webhook_endpoints where deleted_at is null")
    return found


async def rotate(conn: Connection, endpoint: EndpointId, secret: bytes, old_until: datetime, now: datetime) -> Endpoint:
    """Another secret; the one before counts until then."""
    row = await conn.fetchrow(
        "update webhook_endpoints set old_secret = secret, old_until = $3, secret = $2, rotated_at = $4 where id = $1 returning *",
        endpoint, secret, old_until, now,
    )  # fmt: skip
    assert row is not None
    return _endpoint(row)


async def set_enabled(conn: Connection, endpoint: EndpointId, enabled: bool) -> Endpoint:
    row = await conn.fetchrow("update webhook_endpoints set enabled = $2 where id = $1 returning *", endpoint, enabled)
    assert row is not None
    return _endpoint(row)


async def delete(conn: Connection, endpoint: EndpointId, now: datetime) -> Endpoint:
    """Take an endpoint out of sight, and its secrets away; its deliveries keep pointing at it."""
    row = await conn.fetchrow(
        "update webhook_endpoints set deleted_at = $2, secret = null, old_secret = null where id = $1 returning *", endpoint, now
    )
    assert row is not None
    return _endpoint(row)


def _endpoint(row: Row) -> Endpoint:
    return Endpoint(
        id=EndpointId(row["id"]),
        name=row["name"],
        sender=Sender(row["sender"]),
        scheme=Scheme(row["scheme"]),
        default_host=row["default_host"],
        repositories=tuple(row["repositories"]),
        audience=row["audience"],
        service_account=row["service_account"],
        enabled=row["enabled"],
        created_at=row["created_at"],
        rotated_at=row["rotated_at"],
        version=row["version"],
        deleted_at=row["deleted_at"],
    )
