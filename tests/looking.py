"""How much PostgreSQL looks at."""

from collections.abc import Awaitable

from storage.connection import Connection

_LOOKED_AT = "select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint from pg_stat_xact_user_tables"


async def read_by(conn: Connection, question: Awaitable[object]) -> int:
    """How many rows PostgreSQL looks at to answer it."""
    before = await conn.fetchval(_LOOKED_AT)
    await question
    looked: int = await conn.fetchval(_LOOKED_AT) - before
    return looked
