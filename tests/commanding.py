"""The rollwave command, run as people and CI run it: a process of its own."""

import asyncio
import json
import os
import pty
import shlex
import sys
import termios
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.api import Api
from tools.snapshots import ROOT

ROLLWAVE = (sys.executable, "-m", "rollwave")
Environment = dict[str, str] | None


@dataclass(frozen=True, slots=True)
class Ran:
    """What became of it."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one document that it printed."""
        return json.loads(self.out)


@dataclass(frozen=True, slots=True)
class Terminal:
    """Somewhere to run it, with a configuration directory of its own."""

    home: Path
    url: str | None = None
    token: str | None = None

    @classmethod
    def of(cls, api: Api, home: Path) -> "Terminal":
        """As in CI: the server and the token are in the environment."""
        return cls(home, str(api.url), api.token)

    async def run(self, *arguments: str, stdin: str = "") -> Ran:
        """The command to its end."""
        process = await self._start(*ROLLWAVE, *arguments, stdin=PIPE)
        out, err = await process.communicate(stdin.encode())
        return _ran(process, out, err)

    async def typing(self, *arguments: str, keys: str = "") -> Ran:
        """The command to its end before somebody who types; what is shown there, on 80 columns, is in `err`."""
        master, slave = screen()
        process = await self._start(*ROLLWAVE, *arguments, stdin=slave, stderr=slave)
        os.close(slave)
        os.write(master, keys.encode())
        shown = asyncio.create_task(asyncio.to_thread(read_all, master))
        out, _ = await process.communicate()
        return _ran(process, out, (await shown).encode())

    def running(self, *arguments: str, stderr: int = PIPE) -> AbstractAsyncContextManager["Command"]:
        """The command while it runs."""
        return self._running(*ROLLWAVE, *arguments, stderr=stderr)

    def shell(self, line: str, environment: Environment) -> AbstractAsyncContextManager["Command"]:
        """A line of shell in which rollwave is installed, while it runs."""
        return self._running("sh", "-c", f'rollwave() {{ {shlex.join(ROLLWAVE)} "$@"; }}; {line}', environment=environment)

    @asynccontextmanager
    async def _running(self, *arguments: str, stderr: int = PIPE, environment: Environment = None) -> AsyncIterator["Command"]:
        process = await self._start(*arguments, stdin=DEVNULL, stderr=stderr, environment=environment)
        try:
            yield Command(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()

    async def _start(self, *arguments: str, stdin: int, stderr: int = PIPE, environment: Environment = None) -> Process:
        given = {"ROLLWAVE_URL": self.url, "ROLLWAVE_TOKEN": self.token}
        known = (environment or {}) | {name: value for name, value in given.items() if value is not None} | {
            "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "client"), "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home),
            "LC_ALL": "C.UTF-8", "TZ": "UTC", "TERM": "xterm",
        }  # fmt: skip
        return await asyncio.create_subprocess_exec(*arguments, stdin=stdin, stdout=PIPE, stderr=stderr, env=known)


@dataclass(frozen=True, slots=True)
class Command:
    """One that has not ended yet."""

    process: Process

    async def says(self, words: str, seconds: float = 20) -> str:
        """Wait until it says so on stderr; returns the line."""
        assert self.process.stderr is not None
        heard = list[str]()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while line := (await self.process.stderr.readline()).decode():
                    heard.append(line)
                    if words in line:
                        return line
        raise AssertionError(f"it did not say “{words}”, but {heard}")

    async def end(self, seconds: float = 20) -> Ran:
        """What became of it, with what it said since."""
        async with asyncio.timeout(seconds):
            out, err = await self.process.communicate()
        return _ran(self.process, out, err)


def screen() -> tuple[int, int]:
    """A pseudo-terminal of 80 columns: its end for people, and its end for programs."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    return master, slave


def read_all(master: int) -> str:
    """What is shown there, until nobody writes any more."""
    heard = b""
    with os.fdopen(master, "rb", buffering=0) as shown:
        try:
            while piece := shown.read(4096):
                heard += piece
        except OSError:  # the other end is closed
            pass
    return heard.decode()


def _ran(process: Process, out: bytes, err: bytes | None) -> Ran:
    assert process.returncode is not None
    return Ran(process.returncode, out.decode(), (err or b"").decode())
