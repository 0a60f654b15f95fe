"""Brings a database to the newest layout."""

import asyncio
import logging
from pathlib import Path

import asyncpg
from pogo_core.error import BadMigrationError
from pogo_core.util import migrate as pogo

log = logging.getLogger(__name__)
MIGRATIONS = Path(__file__).parent / "migrations"
# Any number that nobody else uses: pogo takes no lock of its own, so whoever starts first migrates and the others wait.
_LOCK = 0x726F6C6C77617665


class NoDatabase(Exception):
    """The database that was named cannot be reached, or not entered; the message says why."""


async def migrate(url: str) -> None:
    """Apply what has not been applied yet; safe in several processes at once. Raises NoDatabase."""
    conn = await _connect(url)
    try:
        await conn.execute("select pg_advisory_lock($1)", _LOCK)
        await _apply(conn)
        await _take_in_restored_events(conn)
    finally:
        await conn.close()  # and with it the lock


async def _apply(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Wait a moment for each lock, again and again: whoever waits long for a table, behind a dump, keeps everybody else from it."""
    await conn.execute("set lock_timeout = '2s'")
    while True:
        try:
            await pogo.apply(conn, MIGRATIONS, schema_name="public")
            break
        except BadMigrationError as failed:
            if not isinstance(failed.__cause__, asyncpg.LockNotAvailableError):
                raise
            log.warning("the layout of the database cannot be changed while somebody reads or writes for long; it is tried again")
            await asyncio.sleep(2)
    await conn.execute("reset lock_timeout")


async def _connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    try:
        return await asyncpg.connect(url, timeout=10)
    except (OSError, ValueError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise NoDatabase(f"the database cannot be used: {str(error) or 'it does not answer'}") from error


async def _take_in_restored_events(conn: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Give events that were restored from another cluster's dump a place in this one's order of transactions.

    Whatever a snapshot shows was written by a transaction before its xmax, so an event beyond it comes from a cluster that had counted
    further. Unmoved it would stay unseen until this one gets there. Cursors of the other cluster are void.
    """
    async with conn.transaction():  # one number for both, so that nothing that was kept lies before what was forgotten
        await conn.execute("update events set xid = pg_current_xact_id() where xid >= pg_snapshot_xmax(pg_current_snapshot())")
        await conn.execute(
            """
            update forgotten_events set xid = pg_current_xact_id(), seq = 0, part = 0
             where xid >= pg_snapshot_xmax(pg_current_snapshot())
            """
        )
