"""Brings a database to the newest layout."""

from pathlib import Path

import asyncpg
from pogo_core.util import migrate as pogo

MIGRATIONS = Path(__file__).parent / "migrations"
# Any number that nobody else uses: pogo takes no lock of its own, so whoever starts first migrates and the others wait.
_LOCK = 0x726F6C6C77617665


async def migrate(url: str) -> None:
    """Apply what has not been applied yet; safe in several processes at once."""
    conn = await asyncpg.connect(url)
    try:
        await conn.execute("select pg_advisory_lock($1)", _LOCK)
        await pogo.apply(conn, MIGRATIONS, schema_name="public")
    finally:
        await conn.close()  # and with it the lock
