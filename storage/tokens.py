"""Every statement that reads or writes tokens."""

from collections.abc import Sequence
from datetime import datetime

from domain.actors import Role
from domain.ids import TokenId
from domain.tokens import Token, Wanted
from storage.connection import Connection, Row


async def insert(conn: Connection, wanted: Wanted, token_hash: bytes, by: str, now: datetime) -> Token:
    """Let whoever holds this token in."""
    row = await conn.fetchrow(
        """
        insert into tokens (hash, name, role, expires_at, created_at, created_by) values ($1, $2, $3, $4, $5, $6)
        returning *
        """,
        token_hash, wanted.name, wanted.role, wanted.expires_at, now, by,
    )  # fmt: skip
    assert row is not None
    return _token(row)


async def by_hash(conn: Connection, token_hash: bytes) -> tuple[Token, bool] | None:
    """The token of this hash, whether or not it still lets anybody in, and whether its being used is to be noted."""
    row = await conn.fetchrow(
        "select *, coalesce(last_used_at < now() - interval '1 minute', true) as is_to_be_noted from tokens where hash = $1", token_hash
    )
    return None if row is None else (_token(row), row["is_to_be_noted"])


async def note_use(conn: Connection, token: TokenId) -> None:
    """Note that a token is used, unless somebody notes it just now; nobody waits for that."""
    await conn.execute(
        """
        update tokens set last_used_at = now()
         where id = (select id from tokens
                      where id = $1 and coalesce(last_used_at < now() - interval '1 minute', true)
                        for no key update skip locked)
        """,
        token,
    )


async def locked(conn: Connection, token: TokenId) -> Token | None:
    """One token, so that nobody else changes it before this transaction ends."""
    row = await conn.fetchrow("select * from tokens where id = $1 for no key update", token)
    return None if row is None else _token(row)


async def revoke(conn: Connection, token: TokenId, now: datetime) -> Token:
    """Have a token let nobody in from now on; one that was revoked before stays as it is."""
    row = await conn.fetchrow("update tokens set revoked_at = coalesce(revoked_at, $2) where id = $1 returning *", token, now)
    assert row is not None
    return _token(row)


async def many(conn: Connection, some: Sequence[TokenId]) -> list[Token]:
    """Those of these tokens that there are."""
    return [_token(row) for row in await conn.fetch("select * from tokens where id = any ($1)", some)]


async def ending(conn: Connection, some: Sequence[TokenId]) -> list[Token]:
    """Those of these tokens that were revoked, have expired, or will."""
    rows = await conn.fetch(
        "select * from tokens where id = any ($1) and (revoked_at is not null or expires_at is not null)",
        some,
    )
    return [_token(row) for row in rows]


async def page(conn: Connection, after: TokenId, limit: int) -> list[Token]:
    """Tokens in the order they were made."""
    return [_token(row) for row in await conn.fetch("select * from tokens where id > $1 order by id limit $2", after, limit)]


async def count(conn: Connection) -> int:
    """How many there are, revoked ones included."""
    found: int = await conn.fetchval("select count(*) from tokens")
    return found


def _token(row: Row) -> Token:
    return Token(
        id=TokenId(row["id"]),
        name=row["name"],
        role=Role(row["role"]),
        created_at=row["created_at"],
        created_by=row["created_by"],
        last_used_at=row["last_used_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        version=row["version"],
    )
