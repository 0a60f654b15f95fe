"""The pool, transactions that wake the readers of events, and the one clock: the database's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Self

import asyncpg
import orjson

from storage.connection import Connection
from storage.notifier import Notifier

Clock = Callable[[Connection], Awaitable[datetime]]


async def database_clock(conn: Connection) -> datetime:
    """The time at which this transaction began, by the database's clock."""
    now: datetime = await conn.fetchval("select now()")
    return now


class Database:
    """PostgreSQL, as the rest of Rollwave sees it. `now` is replaced only by tests that move the clock."""

    errors = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    """What the database itself may raise, for those who would rather try again than know why."""
    unavailable = (
        asyncpg.PostgresConnectionError,
        asyncpg.InterfaceError,
        asyncpg.InternalClientError,  # the connection went away in the middle of an answer
        asyncpg.CannotConnectNowError,
        asyncpg.AdminShutdownError,
        asyncpg.CrashShutdownError,
        asyncpg.TooManyConnectionsError,
        asyncpg.DeadlockDetectedError,
        asyncpg.LockNotAvailableError,
        asyncpg.QueryCanceledError,  # by a statement_timeout, or by whoever administers it
        asyncpg.IdleInTransactionSessionTimeoutError,
        OSError,
        TimeoutError,
    )
    """What is raised while it is away, or busy beyond patience; the same request may go through a moment later."""

    def __init__(self, url: str, pool: "asyncpg.Pool[asyncpg.Record]", clock: Clock) -> None:
        self.url = url
        self.now = clock
        self._pool = pool
        self.notifier = Notifier(pool)

    @classmethod
    @asynccontextmanager
    async def connect(
        cls,
        url: str,
        *,
        clock: Clock = database_clock,
        size: int = 10,
        connection_class: "type[asyncpg.Connection[Any]]" = asyncpg.Connection,
    ) -> AsyncIterator[Self]:
        """Open a pool for as long as the block runs."""
        async with asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            init=_set_up,
            # asyncpg's own reset costs a round trip a release, half the throughput of short reads; nothing here keeps session state.
            reset=_leave_as_it_is,
            connection_class=connection_class,
            command_timeout=60,
            server_settings={"application_name": "rollwave", "idle_in_transaction_session_timeout": "10s", "timezone": "UTC", "jit": "off"},
        ) as pool:
            database = cls(url, pool, clock)
            async with database.notifier.running():
                yield database

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """One transaction that writes; whoever reads events is woken after it commits."""
        async with self.unheard() as conn:
            yield conn
        self.notifier.wake()

    @asynccontextmanager
    async def unheard(self) -> AsyncIterator[Connection]:
        """One transaction of which nobody is woken. A loop that looks for work would wake itself: 237 commits a second where 6 will do."""
        async with self.reading() as conn, conn.transaction():
            yield conn

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """Several reads that see one moment."""
        async with self.reading() as conn, conn.transaction(isolation="repeatable_read", readonly=True):
            yield conn

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Connection]:
        """A connection for single reads. Whoever is stopped in the middle of one loses it."""
        async with self._pool.acquire(timeout=10) as conn:
            try:
                yield conn
            except (asyncio.CancelledError, TimeoutError):
                # asyncpg may have sent half a statement, which leaves a transaction open that it knows nothing of.
                conn.terminate()
                raise

    @asynccontextmanager
    async def apart(self) -> AsyncIterator[Connection]:
        """A connection of its own, for whoever must not wait behind others; a statement that takes over 2 seconds loses it."""
        conn = await asyncpg.connect(self.url, timeout=2, command_timeout=2, server_settings={"application_name": "rollwave polls"})
        try:
            yield conn
        finally:
            conn.terminate()


async def _set_up(conn: Connection) -> None:
    await conn.set_type_codec("jsonb", schema="pg_catalog", encoder=lambda value: orjson.dumps(value).decode(), decoder=orjson.loads)


async def _leave_as_it_is(_: Connection) -> None:
    pass
