"""Every statement that reads or writes the registries that may be asked."""

from datetime import datetime

from domain.registries import Registry
from storage.connection import Connection, Row


async def save(conn: Connection, host: str, username: str | None, password: bytes | None, plain_http: bool, now: datetime) -> Registry:
    """Let a registry be asked, in this way from now on."""
    row = await conn.fetchrow(
        """
        insert into registries (host, username, password, plain_http, updated_at) values ($1, $2, $3, $4, $5)
        on conflict (host) do update
           set username = excluded.username, password = excluded.password, plain_http = excluded.plain_http,
               updated_at = excluded.updated_at, version = nextval('registry_versions')
        returning *
        """,
        host, username, password, plain_http, now,
    )  # fmt: skip
    assert row is not None
    return _registry(row)


async def version(conn: Connection, host: str) -> int:
    """The version of a registry that may be asked, 0 if it may not; nobody else says so before this transaction ends."""
    # Not the row's lock, which there is none of before it may be asked.
    await conn.execute("select pg_advisory_xact_lock(hashtextextended('registry ' || $1, 0))", host)
    found: int | None = await conn.fetchval("select version from registries where host = $1", host)
    return found or 0


async def delete(conn: Connection, host: str) -> bool:
    """Let a registry be asked no more; tells whether it was."""
    return bool(await conn.execute("delete from registries where host = $1", host) == "DELETE 1")


async def one(conn: Connection, host: str) -> tuple[Registry, str | None, bytes | None] | None:
    """A registry that may be asked, without its credentials, and these: the name, and the password encrypted."""
    row = await conn.fetchrow("select * from registries where host = $1", host)
    return None if row is None else (_registry(row), row["username"], row["password"])


async def all_of_them(conn: Connection) -> list[tuple[Registry, str | None]]:
    """Every registry that may be asked, with the name it is asked under."""
    rows = await conn.fetch("select * from registries order by host")
    return [(_registry(row), row["username"]) for row in rows]


def _registry(row: Row) -> Registry:
    return Registry(row["host"], None, row["plain_http"], row["updated_at"], row["version"])
