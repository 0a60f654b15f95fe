"""Bodies: compressed, cut off, far too large, or no JSON. What cannot be read is refused in words, and nothing changes."""

import gzip
import zlib
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from tests.api import Api
from tests.conformance.agents import GZIP, REGISTER, Agent, apps, service
from tests.conformance.test_reports import kept

MEGABYTE = 1_000_000


def report(agent: Agent, more: bytes = b'{"apps": {}}') -> bytes:
    """A report whose state is these bytes."""
    return b'{"%s": %s}' % (agent.uuid.encode(), more)


async def chunks(body: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    """A body whose length is not told beforehand."""
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def is_refused(operator: Api, agent: Agent, body: Any, headers: dict[str, str], status: int) -> None:
    """The report is refused so, in a sentence, and what was reported before stays."""
    await agent.say({"apps": apps(service("nginx:1.27"))})
    before = await kept(operator, agent)

    answer = await agent.send(body, headers)

    assert answer.status == status, answer
    assert answer.error
    assert await kept(operator, agent) == before


@pytest.mark.parametrize("coding", ["GZIP", "x-gzip"])
async def test_a2_may_name_its_encoding_in_capitals_or_as_of_old(agent: Agent, coding: str) -> None:
    assert (await agent.send(gzip.compress(report(agent)), {"Content-Encoding": coding})).status == 200


async def test_any_body_may_say_that_it_is_not_compressed(agent: Agent) -> None:
    assert (await agent.send(report(agent), {"Content-Encoding": "identity"})).status == 200


@pytest.mark.parametrize("level", [0, 1, 9])
async def test_a2_may_compress_as_hard_as_it_likes(agent: Agent, level: int) -> None:
    assert (await agent.send(gzip.compress(report(agent), level), GZIP)).status == 200


async def test_any_body_may_come_in_chunks(operator: Api, agent: Agent) -> None:
    body = orjson.dumps({agent.uuid: {"apps": apps(service("nginx:1.27")), "note": "x" * 5000}})

    assert (await agent.send(chunks(body))).status == 200
    assert (await agent.send(chunks(gzip.compress(body), 7), GZIP)).status == 200
    assert (await kept(operator, agent))["apps"] == apps(service("nginx:1.27"))


async def test_any_long_report_is_kept(operator: Api, agent: Agent) -> None:
    note = "x" * 900_000

    assert (await agent.say({"note": note})).status == 200
    assert (await agent.squeeze({"note": note, "again": note[:500_000]})).status == 200


@pytest.mark.parametrize("size", [3 * MEGABYTE, 100 * MEGABYTE])
async def test_any_gzip_bomb_is_refused(operator: Api, agent: Agent, size: int) -> None:
    await is_refused(operator, agent, gzip.compress(b" " * size), GZIP, 413)


async def test_any_gzip_bomb_in_chunks_is_refused(operator: Api, agent: Agent) -> None:
    await is_refused(operator, agent, chunks(gzip.compress(b" " * 3 * MEGABYTE)), GZIP, 413)


async def test_any_body_that_says_it_is_too_large_is_refused(operator: Api, agent: Agent) -> None:
    await is_refused(operator, agent, report(agent) + b" " * MEGABYTE, {}, 413)


async def test_any_body_that_becomes_too_large_in_chunks_is_refused(operator: Api, agent: Agent) -> None:
    await is_refused(operator, agent, chunks(report(agent) + b" " * 2 * MEGABYTE, 65536), {}, 413)


@pytest.mark.parametrize("left", [1, 8, 9, 18, 30])
async def test_a2_cut_off_in_the_middle_of_its_report_is_refused(operator: Api, agent: Agent, left: int) -> None:
    await is_refused(operator, agent, gzip.compress(report(agent))[:-left], GZIP, 400)


async def test_any_body_that_is_not_as_compressed_as_it_says_is_refused(operator: Api, agent: Agent) -> None:
    await is_refused(operator, agent, report(agent), GZIP, 400)
    await is_refused(operator, agent, b"", GZIP, 400)
    await is_refused(operator, agent, zlib.compress(report(agent)), GZIP, 400)


async def test_any_body_that_is_compressed_and_does_not_say_so_is_refused(operator: Api, agent: Agent) -> None:
    await is_refused(operator, agent, gzip.compress(report(agent)), {}, 400)


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "gzip;q=1", "nonsense", "x" * 500])
async def test_any_other_encoding_is_refused_by_its_name(operator: Api, agent: Agent, encoding: str) -> None:
    await is_refused(operator, agent, gzip.compress(report(agent)), {"Content-Encoding": encoding}, 415)


@pytest.mark.parametrize(
    "body",
    [b"not JSON", b"{", b"{'a': 1}", b"\xff\xfe", b"\xef\xbb\xbf{}", b"\0", b" " * 1000, b"{} {}", b'{"a": 1,}', b"undefined"],
)
async def test_any_body_that_is_no_json_is_refused(operator: Api, agent: Agent, body: bytes) -> None:
    await is_refused(operator, agent, body, {}, 400)


@pytest.mark.parametrize(
    "state",
    [
        b'{"cpu_usage": NaN}', b'{"cpu_usage": Infinity}', b'{"cpu_usage": -Infinity}', b'{"cpu_usage": 1e999}',
        b'{"note": "a\\u0000b"}', b'{"a\\u0000b": 1}', b'{"apps": {"1\\u0000": {}}}', b'{"note": "\\ud800"}', b'{"note": "\\udc00x"}',
        b'{"version": NaN}', b'{"note": "' + b"\xc3" + b'"}', b'{"note": "\x01"}',
    ],
)  # fmt: skip
async def test_any_value_that_cannot_be_kept_is_refused(operator: Api, agent: Agent, state: bytes) -> None:
    await is_refused(operator, agent, report(agent, state), {}, 400)


@pytest.mark.parametrize("depth", [300, 1100, 100_000])
async def test_any_depth_that_cannot_be_kept_is_refused(operator: Api, agent: Agent, depth: int) -> None:
    await is_refused(operator, agent, report(agent, b'{"note": ' + b"[" * depth + b"]" * depth + b"}"), {}, 400)
    await is_refused(
        operator, agent, report(agent, b'{"apps": {"1": {"services": [' + b'{"a":' * depth + b"1" + b"}" * depth + b"]}}}"), {}, 400
    )
    await is_refused(operator, agent, b"[" * depth, {}, 400)


async def test_any_field_said_twice_counts_the_last_time(operator: Api, agent: Agent) -> None:
    assert (await agent.send(report(agent, b'{"cpu_usage": 1, "cpu_usage": 2, "apps": 7, "apps": {}}'))).status == 200

    state = await kept(operator, agent)
    assert (state["info"], state["apps"]) == ({"cpu_usage": 2}, {})


@pytest.mark.parametrize("number", ["1e308", "-0.0", "1e-400", "18446744073709551615", "-9223372036854775808", "0.1"])
async def test_any_number_that_json_has_is_kept(agent: Agent, number: str) -> None:
    assert (await agent.send(report(agent, b'{"cpu_usage": %s}' % number.encode()))).status == 200


async def test_any_number_too_large_for_anybody_is_answered_in_words(agent: Agent) -> None:
    for number in (b"1" * 400, b"-" + b"9" * 1000, b"1" * 30):
        answer = await agent.send(report(agent, b'{"cpu_usage": %s}' % number))
        assert answer.status in (200, 400), number
        assert answer.said


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 400),
        (b"not JSON", {}, 400),
        (b"\xff", {}, 400),
        (b"[" * 100_000, {}, 400),
        (gzip.compress(b" " * 3 * MEGABYTE), GZIP, 413),
        (gzip.compress(b"{}")[:-3], GZIP, 400),
        (b"{}", {"Content-Encoding": "br"}, 415),
        (b" " * (MEGABYTE + 1), {}, 413),
        (b'{"uuid": NaN}', {}, 400),
    ],
    ids=["empty", "words", "bytes", "deep", "bomb", "cut off", "encoding", "large", "nan"],
)
async def test_any_registration_that_cannot_be_read_is_refused(
    stranger: Agent, provisioning: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = await stranger.ask("POST", REGISTER, body, {"Authorization": f"Bearer {provisioning}", **headers})

    assert (answer.status, bool(answer.error)) == (status, True)
