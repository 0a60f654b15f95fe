"""Every statement that reads or writes operators' tokens."""

from storage.connection import Connection


async def insert(conn: Connection, name: str, token_hash: bytes) -> None:
    """Let whoever holds this token in, under this name."""
    await conn.execute("insert into tokens (name, hash) values ($1, $2)", name, token_hash)


async def name_of(conn: Connection, token_hash: bytes) -> str | None:
    """Whose token this is."""
    name: str | None = await conn.fetchval("select name from tokens where hash = $1", token_hash)
    return name
