"""Programs of ours as processes of their own: to be killed, and to be measured from outside."""

import asyncio
import os
import resource
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parent.parent


class Process:
    """`python -m …` on a port, which it is told as ROLLWAVE_PORT."""

    def __init__(self, *module: str, **environment: str) -> None:
        self._module = module
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self.url = f"http://127.0.0.1:{free_port()}"

    async def start(self) -> None:
        """Run until it answers."""
        environment = {"PATH": os.environ["PATH"], "ROLLWAVE_PORT": self.url.rpartition(":")[2], **self._environment}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", *self._module, cwd=ROOT, env=environment, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(20), aiohttp.ClientSession() as http:
            while not await _answers(http, self.url):  # noqa: ASYNC110 – only asking tells
                await asyncio.sleep(0.05)

    async def kill(self) -> None:
        """As the kernel would: no goodbye."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int:
        """As an operator would; returns the exit code."""
        return await self._end(signal.SIGTERM)

    def resident(self) -> int:
        """Bytes of memory that it holds."""
        assert self._process is not None
        pages = Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def worked(self) -> float:
        """Seconds for which it has had a core."""
        assert self._process is not None
        times = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")

    async def _end(self, how: signal.Signals) -> int:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.send_signal(how)
        return await self._process.wait()


@asynccontextmanager
async def a_process(database_url: str, secret: str) -> AsyncIterator[Process]:
    """A server that is gone when the block ends."""
    async with living(Process("server", DATABASE_URL=database_url, ROLLWAVE_WEBHOOK_SECRET=secret)) as process:
        yield process


@asynccontextmanager
async def living(process: Process) -> AsyncIterator[Process]:
    """Start it; it is gone when the block ends."""
    try:
        await process.start()
        yield process
    finally:
        await process.kill()


async def _answers(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(f"{url}/healthz") as response:
            return response.status < 500
    except aiohttp.ClientError:
        return False


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
