"""A docker-registry of a test's own, and skopeo, which pushes to it and pulls from it."""

import asyncio
import json
import signal
import tempfile
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from domain.registries import Credentials
from live.layouts import layout
from tools.processes import free_port

PATH = "acme/edge-agent"
_PATIENCE = 20.0
"""Seconds that a program may take for what takes it a tenth of one."""


@dataclass(frozen=True, slots=True)
class Told:
    """How the registry's webhooks fared."""

    pending: int
    acknowledged: int
    refused: int


class Registry:
    """A docker-registry on 127.0.0.1 that keeps everything in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.host = f"127.0.0.1:{free_port()}"
        self.credentials: Credentials | None = None
        """What skopeo says who it is."""
        self._debug = f"127.0.0.1:{free_port()}"
        self._process: Process | None = None
        self._config: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(directory / "storage")}, "delete": {"enabled": True}},
            "http": {"addr": self.host, "debug": {"addr": self._debug}, "relativeurls": True},
        }

    @property
    def repository(self) -> str:
        """The repository that most tests are about, as devices write it."""
        return f"{self.host}/{PATH}"

    def tells(self, url: str, authorization: str) -> None:
        """From its next start post webhooks there; whoever refuses one hears it again a second later."""
        endpoint = {
            "name": "rollwave", "url": url, "headers": {"Authorization": [authorization]},
            "timeout": "2s", "threshold": 1, "backoff": "500ms",
        }  # fmt: skip
        self._config["notifications"] = {"endpoints": [endpoint]}

    def wants(self, **auth: dict[str, str]) -> None:
        """From its next start let in only who proves it like this."""
        self._config["auth"] = auth

    async def start(self) -> None:
        """Run until it answers."""
        config = self.directory / "config.yml"
        config.write_text(json.dumps(self._config))  # JSON is YAML
        with (self.directory / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec("docker-registry", "serve", str(config), stdout=log, stderr=STDOUT)
        async with asyncio.timeout(_PATIENCE), aiohttp.ClientSession() as http:
            while not await self._answers(http):
                assert self._process.returncode is None, (self.directory / "log").read_text()
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """End it; what it keeps stays."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    async def _answers(self, http: aiohttp.ClientSession) -> bool:
        with suppress(aiohttp.ClientError):
            async with http.get(f"http://{self.host}/v2/") as response:
                return response.status in (200, 401)
        return False

    async def told(self) -> Told:
        """How its webhooks fared so far, by its own count."""
        async with aiohttp.ClientSession() as http, http.get(f"http://{self._debug}/debug/vars") as response:
            [endpoint] = (await response.json())["registry"]["notifications"]["endpoints"]
        counts = endpoint["Metrics"]
        return Told(counts["Pending"], counts["Successes"], counts["Failures"])

    async def push(self, tag: str, text: str | None = None, *, platforms: Sequence[str] = ("linux/amd64",), form: str = "oci") -> str:
        """Push an image, by default one that holds its tag; returns the digest that `skopeo inspect` says."""
        with tempfile.TemporaryDirectory(dir=self.directory) as made:
            layout(Path(made), text or tag, platforms)
            await self._copy(f"oci:{made}", self._at(tag), "--all", "--format", form, "--dest-tls-verify=false", *self._as("dest"))
        return await self.digest(tag)

    async def digest(self, tag: str) -> str:
        """The digest of a tag, by skopeo's account."""
        return await skopeo("inspect", "--format", "{{.Digest}}", "--no-tags", "--tls-verify=false", *self._as(), self._at(tag))

    async def pull(self, tag: str) -> None:
        """Copy an image here, layers and all, as a device would."""
        with tempfile.TemporaryDirectory(dir=self.directory) as pulled:
            await self._copy(self._at(tag), f"dir:{pulled}", "--src-tls-verify=false", *self._as("src"))

    async def promote(self, tag: str, to: str) -> None:
        """Let another tag hold what this one holds."""
        plain = ("--src-tls-verify=false", "--dest-tls-verify=false")
        await self._copy(self._at(tag), self._at(to), "--all", *plain, *self._as("src"), *self._as("dest"))

    async def delete(self, tag: str) -> None:
        """Take an image away."""
        await skopeo("delete", "--tls-verify=false", *self._as(), self._at(tag))

    async def _copy(self, source: str, target: str, *options: str) -> None:
        await skopeo("copy", "--quiet", *options, source, target)

    def _at(self, tag: str) -> str:
        return f"docker://{self.repository}:{tag}"

    def _as(self, side: str = "") -> list[str]:
        option = f"--{side}-creds" if side else "--creds"
        return [] if self.credentials is None else [option, f"{self.credentials.username}:{self.credentials.password}"]


@asynccontextmanager
async def a_registry(directory: Path) -> AsyncIterator[Registry]:
    """A registry that is not started yet, and is gone when the block ends."""
    registry = Registry(directory)
    try:
        yield registry
    finally:
        await registry.stop()


async def skopeo(*arguments: str) -> str:
    """What skopeo says; it must succeed."""
    process = await asyncio.create_subprocess_exec("skopeo", "--insecure-policy", *arguments, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(_PATIENCE):
            said, complaint = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0, complaint.decode()
    return said.decode().strip()
