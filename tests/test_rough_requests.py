"""Requests that no agent would send, byte by byte: each is answered in words or hung up on, and everybody else is served as before."""

import asyncio
import gzip
import logging
import re
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Self
from uuid import uuid4

import orjson
import pytest
from yarl import URL

from server.bodies import MOST_SENT
from server.process import Running, running
from server.settings import Settings
from tests.api import Agent, Api, everything
from tests.conftest import SECRET, a_database

REPORT, REGISTER, WEBHOOK = "PATCH /api/v1/device/state", "POST /api/v1/device/register", "POST /api/v1/webhooks/docker-registry"
STATE = "GET /api/v1/device/00000000-0000-4000-8000-00000000000a/state"


@dataclass(slots=True)
class Wire:
    """A connection to the server, and nothing in between."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    is_head: bool = False
    """Whether the answer says how long a body would be, and has none."""

    @classmethod
    async def to(cls, url: str) -> Self:
        """A new one."""
        address = URL(url)
        return cls(*await asyncio.open_connection(address.host, address.port))

    async def send(self, data: bytes) -> None:
        """These bytes; a server that has hung up hears nothing of them."""
        self.is_head = data.startswith(b"HEAD")
        with suppress(ConnectionError):
            self.writer.write(data)
            await self.writer.drain()

    async def answer(self) -> tuple[int, bytes]:
        """Status and body; 0 if the server hung up."""
        try:
            async with asyncio.timeout(10):
                head = await self.reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", head.lower())
                body = await self.reader.readexactly(int(length[1])) if length and not self.is_head else b""
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0, b""
        finally:
            self.writer.close()
        return int(head.split()[1]), body


def request(line: str, body: bytes = b"", more: dict[str, str] | None = None, **headers: str) -> bytes:
    """A request as it should be, but for what the test is about."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    given = {"Host": "rollwave", "Content-Length": str(len(body)), **named, **(more or {})}
    return f"{line} HTTP/1.1\r\n".encode() + b"".join(f"{name}: {value}\r\n".encode() for name, value in given.items()) + b"\r\n" + body


async def answer(server: Running, data: bytes) -> tuple[int, bytes]:
    """What is answered to these bytes."""
    wire = await Wire.to(server.url)
    await wire.send(data)
    return await wire.answer()


@pytest.fixture(scope="module")
async def server(cluster: str, template: str) -> AsyncIterator[Running]:
    """One server for all of these."""
    async with a_database(cluster, template) as url, running(Settings(port=0, webhook_secret=SECRET), url) as server:
        yield server


@pytest.fixture(scope="module")
async def api(server: Running) -> AsyncIterator[Api]:
    """An operator of that server."""
    async with Api.of(server, SECRET) as api:
        yield api


@pytest.fixture
async def agent(api: Api, server: Running, caplog: pytest.LogCaptureFixture) -> AsyncIterator[Agent]:
    """A device. Whatever a test sends, the device is served, nothing has changed, and nothing was logged as a mistake of ours."""
    agent = await api.device(str(uuid4()))
    await agent.poll()
    before = await everything(server.db)
    yield agent
    assert (await agent.poll())[0] == 304
    assert await everything(server.db) == before
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.parametrize("line", [REPORT, REGISTER, WEBHOOK])
async def test_a_body_that_says_it_is_too_large_is_refused_before_it_is_sent(server: Running, agent: Agent, line: str) -> None:
    status, body = await answer(server, request(line, X_Device_API_Key=agent.key, Content_Length=str(10 * MOST_SENT)))

    assert (status, list(orjson.loads(body))) == (413, ["error"])


@pytest.mark.parametrize("line", [REPORT, REGISTER, WEBHOOK])
async def test_ten_megabytes_are_refused_in_json_however_they_come(server: Running, agent: Agent, line: str) -> None:
    chunk = b"%x\r\n%s\r\n" % (65536, b" " * 65536)
    in_one = request(line, b" " * 10_000_000, Content_Type="application/json", X_Device_API_Key=agent.key)
    in_chunks = f"{line} HTTP/1.1\r\nHost: rollwave\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode()

    for data in (in_one, in_chunks + chunk * 160 + b"0\r\n\r\n"):
        status, body = await answer(server, data)
        # Who is still sending when the connection is closed may not hear why.
        assert status in (0, 413)
        assert status == 0 or list(orjson.loads(body)) == ["error"]


async def test_a_slow_body_holds_up_nobody(server: Running, api: Api, agent: Agent) -> None:
    body = orjson.dumps({agent.uuid: {"apps": {}}})
    slow = await Wire.to(server.url)
    await slow.send(request(REPORT, X_Device_API_Key="wrong", Content_Length=str(len(body))) + body[:10])

    for _ in range(5):
        assert (await Agent(api.http, agent.uuid).poll())[0] == 200
        await slow.send(b"")
    await slow.send(body[10:])

    assert (await slow.answer())[0] == 401


@pytest.mark.parametrize("sent", [0, 1, 20])
async def test_who_hangs_up_in_the_middle_of_a_body_changes_nothing(server: Running, agent: Agent, sent: int) -> None:
    body = gzip.compress(orjson.dumps({agent.uuid: {"apps": {}}}))
    wire = await Wire.to(server.url)

    await wire.send(request(REPORT, X_Device_API_Key=agent.key, Content_Encoding="gzip", Content_Length=str(len(body))) + body[:sent])
    wire.writer.close()
    await wire.writer.wait_closed()


@pytest.mark.parametrize(
    "name", ["X-Device-API-Key", "Authorization", "If-None-Match", "Content-Encoding", "X-Hub-Signature-256", "X-Nobody-Knows", "Cookie"]
)
@pytest.mark.parametrize("line", [STATE, REPORT, REGISTER, WEBHOOK])
async def test_a_header_of_sixty_kilobytes_is_read_or_refused(server: Running, agent: Agent, name: str, line: str) -> None:
    headers = {"X-Device-API-Key": "wrong", name: "Bearer " + "a," * 30_000}

    status, body = await answer(server, request(line, b"{}", more=headers))

    assert 400 <= status < 500
    assert status == 431 or list(orjson.loads(body)) == ["error"]


async def test_a_thousand_headers_are_read_or_refused(server: Running, agent: Agent) -> None:
    status, _ = await answer(server, request(STATE, more={f"X-{number}": "a" for number in range(1000)}))

    assert 400 <= status < 500


@pytest.mark.parametrize(
    "path",
    [
        b"/api/v1/device/%00/state", b"/api/v1/device/%2F/state", b"/api/v1/device/..%2Fstate/state", b"/api/v1/device/%C3%A4/state",
        b"/api/v1/device/%FF%FE/state", b"/api/v1/device/%ED%A0%80/state", b"/api/v1/device/%/state", b"/api/v1/device/%zz/state",
        b"/api/v1/device/\xc3\xa4/state", b"/api/v1/device/\xff/state", b"/api/v1/device/" + b"%D9%A1" * 32 + b"/state",
        b"/api/v1/device/" + b"a" * 20_000 + b"/state", b"/api/v1/device/../device/x/state", b"//api/v1/device/x/state", b"/%00", b"/",
        b"*", b"http://elsewhere.example/api/v1/device/x/state", b"/api/v1/device/x/state?%00=%FF&\xff", b"/api/v1/device/x/state#fragment",
        b"/api/v1/webhooks/%00/1", b"/api/v1/webhooks/github/%D9%A1", b"/api/v1/webhooks/github/99999999999999999999", b"/" + b"../" * 500,
    ],
)  # fmt: skip
async def test_any_path_is_answered_or_refused(server: Running, agent: Agent, path: bytes) -> None:
    for method in (b"GET", b"POST", b"HEAD", b"OPTIONS"):
        status, _ = await answer(server, method + b" " + path + b" HTTP/1.1\r\nHost: rollwave\r\nContent-Length: 0\r\n\r\n")
        assert status == 0 or 400 <= status < 500, method


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\n", b"nonsense\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        b"PATCH /api/v1/device/state HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"PATCH /api/v1/device/state HTTP/1.1\r\nHost: a\r\nContent-Length: many\r\n\r\n",
        b"PATCH /api/v1/device/state HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        b"PATCH /api/v1/device/state HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999999\r\n\r\n",
        b"PATCH /api/v1/device/state HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        b"PATCH /api/v1/device/state HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
        b"PATCH /api/v1/device/state HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n{}",
        b"CONNECT elsewhere.example:443 HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET /graphql HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET /api/v1/device/x/state HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    ],
)  # fmt: skip
async def test_what_is_hardly_http_is_answered_or_hung_up_on(server: Running, agent: Agent, data: bytes) -> None:
    wire = await Wire.to(server.url)
    await wire.send(data)
    if wire.writer.can_write_eof():
        wire.writer.write_eof()

    status, _ = await wire.answer()

    assert status in (0, 200) or 400 <= status < 500
