"""One dedicated connection that hears when something was committed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg

from storage.notifier import CHANNEL


@asynccontextmanager
async def listening(url: str, wake: Callable[[], None]) -> AsyncIterator[asyncio.Event]:
    """Call `wake` on every notification; yields an event that is set once the connection is lost."""
    # Not from the pool: a pooled connection drops its listeners when it is released.
    conn = await asyncpg.connect(url, timeout=5, command_timeout=5, server_settings={"application_name": "rollwave listener"})
    lost = asyncio.Event()

    def lose(_: object) -> None:
        lost.set()
        wake()

    try:
        conn.add_termination_listener(lose)
        await conn.add_listener(CHANNEL, lambda *_: wake())
        yield lost
    finally:
        conn.terminate()
