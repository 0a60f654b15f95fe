"""An agent of any generation: what it sends, byte for byte, and what it is answered."""

import gzip
import json
import secrets
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp
import orjson
from multidict import CIMultiDictProxy

REGISTER = "/api/v1/device/register"
REPORT = "/api/v1/device/state"
GZIP = {"Content-Encoding": "gzip"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def said(self) -> Any:
        """The body, which must be JSON and say so."""
        assert self.headers["Content-Type"] == "application/json", (self.status, self.body[:200])
        return orjson.loads(self.body)

    @property
    def error(self) -> str:
        """Why it was refused: a sentence, and nothing else."""
        said = self.said
        assert set(said) == {"error"}, said
        assert said["error"]
        return str(said["error"])


@dataclass(slots=True)
class Agent:
    """One device in the field."""

    http: aiohttp.ClientSession
    uuid: str
    key: str

    @classmethod
    def new(cls, http: aiohttp.ClientSession) -> "Agent":
        """One that nobody knows yet, with the uuid and the key it made."""
        return cls(http, str(uuid4()), secrets.token_hex(32))

    @property
    def proof(self) -> dict[str, str]:
        return {"X-Device-API-Key": self.key}

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    @property
    def introduction(self) -> dict[str, Any]:
        """What every generation says when it registers."""
        return {"uuid": self.uuid, "deviceName": "press-12", "deviceType": "pi4", "deviceApiKey": self.key}

    async def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """Any request at all."""
        return await ask(self.http, method, path, body, headers)

    async def register(self, provisioning_key: str, **more: Any) -> Answer:
        """Introduce itself."""
        body = orjson.dumps({**self.introduction, **more})
        return await self.ask("POST", REGISTER, body, {"Authorization": f"Bearer {provisioning_key}"})

    async def exchange(self, headers: dict[str, str]) -> Answer:
        """Ask whether its key is known."""
        body = orjson.dumps({"uuid": self.uuid, "deviceApiKey": self.key})
        return await self.ask("POST", f"/api/v1/device/{self.uuid}/key-exchange", body, headers)

    async def poll(self, held: str | None = None, **more: str) -> Answer:
        """Ask what to run, holding an ETag."""
        known = {} if held is None else {"If-None-Match": held}
        return await self.ask("GET", f"/api/v1/device/{self.uuid}/state", headers={**self.proof, **known, **more})

    async def told(self) -> Any:
        """What it is to run."""
        answer = await self.poll()
        assert answer.status == 200, answer
        return answer.said[self.uuid]

    async def say(self, state: Any) -> Answer:
        """Report as A1 does: plain."""
        return await self.send(orjson.dumps({self.uuid: state}))

    async def squeeze(self, state: Any) -> Answer:
        """Report as A2 does: compressed."""
        return await self.send(gzip.compress(orjson.dumps({self.uuid: state})), GZIP)

    async def send(self, body: Any, headers: dict[str, str] | None = None) -> Answer:
        """Report these bytes."""
        return await self.ask("PATCH", REPORT, body, {**self.proof, "Content-Type": "application/json", **(headers or {})})


async def ask(http: aiohttp.ClientSession, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
    """Any request of anybody."""
    async with http.request(method, path, data=body, headers=headers, allow_redirects=False) as response:
        return Answer(response.status, response.headers, await response.read())


def service(image: str, **more: Any) -> dict[str, Any]:
    """One service as agents report it."""
    return {"serviceId": 7, "serviceName": "web", "imageName": image, "status": "running", **more}


def apps(*services: Any) -> dict[str, Any]:
    """The services of one app."""
    return {"1001": {"appId": 1001, "appName": "monitoring", "services": list(services)}}


def a1(image: str) -> dict[str, Any]:
    """A whole report of A1: all of it each time, environment and all, and no version."""
    config = {"image": image, "ports": ["8080:80"], "networks": [], "environment": {"TZ": "UTC", "PATH": "/bin"}}
    running = service(image, appId=1001, appName="monitoring", containerId="9f2c" * 16, config=config)
    return {
        "apps": apps(running),
        "is_online": True, "os_version": "Debian 12", "supervisor_version": "1.0.0",
        "cpu_usage": 12.5, "memory_usage": 1, "memory_total": 2, "storage_usage": 3, "storage_total": 4,
        "temperature": 51.2, "uptime": 86400, "local_ip": "10.0.0.9",
    }  # fmt: skip


def a2(image: str, version: int) -> dict[str, Any]:
    """A whole report of A2: the container's state beside its status, the version it polled, and what it measured."""
    report = a1(image)
    report["apps"]["1001"]["services"][0] |= {"state": "running", "serviceStatus": "running"}
    del report["supervisor_version"]
    return report | {
        "version": version, "config": {}, "agent_version": "1.0.77",
        "top_processes": [{"pid": 1, "name": "init", "cpu": 0.1, "mem": 0.2}],
        "network_interfaces": [{"name": "eth0", "ip4": "10.0.0.9", "mac": "02:42:00:00:00:01"}],
        "sensor_health": {}, "protocol_adapters_health": {},
    }  # fmt: skip


def a3(image: str, version: int) -> dict[str, Any]:
    """A whole report of A3."""
    report = a2(image, version)
    return report | {"architecture": "arm64", "devices": [], "endpoints_health": {}, "publish_health": {}, "vpn_health": {"up": False}}


def as_json(value: Any) -> bytes:
    """JSON of any depth and with numbers of any size, which orjson does not write."""
    return json.dumps(value).encode()


def nested(depth: int) -> Any:
    """JSON this deep."""
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value
