"""A way to PostgreSQL that can swallow what certain connections say, while they stay open: nobody is told that anything is wrong."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, unquote, urlsplit

POLLS, LISTENER, POOL = "rollwave polls", "rollwave listener", "rollwave"
EVERYBODY = frozenset({POLLS, LISTENER, POOL, ""})
_STARTUP = 196608


class Blackhole:
    """Connections are known by the application name with which they began; those that want to cancel something have none."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._swallowed: frozenset[str] = frozenset()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""
        """By this way."""

    def swallow(self, *names: str) -> None:
        """From now on nothing gets through on connections of these names, old or new."""
        self._swallowed = frozenset(names)

    def close(self) -> None:
        """Let everybody through who begins anew; of whom something was swallowed, nothing is heard any more."""
        self._swallowed = frozenset()

    def reset(self) -> None:
        """Let everybody through who begins anew, and tell all others that their connection is no more."""
        self.close()
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with suppress(asyncio.CancelledError, OSError, EOFError):
            await self._connected(reader, writer)
        writer.transport.abort()
        self._tasks.discard(task)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, name = await _begun(reader)
        if name in self._swallowed:
            await _drained(reader)
            return
        there, back = await _open(self._upstream)
        back.write(first)
        try:
            async with asyncio.TaskGroup() as group:
                swallowed = asyncio.Event()
                ways = [group.create_task(self._pass_on(name, *way, swallowed)) for way in ((reader, back), (there, writer))]
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                for way in ways:
                    way.cancel()
        finally:
            back.transport.abort()

    async def _pass_on(self, name: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, swallowed: asyncio.Event) -> None:
        """What comes in goes out, until some of it is swallowed: then nothing ever does."""
        with suppress(OSError):
            while data := await reader.read(65536):
                if name in self._swallowed:
                    swallowed.set()
                if not swallowed.is_set():
                    writer.write(data)
                    await writer.drain()


@asynccontextmanager
async def blackhole(upstream: str) -> AsyncIterator[Blackhole]:
    """Another way to the same database while the block runs."""
    hole = Blackhole(upstream)
    server = await asyncio.start_server(hole._serve, "127.0.0.1", 0)
    hole.url = _by(upstream, server.sockets[0].getsockname()[1])
    try:
        yield hole
    finally:
        server.close()
        hole.reset()
        await asyncio.gather(*hole._tasks, return_exceptions=True)


async def _begun(reader: asyncio.StreamReader) -> tuple[bytes, str]:
    """The first packet of a connection, and the application name in it."""
    head = await reader.readexactly(8)
    length, protocol = struct.unpack("!ii", head)
    body = await reader.readexactly(length - 8)
    said = body.split(b"\0")
    names = dict(zip(said[::2], said[1::2], strict=False)) if protocol == _STARTUP else {}
    return head + body, names.get(b"application_name", b"").decode()


async def _drained(reader: asyncio.StreamReader) -> None:
    while await reader.read(65536):
        pass


async def _open(upstream: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(upstream)
    where = {name: values[0] for name, values in parse_qs(parts.query).items()}
    host, port = where.get("host") or unquote(parts.hostname or "127.0.0.1"), int(where.get("port") or parts.port or 5432)
    if host.startswith("/"):
        return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
    return await asyncio.open_connection(host, port)


def _by(upstream: str, port: int) -> str:
    """The same user and database, by way of this port."""
    parts = urlsplit(upstream)
    user = parts.netloc.rpartition("@")[0]
    return f"{parts.scheme}://{user}@127.0.0.1:{port}{parts.path}?sslmode=disable"
