"""GraphQL over HTTP: what is answered to which request, with which status and media type."""

import asyncio
import gzip
import json
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from server.graphql import answers
from server.process import Running
from tests.api import Api, everything
from tests.transports import ANSWERED, EVENTS, NEW, OLD, TYPENAME, asked, bearer, endless, refused, told, uncharged

ACCEPTED = [
    (None, OLD), ("*/*", OLD), ("application/*", OLD), (OLD, OLD), (NEW, NEW), (f"{NEW}, {OLD}", NEW), (f"{OLD}, {NEW}", NEW),
    (f"{NEW};q=0.5, {OLD}", OLD), (f"{NEW};q=0.5, {OLD};q=0.4", NEW), (f"{NEW}, */*;q=0.8", NEW), (f"{NEW}; q=0, */*", OLD),
    (f"{OLD};q=0, */*;q=0.1", NEW), (f"{OLD}; charset=utf-8", OLD), (f"{NEW.upper()}", NEW), (f"text/html, {OLD};q=0.1", OLD),
    (f"{EVENTS}, {OLD}", OLD), (f"{EVENTS};q=0.9, {NEW}", NEW), ("text/html,application/xhtml+xml,*/*;q=0.8", OLD),
]  # fmt: skip
FOREIGN = ["text/html", "image/*", f"{OLD};q=0", "*/*;q=0", f"{OLD};q=nonsense", "nonsense", f"{EVENTS};q=0", "application/xml"]
# What a form on any page may send without asking first.
SIMPLE = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None]
UNREADABLE = [
    b"", b"not JSON", b'"text"', b"7", b"null", b"[]", b"{}", b'[{"query": "{ __typename }"}]', b"\xff\xfe{}", b"[" * 100_000,
    b'{"query": 7}', b'{"query": null}', b'{"query": ""}', b'{"documentId": 7}',
    *[b'{"query": "{ __typename }", %s}' % more for more in (
        b'"variables": [1]', b'"variables": "text"', b'"variables": ' + b'{"a":' * 50_000, b'"operationName": 7', b'"extensions": []',
        b'"extensions": {"persistedQuery": 7}', b'"extensions": {"persistedQuery": {"sha256Hash": 7}}', b'"variables": {"a": NaN}',
        b'"variables": {"a": "\\u0000"}', b'"variables": {"a": "\\ud800"}', b'"variables": {"a": %s}' % (b"[" * 900 + b"]" * 900),
    )],
]  # fmt: skip
# Well-formed requests for what cannot be executed.
OF_A_TYPE = "query ($name: String!) { __type(name: $name) { name } }"
REFUSED: list[Any] = [
    {"query": "{"}, {"query": "{ nonsense }"}, {"query": "query ($name: Int!) { __type(name: $name) { name } }"},
    {"query": OF_A_TYPE}, {"query": OF_A_TYPE, "variables": {"name": []}}, {"query": "fragment A on Query { __typename }"},
    {"query": "query A { __typename } query B { __typename }"}, {"query": "query A { __typename }", "operationName": "B"},
    {"documentId": "sha256:0"},
]  # fmt: skip


async def test_the_answer_is_of_the_type_that_is_liked_most(api: Api) -> None:
    for accept, media in ACCEPTED:
        skipped = ["Accept"] if accept is None else []
        async with asked(api, json={"query": TYPENAME}, headers={"Accept": accept}, skip_auto_headers=skipped) as response:
            assert (response.status, response.headers["content-type"]) == (200, f"{media}; charset=utf-8"), accept
            assert uncharged(await response.json()) == ANSWERED
            assert response.headers["cache-control"] == "no-store"


async def test_who_accepts_nothing_of_ours_is_told_so(api: Api) -> None:
    for accept in FOREIGN:
        assert await refused(api, json={"query": TYPENAME}, headers={"Accept": accept}) == (406, "BAD_USER_INPUT"), accept


async def test_a_query_is_read_from_the_address_and_from_the_body(api: Api) -> None:
    query = "query A { __typename } query B($name: String!) { __type(name: $name) { name } }"
    named = {"query": query, "operationName": "B", "variables": {"name": "Query"}, "extensions": {"trace": "7"}}
    written = {name: value if isinstance(value, str) else json.dumps(value) for name, value in named.items()}
    body = json.dumps({**named, "unknown": 7}).encode()

    assert await told(api, json=named) == (200, {"data": {"__type": {"name": "Query"}}})
    assert await told(api, "GET", params=written) == (200, {"data": {"__type": {"name": "Query"}}})
    assert await told(api, "GET", params={"query": TYPENAME, "variables": "", "operationName": ""}) == (200, ANSWERED)
    for content_type in ("application/json; charset=utf-8", 'Application/JSON;Charset="UTF-8"', "application/json ; charset=utf8; v=1"):
        assert (await told(api, data=body, headers={"Content-Type": content_type}))[0] == 200, content_type
    async with asked(api, "HEAD", params={"query": TYPENAME}) as response:
        assert (response.status, await response.read()) == (200, b"")
    assert await told(api, json={"query": TYPENAME, "variables": None, "operationName": None, "extensions": None}) == (200, ANSWERED)


async def in_parts() -> AsyncIterator[bytes]:
    """A body of 1,000,100 bytes, whose length is not told beforehand."""
    for _ in range(10_001):
        yield b" " * 100


async def test_a_body_that_is_no_operation_is_refused_in_json_and_nothing_changes(server: Running, api: Api) -> None:
    before = await everything(server.db)
    for body in UNREADABLE:
        for accept in (OLD, NEW):
            headers = {"Content-Type": "application/json", "Accept": accept}
            assert await refused(api, data=body, headers=headers) == (400, "BAD_USER_INPUT"), body[:80]
    for name in ("variables", "extensions"):
        for wrong in ("[1]", "7", "{", "[" * 2000):
            assert await refused(api, "GET", params={"query": TYPENAME, name: wrong}) == (400, "BAD_USER_INPUT"), (name, wrong)
    assert await refused(api, "GET") == (400, "BAD_USER_INPUT")
    huge = {"query": TYPENAME, "variables": {"a": "x" * 1_000_000}}
    assert await refused(api, json=huge) == (413, "BAD_USER_INPUT")
    assert await refused(api, data=in_parts(), headers={"Content-Type": "application/json"}) == (413, "BAD_USER_INPUT")
    bomb = gzip.compress(b" " * 20_000_000)
    for body, encoding, status in ((bomb, "gzip", 413), (b"{}", "gzip", 400), (b"{}", "br", 415)):
        headers = {"Content-Type": "application/json", "Content-Encoding": encoding}
        assert await refused(api, data=body, headers=headers) == (status, "BAD_USER_INPUT"), encoding
    assert await everything(server.db) == before


async def test_what_cannot_be_executed_is_an_error_of_the_client_only_to_those_who_know_the_newer_type(api: Api) -> None:
    for asking, (accept, status) in product(REFUSED, ((OLD, 200), (NEW, 400))):
        told_status, body = await told(api, json=asking, headers={"Accept": accept})
        assert told_status == status, asking
        assert body.keys() == {"errors"}
        assert {error["extensions"]["code"] for error in body["errors"]} <= {"BAD_USER_INPUT", "PERSISTED_QUERY_NOT_FOUND"}


async def test_only_post_changes_anything_and_only_what_is_json(server: Running, api: Api) -> None:
    before = await everything(server.db)
    mutation = 'mutation { createPolicy(input: {imagePattern: "nginx", updateStrategy: AUTO}) { __typename } }'

    for method in ("GET", "HEAD"):
        async with asked(api, method, params={"query": mutation}) as response:
            assert (response.status, response.headers["allow"]) == (405, "POST")
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        async with asked(api, method, json={"query": mutation}) as response:
            assert (response.status, response.headers["allow"]) == (405, "GET, HEAD, POST, OPTIONS")
            assert (await response.json())["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    for content_type in [*SIMPLE, "application/graphql", "text/json", "application/jsonx", "application/json; charset=latin-1"]:
        headers, body = {"Content-Type": content_type}, json.dumps({"query": mutation}).encode()
        answer = await refused(api, data=body, headers=headers, skip_auto_headers=["Content-Type"])
        assert answer == (415, "BAD_USER_INPUT"), content_type
    assert await refused(api, data={"query": mutation}) == (415, "BAD_USER_INPUT")
    async with asked(api, "OPTIONS") as response:
        assert (response.status, response.headers["allow"]) == (204, "GET, HEAD, POST, OPTIONS")

    assert await everything(server.db) == before


async def test_a_subscription_by_post_is_refused_to_whoever_takes_no_events(api: Api) -> None:
    subscription = await endless(api)

    for accept in (OLD, NEW, "*/*", f"{OLD}, {EVENTS};q=0"):
        for method, sent in (("POST", {"json": {"query": subscription}}), ("GET", {"params": {"query": subscription}})):
            assert await refused(api, method, headers={"Accept": accept}, **sent) == (400, "BAD_USER_INPUT"), accept


async def test_nobody_is_read_before_he_has_shown_a_token(api: Api) -> None:
    for authorization in (None, "", "Bearer", "Bearer wrong", "Basic Og==", api.token):
        attempts: list[tuple[str, dict[str, Any]]] = [
            ("POST", {"json": {"query": TYPENAME}}), ("POST", {"data": b"[" * 100_000}), ("POST", {"data": {"query": TYPENAME}}),
            ("GET", {"params": {"query": TYPENAME}}), ("GET", {}), ("POST", {"json": {"query": TYPENAME}, "headers": {"Accept": EVENTS}}),
            ("POST", {"json": {"query": TYPENAME}, "headers": {"Accept": "image/png"}}),
        ]  # fmt: skip
        for method, sent in attempts:
            more = {**sent, "headers": {**sent.get("headers", {}), "Authorization": authorization}}
            async with asked(api, method, **more) as response:
                assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")
                [error] = (await response.json())["errors"]
                assert error["extensions"] == {"code": "UNAUTHENTICATED"}


async def test_a_request_is_found_in_the_log_by_the_name_it_came_with(server: Running, api: Api, caplog: pytest.LogCaptureFixture) -> None:
    for given in ("a1b2-c3", "x" * 128, "Root=1-67891233-abcdef012345678912345678"):
        async with asked(api, json={"query": TYPENAME}, headers={"X-Request-ID": given}) as response:
            assert response.headers["x-request-id"] == given
    names = set()
    for strange in (None, "", "x" * 129, "a b", "ä"):
        async with asked(api, json={"query": TYPENAME}, headers={"X-Request-ID": strange}) as response:
            names.add(response.headers["x-request-id"])
    assert len(names) == 5
    assert {len(name) for name in names} == {16}

    async with server.db.transaction() as conn:
        await conn.execute("alter table policies rename to hidden")
    caplog.clear()
    status, answer = await told(api, json={"query": "{ policies { nodes { id } } }"}, headers={"X-Request-ID": "find-me", "Accept": NEW})

    [error] = answer["errors"]
    assert (status, error["message"]) == (200, "internal error")
    assert error["extensions"] == {"code": "INTERNAL", "requestId": "find-me"}
    [logged] = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert "find-me" in logged.getMessage()
    assert logged.exc_info


async def test_a_bug_before_anything_is_executed_is_told_in_two_words(server: Running, api: Api, caplog: pytest.LogCaptureFixture) -> None:
    async with server.db.transaction() as conn:
        await conn.execute("alter table tokens rename to hidden")

    assert await refused(api, json={"query": TYPENAME}) == (500, "INTERNAL")
    assert [bool(record.exc_info) for record in caplog.records if record.levelno >= logging.ERROR] == [True]


async def test_who_hangs_up_in_the_middle_of_a_request_is_no_error_of_ours(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    headers = {"Host": "a", "Content-Type": "application/json", "Content-Length": "99", **bearer(api)}
    lines = ["POST /graphql HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "", "{"]).encode())
    await writer.drain()
    await asyncio.sleep(0.1)
    writer.close()

    assert await told(api, json={"query": TYPENAME}) == (200, ANSWERED)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


class TestOrigins:
    """Pages of which other origins may read the answers."""

    @pytest.fixture
    def settings(self, settings: Any) -> Any:
        return replace(settings, allowed_origins=frozenset({"https://fleet.example"}))

    async def test_a_page_of_an_origin_that_is_set_may_ask_and_no_other(self, api: Api) -> None:
        wanted = "authorization,content-type,last-event-id"
        preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": wanted}
        for origin, allowed in (("https://fleet.example", "https://fleet.example"), ("https://evil.example", None), ("null", None)):
            async with api.http.options("/graphql", headers={"Origin": origin, **preflight}) as response:
                assert (response.ok, response.headers.get("access-control-allow-origin")) == (allowed is not None, allowed)
            async with asked(api, json={"query": TYPENAME}, headers={"Origin": origin}) as response:
                assert (response.status, response.headers.get("access-control-allow-origin")) == (200, allowed)
                assert "access-control-allow-credentials" not in response.headers
            async with api.http.get("/healthz", headers={"Origin": origin}) as response:
                assert "access-control-allow-origin" not in response.headers


async def test_pages_of_other_origins_may_read_nothing_unless_it_is_set(api: Api) -> None:
    preflight = {"Origin": "https://fleet.example", "Access-Control-Request-Method": "POST"}
    for method, headers in (("OPTIONS", preflight), ("POST", {"Origin": "https://fleet.example"})):
        async with asked(api, method, headers=headers) as response:
            assert not [name for name in response.headers if name.lower().startswith("access-control")]


async def test_a_document_that_is_longer_than_anybody_writes_is_not_read(api: Api) -> None:
    long = f'mutation {{ createPolicy(input: {{ pad: "{"x" * 100_000}" }}) {{ __typename }} }}'

    assert await refused(api, json={"query": long}) == (200, "TOO_COMPLEX")


async def test_no_more_than_ten_mistakes_are_told_and_none_at_length(api: Api) -> None:
    wrong = ", ".join(f'z{number}: "{"x" * 2_000}"' for number in range(40))
    _, answer = await told(api, json={"query": f"mutation {{ createPolicy(input: {{ {wrong} }}) {{ __typename }} }}"})

    assert len(answer["errors"]) <= 11
    assert all(len(error["message"]) <= 1_001 for error in answer["errors"])


async def test_an_answer_that_nobody_can_read_is_not_told(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MOST_TOLD", 1_000)
    for number in range(20):
        await api.provisioning_key(f"fleet {number}")

    code, sentence = await api.refused("{ provisioningKeys { nodes { id name createdAt createdBy } } }")

    assert (code, sentence.split(";")[1]) == ("TOO_COMPLEX", " 1,000 are the most: ask for fewer at once")
    assert await api.graphql("{ provisioningKeys(first: 2) { nodes { id } } }")
