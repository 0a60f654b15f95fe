"""The process in which an audience sits, as seen from the one that measures."""

import asyncio
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Self

from tools import audience
from tools.audience import Asked

PATIENCE = 120.0


class Clients:
    """Clients of several servers, by the addresses of these."""

    def __init__(self, commands: Connection) -> None:
        self._commands = commands

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        """A process that is gone when the block ends."""
        spawning = get_context("spawn")
        ours, theirs = spawning.Pipe()
        process = spawning.Process(target=audience.run, args=(theirs,))
        process.start()
        theirs.close()
        try:
            yield cls(ours)
        finally:
            process.kill()
            process.join()

    async def join(self, asked: Asked, size: int) -> None:
        """Have so many subscribe."""
        await self._do("join", asked.url, asked, size)

    async def heard(self, url: str, after: int, last: int) -> "list[array[float]]":
        """Wait until all have heard the `last` message; returns for each after the `after`-th when the clients heard it."""
        times: list[array[float]] = await self._do("await", url, after, last)
        return times

    async def leave(self, url: str) -> list[bytes]:
        """End their connections; returns what each of them was told."""
        told: list[bytes] = await self._do("leave", url)
        return told

    async def _do(self, *command: object) -> Any:
        self._commands.send(command)
        async with asyncio.timeout(PATIENCE):
            answer = await asyncio.get_running_loop().run_in_executor(None, self._commands.recv)
        if isinstance(answer, OSError):
            raise answer
        return answer
