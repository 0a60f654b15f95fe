"""A running server: database, application, sockets, and their end in the right order."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from socket import socket

import uvicorn
from starlette.types import ASGIApp

from registries.oidc import GOOGLE_KEYS
from server import slow_readers
from server.app import create_app
from server.embedded import embedded_postgres
from server.polls import FromMemory
from server.settings import Settings
from storage.database import Clock, Database, database_clock
from storage.migrate import migrate

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    url: str
    db: Database


class Serving(uvicorn.Server):
    """uvicorn without its signal handlers: whoever runs it decides when it ends."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def __init__(self, config: uvicorn.Config, drain: Callable[[], Awaitable[None]], stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._drain = drain
        """Ends the streams, one after the other."""
        self._stopping = stopping
        """Ends what would be told for ever."""

    async def startup(self, sockets: list[socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        slow_readers.cut_off(listening for server in self.servers for listening in server.sockets)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Let nobody in any more, have the streams end, and then close what is left.

        WebSockets with 1012, by which clients know to come again; if their subscriptions ended first, they would not.
        """
        self._shut_the_door()
        await self._drain()
        closing = asyncio.create_task(super().shutdown(sockets))
        await asyncio.sleep(0)  # by then each connection has been told
        self._stopping()
        await closing

    def _shut_the_door(self) -> None:
        """Nobody connects any more, and who is connected without a stream is not asked to wait for those who have one."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            if not isinstance(connection, slow_readers.WebSockets):
                connection.shutdown()  # at once, or after its response


@contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """The database that is set, or an embedded one for as long as the block runs."""
    if settings.database_url is not None:
        yield settings.database_url
    else:
        with embedded_postgres(settings.data_dir) as url:
            yield url


@asynccontextmanager
async def running(settings: Settings, url: str, *, clock: Clock = database_clock, google_keys: str = GOOGLE_KEYS) -> AsyncIterator[Running]:
    """Serve while the block runs; the database is brought up to date first. Only tests replace the clock, or where Google's keys are."""
    await migrate(url)
    async with Database.connect(url, clock=clock) as db:
        app = create_app(settings, db, google_keys=google_keys)
        served_app = settings.proxies.around(FromMemory(app, app.state.polls, app.state.limits, settings.proxies))
        server = Serving(served(served_app, settings), app.state.connections.drain, lambda: app.state.wiring.feed.close())
        task = asyncio.create_task(server.serve(), name="uvicorn")
        try:
            yield Running(await _address(server, task), db)
        finally:
            server.should_exit = True
            await task


def served(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How uvicorn serves an application of ours; the benchmarks serve alike what they compare it with."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,  # it would show webhook secrets, and cost half the polls per second
        server_header=False,
        proxy_headers=False,  # whom to trust is ours to say, and who the peer is ours to know
        ws=slow_readers.WebSockets,
        ws_max_size=65_536,
        ws_ping_interval=20,
        ws_ping_timeout=20,
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=5,
    )


async def _address(server: uvicorn.Server, task: asyncio.Task[None]) -> str:
    while not server.started:
        if task.done():
            await task
            raise RuntimeError("the server could not start; the log says why")
        await asyncio.sleep(0.01)
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
