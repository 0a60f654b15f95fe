"""Checks over real sockets, against servers that are slow, rude or somewhere else."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_network
from socket import AF_INET, AF_INET6, AF_UNSPEC, AddressFamily, gaierror
from time import monotonic

import pytest
import trustme
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.checks import HttpCheck, Measurement, PrometheusCheck, Result, TcpCheck, WebhookGate
from domain.urls import Subject
from monitor.checks import http, prometheus, tcp, webhook
from monitor.checks.addresses import Allowed, NotAllowed
from monitor.checks.outside import Outside, way_out

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HERE = Allowed.parse("127.0.0.1/32")
ELSEWHERE = Allowed.parse("10.0.0.0/8, fd00::/8")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Names(AbstractResolver):
    """A name server of our own: the first answer to a name, then the second, and so on."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int = 0, family: AddressFamily = AF_UNSPEC) -> list[ResolveResult]:
        self.asked.append(host)
        if not self.answers:
            raise gaierror(-2, "Name or service not known")
        return [
            ResolveResult(hostname=host, host=address, port=port, family=AF_INET6 if ":" in address else AF_INET, proto=0, flags=0)
            for address in self.answers.pop(0)
        ]

    async def close(self) -> None:
        """Nothing is open."""


class Server:
    """Somebody on 127.0.0.1 who answers as told, and remembers who came and what they said."""

    def __init__(self, talk: Talk) -> None:
        self.port = 0
        self.visits = 0
        self.requests: list[str] = []
        self._talk = talk

    async def visited(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        try:
            await self._talk(reader, writer)
        except (OSError, EOFError):  # the check hung up
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server(talk)
    async with await asyncio.start_server(server.visited, "127.0.0.1", 0, ssl=tls) as listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[Server]:
    """A server that reads a request and its body, answers with these bytes (the last again and again) and hangs up."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
        server.requests.append((head + await reader.readexactly(length)).decode())
        writer.write(answers[min(len(server.requests), len(answers)) - 1])
        await writer.drain()

    async with serving(talk) as server:
        yield server


@pytest.fixture(scope="module")
async def outside() -> AsyncIterator[Outside]:
    """A way out that leads to 127.0.0.1 only."""
    async with way_out(HERE) as outside:
        yield outside


def device(address: str | None = "127.0.0.1", name: str = "cam") -> Subject:
    return Subject("9fae", name, "shop", address)


def page(server: Server, url: str = "http://{address}:PORT/health", **given_: object) -> HttpCheck:
    return HttpCheck.model_validate(
        {"kind": "http", "name": "page", "url": url.replace("PORT", str(server.port)), "timeout_seconds": 2, **given_}
    )


def port(server: Server, host: str = "{address}", seconds: float = 2) -> TcpCheck:
    return TcpCheck(kind="tcp", name="port", host=host, port=server.port, timeout_seconds=seconds)


def gate(server: Server) -> WebhookGate:
    return WebhookGate(kind="webhook", name="board", url=f"http://127.0.0.1:{server.port}/may", timeout_seconds=2)


def metrics(server: Server) -> PrometheusCheck:
    base = {"kind": "prometheus", "name": "up", "base_url": f"http://127.0.0.1:{server.port}/prom/", "timeout_seconds": 2}
    return PrometheusCheck.model_validate({**base, "query": "up{job='a&b'}", "success_condition": "result >= 1"})


def replying(status: str, body: bytes | str, *headers: str) -> bytes:
    body = body.encode() if isinstance(body, str) else body
    return "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", "")).encode() + body


# --- the guard


@pytest.mark.parametrize("text", ["10.0.0.1/8", "10.0.0.0/33", "everywhere", "127.1/32", "10.0.0.0/8;fd00::/8", "010.0.0.0/8"])
def test_ranges_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Allowed.parse(text)


def test_nothing_is_allowed_until_somebody_says_so() -> None:
    assert Allowed.parse("") == Allowed.parse(" , ") == Allowed()
    for address in ("127.0.0.1", "8.8.8.8", "::1"):
        with pytest.raises(NotAllowed, match="no address ranges"):
            Allowed().check(address)


@pytest.mark.parametrize(
    ("ranges", "address"),
    [
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.0.0.0/8, fd00::/8", "fd00::1"),
        ("10.0.0.0/8", "::ffff:10.1.2.3"),
        ("10.0.0.0/8, 64:ff9b::/96", "64:ff9b::10.1.2.3"),
        ("10.0.0.0/8, 2002::/16", "2002:a01:203::1"),
        ("10.1.2.3", "10.1.2.3"),
    ],
)
def test_an_address_in_a_range_may_be_reached(ranges: str, address: str) -> None:
    Allowed.parse(ranges).check(address)


@pytest.mark.parametrize(
    ("ranges", "address"),
    [
        ("10.0.0.0/8", "11.0.0.1"),
        ("10.0.0.0/8", "fd00::1"),
        ("fd00::/8", "10.0.0.1"),
        ("::/0", "::ffff:127.0.0.1"),
        ("::/0", "64:ff9b::127.0.0.1"),
        ("::/0", "2002:7f00:1::"),
        ("::/0", "2001:0:7f00:1::1"),
        ("0.0.0.0/0, ::/0", "64:ff9b:1::1"),
        ("10.0.0.0/8", "64:ff9b::10.0.0.1"),
        ("0.0.0.0/0, ::/0", "0.0.0.0"),
        ("0.0.0.0/0, ::/0", "::"),
        ("0.0.0.0/0, ::/0", "::ffff:0.0.0.0"),
        ("0.0.0.0/0, ::/0", "224.0.0.1"),
        ("0.0.0.0/0, ::/0", "ff02::1"),
        ("0.0.0.0/0, ::/0", "255.255.255.255"),
        ("0.0.0.0/0, ::/0", "fe80::1%eth0"),
        ("0.0.0.0/0, ::/0", "fe80::1%1"),
        ("0.0.0.0/0, ::/0", "2130706433"),
        ("0.0.0.0/0, ::/0", "0177.0.0.1"),
        ("0.0.0.0/0, ::/0", "127.1"),
        ("0.0.0.0/0, ::/0", "localhost"),
    ],
)
def test_no_other_address_is_ever_reached_however_it_is_written(ranges: str, address: str) -> None:
    with pytest.raises(NotAllowed):
        Allowed.parse(ranges).check(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "0.0.0.0", "localhost", "2130706433", "127.1", "0x7f000001"])
@pytest.mark.parametrize("allowed", [Allowed(), ELSEWHERE])
async def test_a_server_outside_the_ranges_never_hears_of_it(address: str, allowed: Allowed) -> None:
    async with answering(OK) as server, way_out(allowed) as outside:
        looked = await http.measure(outside, page(server), device(address), NOW)
        knocked = await tcp.measure(outside, port(server), device(address), NOW)

    assert (looked.result, knocked.result, server.visits) == (Result.ERROR, Result.ERROR, 0)


async def test_without_ranges_the_batch_is_not_asked_about_either_and_no_name_is_looked_up() -> None:
    names = Names(["127.0.0.1"])
    async with answering(OK) as server, way_out(Allowed(), names) as outside:
        asked = await webhook.measure(outside, gate(server), {}, NOW)
        counted = await prometheus.measure(outside, metrics(server), NOW)
        looked = await http.measure(outside, page(server), device("cam.lan"), NOW)

    sentence = "this server may not make checks: no address ranges are allowed"
    assert [asked, counted, looked] == [Measurement(NOW, Result.ERROR, sentence)] * 3
    assert (server.visits, names.asked) == (0, [])


async def test_a_name_that_moves_between_two_looks_is_looked_at_once() -> None:
    names = Names(["127.0.0.1"], ["10.0.0.1"], ["10.0.0.1"])
    async with answering(OK) as server, way_out(HERE, names) as outside:
        well = await http.measure(outside, page(server), device("cam.lan"), NOW)
        moved = await http.measure(outside, page(server), device("cam.lan"), NOW)

    assert well.result is Result.SUCCESS
    assert moved == Measurement(NOW, Result.ERROR, "cam.lan is at 10.0.0.1, outside the address ranges that checks may reach")
    assert names.asked == ["cam.lan", "cam.lan"]
    assert "Host: cam.lan:" in server.requests[0]


async def test_of_the_addresses_of_a_name_only_those_allowed_are_tried() -> None:
    names = Names(*[["10.0.0.1", "::ffff:127.0.0.2", "127.0.0.1"]] * 2)
    async with answering(OK) as server, way_out(HERE, names) as outside:
        looked = await http.measure(outside, page(server), device("cam.lan"), NOW)
        knocked = await tcp.measure(outside, port(server), device("cam.lan"), NOW)

    assert (looked.result, knocked.result) == (Result.SUCCESS, Result.SUCCESS)


@pytest.mark.parametrize("answers", [(), ([], [])])
async def test_a_name_nobody_knows_says_nothing_about_the_device(answers: tuple[list[str], ...]) -> None:
    async with answering(OK) as server, way_out(HERE, Names(*answers)) as outside:
        looked = await http.measure(outside, page(server), device("cam.lan"), NOW)
        knocked = await tcp.measure(outside, port(server), device("cam.lan"), NOW)

    assert looked == knocked
    assert looked.result is Result.ERROR
    assert looked.detail.startswith("the name cannot be resolved: ")


# --- http


async def test_a_page_is_asked_for_as_ourselves_and_nobody_elses_way(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    async with answering(replying("204 No Content", "", "Set-Cookie: a=b")) as server:
        measured = [await http.measure(outside, page(server), device(), NOW) for _ in range(2)]

    assert measured == [Measurement(NOW, Result.SUCCESS, "answered 204")] * 2
    assert server.requests[0] == server.requests[1]  # no cookie comes back
    assert server.requests[0].startswith("GET /health HTTP/1.1\r\n")
    assert "\r\nUser-Agent: Rollwave\r\n" in server.requests[0]


async def test_what_a_device_calls_itself_arrives_in_its_own_segment(outside: Outside) -> None:
    seen: list[tuple[str, str]] = []

    async def hear(request: web.Request) -> web.Response:
        seen.append((request.raw_path, request.query["n"]))
        return web.Response()

    app = web.Application()
    app.router.add_get("/v1/{name}/health", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    there = runner.addresses[0][1]
    name = "../~a%2fé?b#c&n=d"
    check = HttpCheck(kind="http", name="page", url=f"http://127.0.0.1:{there}/v1/{{name}}/health?n={{name}}")

    measured = await http.measure(outside, check, device(name=name), NOW)

    await runner.cleanup()
    assert measured.result is Result.SUCCESS
    quoted = "..%2F~a%252f%C3%A9%3Fb%23c%26n%3Dd"
    assert seen == [(f"/v1/{quoted}/health?n={quoted}", name)]


async def test_any_other_status_fails_in_the_devices_own_words(outside: Outside) -> None:
    async with answering(replying("503 Busy", "starting\r\n\x00\x1b[31m up…" + "x" * 999)) as server:
        measured = await http.measure(outside, page(server), device(), NOW)

    assert measured.result is Result.FAILURE
    assert measured.detail.startswith("answered 503: starting [31m up…xxx")
    assert len(measured.detail) == 500


async def test_a_status_that_is_expected_is_a_success(outside: Outside) -> None:
    async with answering(replying("401 No", "")) as server:
        assert (await http.measure(outside, page(server, expected_statuses="200-299,401"), device(), NOW)).result is Result.SUCCESS


async def test_a_redirect_is_an_answer_and_never_a_hop(outside: Outside) -> None:
    async with answering(OK) as other, answering(replying("302 Found", "", f"Location: http://127.0.0.1:{other.port}/")) as server:
        failed = await http.measure(outside, page(server), device(), NOW)
        expected = await http.measure(outside, page(server, expected_statuses="302"), device(), NOW)
        held = await webhook.measure(outside, gate(server), {}, NOW)
        unknown = await prometheus.measure(outside, metrics(server), NOW)

    assert failed == Measurement(NOW, Result.FAILURE, "answered 302, a redirect, which is not followed")
    assert [expected.result, held.result, unknown.result] == [Result.SUCCESS, Result.INCONCLUSIVE, Result.ERROR]
    assert (server.visits, other.visits) == (4, 0)


@pytest.mark.parametrize(
    ("garbage", "sentence"),
    [
        (b"", "no HTTP: the connection was closed too early"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no HTTP: "),
        (b"HTTP/1.1 9999 \xff\xfe\r\n\r\n", "no HTTP: "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "no HTTP: "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "no HTTP: "),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "no HTTP: "),
        (b"HTTP/1.1 200 OK\r\n" + b"X: " + b"y" * 100_000 + b"\r\n\r\n", "no HTTP: "),
        (b"\x00" * 1000, "no HTTP: "),
    ],
)
async def test_garbage_is_a_failure_and_no_accident(outside: Outside, garbage: bytes, sentence: str) -> None:
    async with answering(garbage) as server:
        measured = await http.measure(outside, page(server), device(), NOW)
        held = await webhook.measure(outside, gate(server), {}, NOW)

    assert measured.result is Result.FAILURE
    assert measured.detail.startswith(sentence)
    assert held.result is Result.ERROR


_starts = st.sampled_from([b"", b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n"])


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), _starts)
async def test_whatever_comes_back_is_a_measurement(noise: bytes, start: bytes) -> None:
    async with answering(start + noise) as server, way_out(HERE) as outside:
        measured = [
            await http.measure(outside, page(server, timeout_seconds=0.2), device(), NOW),
            await prometheus.measure(outside, metrics(server), NOW),
        ]

    assert all(measurement.detail.isprintable() for measurement in measured)


async def test_drips_do_not_buy_time(outside: Outside) -> None:
    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _number in range(100):
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.05)

    began = monotonic()
    async with serving(drip) as server:
        measured = await http.measure(outside, page(server, timeout_seconds=0.3), device(), NOW)
        assert monotonic() - began < 1.5

    assert measured == Measurement(NOW, Result.FAILURE, "no answer within 0.3 s")


async def test_of_an_endless_body_only_the_beginning_is_read(outside: Outside) -> None:
    async def pour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()

    async with serving(pour) as server:
        looked = await http.measure(outside, page(server), device(), NOW)
        asked = await webhook.measure(outside, gate(server), {}, NOW)
        counted = await prometheus.measure(outside, metrics(server), NOW)

    assert (looked.result, asked.result, len(asked.detail)) == (Result.SUCCESS, Result.SUCCESS, 500)
    assert counted == Measurement(NOW, Result.ERROR, "the answer is longer than 64 kB; aggregate the query to one series")


async def test_nobody_there_is_a_failure(outside: Outside) -> None:
    async with answering(OK) as server:
        pass
    looked = await http.measure(outside, page(server), device(), NOW)
    knocked = await tcp.measure(outside, port(server), device(), NOW)

    assert looked == knocked == Measurement(NOW, Result.FAILURE, "no connection: Connection refused")


async def test_tls_is_not_taken_on_trust(outside: Outside) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)

    async def speak(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(OK)

    async with serving(speak, tls) as nobodys, serving(speak) as plain:
        for server, what in ((nobodys, "certificate verify failed"), (plain, "no TLS")):
            measured = await http.measure(outside, page(server, "https://{address}:PORT/"), device(), NOW)
            assert (measured.result, what in measured.detail) == (Result.FAILURE, True)


async def test_a_device_that_cannot_be_named_is_an_error(outside: Outside) -> None:
    async with answering(OK) as server:
        looked = await http.measure(outside, page(server), device(None), NOW)
        knocked = await tcp.measure(outside, port(server), device(None), NOW)

    assert looked == knocked == Measurement(NOW, Result.ERROR, "the device has no address")


async def test_waiting_for_a_place_is_not_waiting_for_the_device(outside: Outside) -> None:
    async def slowly(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.2)
        writer.write(OK)
        await writer.drain()

    narrow = replace(outside, places=asyncio.Semaphore(1))
    async with serving(slowly) as server:
        check = page(server, timeout_seconds=0.5)
        measured = await asyncio.gather(*(http.measure(narrow, check, device(), NOW) for _ in range(5)))

    assert {measurement.result for measurement in measured} == {Result.SUCCESS}


# --- tcp


async def test_who_listens_is_well(outside: Outside) -> None:
    async def nothing(*_: object) -> None: ...

    async with serving(nothing) as server:
        assert await tcp.measure(outside, port(server), device(), NOW) == Measurement(NOW, Result.SUCCESS, "connected")
        assert (await tcp.measure(outside, port(server, "127.0.0.1"), device(None), NOW)).result is Result.SUCCESS


# --- prometheus: docs/querying/api.md, “Instant queries” and “Expression query result formats”

UP = {
    "status": "success",
    "data": {
        "resultType": "vector",
        "result": [
            {"metric": {"__name__": "up", "job": "prometheus", "instance": "localhost:9090"}, "value": [1435781451.781, "1"]},
            {"metric": {"__name__": "up", "job": "node", "instance": "localhost:9100"}, "value": [1435781451.781, "0"]},
        ],
    },
}


def vector(*values: str) -> str:
    result = [{"metric": {}, "value": [1435781451.781, value]} for value in values]
    return json.dumps({"status": "success", "data": {"resultType": "vector", "result": result}})


def scalar(value: str, kind: str = "scalar") -> str:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": [1435781451.781, value]}, "warnings": ["slow"]})


MATRIX = json.dumps({"status": "success", "data": {"resultType": "matrix", "result": [{"metric": {}, "values": [[1435781430.781, "1"]]}]}})


async def test_a_query_arrives_whole(outside: Outside) -> None:
    async with answering(replying("200 OK", vector("1"))) as server:
        measured = await prometheus.measure(outside, metrics(server), NOW)

    assert measured == Measurement(NOW, Result.SUCCESS, "the result is 1.0, as wanted: result >= 1")
    assert server.requests[0].startswith("POST /prom/api/v1/query HTTP/1.1\r\n")
    assert server.requests[0].endswith("\r\n\r\nquery=up%7Bjob%3D%27a%26b%27%7D")
    assert "\r\nContent-Type: application/x-www-form-urlencoded\r\n" in server.requests[0]


@pytest.mark.parametrize(
    ("body", "result", "detail"),
    [
        (scalar("2"), Result.SUCCESS, "the result is 2.0"),
        (vector("1e-05"), Result.FAILURE, "the result is 1e-05, wanted: result >= 1"),
        (vector("NaN"), Result.INCONCLUSIVE, "the result is nan, which no condition can judge"),
        (vector("+Inf"), Result.INCONCLUSIVE, "the result is inf"),
        (scalar("-Inf"), Result.INCONCLUSIVE, "the result is -inf"),
        (vector(), Result.INCONCLUSIVE, "the query gives no series; it must give one"),
        (json.dumps(UP), Result.INCONCLUSIVE, "the query gives 2 series; it must give one"),
        (vector("many"), Result.ERROR, "answered 200: "),
        (scalar("1", "string"), Result.ERROR, "answered 200: "),
        (MATRIX, Result.ERROR, "answered 200: "),
        ("<html>Sign in</html>", Result.ERROR, "answered 200: <html>Sign in</html>, which is no vector and no scalar of Prometheus"),
        ("", Result.ERROR, "answered 200, which is no"),
        ("[" * 60_000, Result.ERROR, "answered 200: [[["),
    ],
)
async def test_an_answer_is_understood_or_named(outside: Outside, body: str, result: Result, detail: str) -> None:
    async with answering(replying("200 OK", body)) as server:
        measured = await prometheus.measure(outside, metrics(server), NOW)

    assert measured.result is result
    assert measured.detail.startswith(detail)


async def test_a_query_that_prometheus_refuses_is_an_error_in_its_words(outside: Outside) -> None:
    body = json.dumps({"status": "error", "errorType": "bad_data", "error": 'invalid parameter "query": 1:3: parse error'})
    async with answering(replying("400 Bad Request", body)) as server:
        measured = await prometheus.measure(outside, metrics(server), NOW)

    assert measured == Measurement(NOW, Result.ERROR, 'bad_data: invalid parameter "query": 1:3: parse error')


async def test_a_good_body_with_a_bad_status_proves_nothing(outside: Outside) -> None:
    async with answering(replying("502 Bad Gateway", vector("1"))) as server:
        assert (await prometheus.measure(outside, metrics(server), NOW)).result is Result.ERROR


# --- webhook


async def test_a_gate_hears_what_it_is_asked_and_opens(outside: Outside) -> None:
    payload: dict[str, object] = {"rollout": 7, "image": "ghcr.io/acme/app:1.27", "stage": 2, "checksum": "sha256:00"}
    async with answering(replying("403 Forbidden", "not on a Friday\n"), replying("201 Created", "")) as server:
        held = await webhook.measure(outside, gate(server), payload, NOW)
        opened = await webhook.measure(outside, gate(server), payload, NOW)

    assert held == Measurement(NOW, Result.INCONCLUSIVE, "answered 403: not on a Friday")
    assert opened == Measurement(NOW, Result.SUCCESS, "answered 201")
    assert server.requests[0].startswith("POST /may HTTP/1.1\r\n")
    assert json.loads(server.requests[0].partition("\r\n\r\n")[2]) == payload


def test_the_ranges_are_networks() -> None:
    assert Allowed.parse("10.8.0.0/16,fd00::/8").networks == (ip_network("10.8.0.0/16"), ip_network("fd00::/8"))
