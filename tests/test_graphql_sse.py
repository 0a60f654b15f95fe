"""GraphQL over server-sent events, a connection for each operation: what graphql-sse's clients expect."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from server.graphql import events
from tests.api import Api, eventually
from tests.transports import ANSWERED, EVENTS, NEW, OLD, TYPENAME, asked, endless, told, uncharged, unknown

AS_EVENTS = {"Accept": EVENTS}


async def lines(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, Any]]:
    """Each event and its data, without what that cost; comments as events without a name."""
    assert response.status == 200
    assert response.content_type == EVENTS
    while line := await response.content.readuntil(b"\n\n"):
        said = dict(part.split(":", 1) for part in line.decode().rstrip("\n").split("\n"))
        event, content = said.get("event", ":").strip(), said.get("data", "").strip()
        yield event, uncharged(json.loads(content)) if content else None
        if event == "complete":
            assert await response.content.read() == b""
            return


async def said(api: Api, method: str = "POST", **more: Any) -> list[tuple[str, Any]]:
    """Everything an operation says."""
    async with asyncio.timeout(5), asked(api, method, headers={**AS_EVENTS, **more.pop("headers", {})}, **more) as response:
        return [one async for one in lines(response)]


async def followers() -> int:
    """How many operations go on."""
    running = [getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()]
    return running.count("Socket._run") + running.count("Events._tell")


async def test_every_kind_of_operation_is_told_as_events(api: Api) -> None:
    once = [("next", ANSWERED), ("complete", None)]

    assert await said(api, json={"query": TYPENAME}) == once
    assert await said(api, "GET", params={"query": TYPENAME}) == once
    assert await said(api, json={"query": "mutation { __typename }"}) == [
        ("next", {"data": {"__typename": "Mutation"}}),
        ("complete", None),
    ]
    subscription = await endless(api)
    for method, sent in (("POST", {"json": {"query": subscription}}), ("GET", {"params": {"query": subscription}})):
        async with asked(api, method, headers=AS_EVENTS, **sent) as response:
            assert response.headers["cache-control"] == "no-store"
            assert response.headers["x-accel-buffering"] == "no"
            async for event, data in lines(response):
                assert (event, data["data"].keys()) == ("next", {"rolloutEvents"})
                break
    await eventually(followers, 0)


async def test_what_is_refused_before_it_begins_is_an_event_too(api: Api) -> None:
    for query in ("{ nonsense }", "{", "query A { __typename } query B { __typename }", "subscription { nonsense }"):
        [(event, data), last] = await said(api, json={"query": query})
        assert (event, last) == ("next", ("complete", None)), query
        assert data.keys() == {"errors"}
        assert {error["extensions"]["code"] for error in data["errors"]} == {"BAD_USER_INPUT"}
    assert (await told(api, "GET", params={"query": "mutation { __typename }"}, headers=AS_EVENTS))[0] == 405
    for body, status in ((b"not JSON", 400), (b"[]", 400)):
        assert (await told(api, data=body, headers={**AS_EVENTS, "Content-Type": "application/json"}))[0] == status
    assert (await told(api, data={"query": TYPENAME}, headers=AS_EVENTS))[0] == 415


async def test_who_takes_both_gets_a_stream_only_of_a_subscription(api: Api) -> None:
    subscription = await endless(api)
    both = {"Accept": f"{NEW}, {OLD}, {EVENTS}"}

    assert await told(api, json={"query": TYPENAME}, headers=both) == (200, ANSWERED)
    assert (await told(api, json={"query": "{ nonsense }"}, headers=both))[0] == 400
    async with asked(api, json={"query": subscription}, headers=both) as response:
        assert response.content_type == EVENTS
    liked_more = {"Accept": f"{EVENTS}, */*;q=0.1"}
    assert await said(api, json={"query": TYPENAME}, headers=liked_more) == [("next", ANSWERED), ("complete", None)]


async def test_what_is_silent_for_a_while_is_kept_open_by_comments(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "QUIET", 0.1)

    async with asyncio.timeout(5), asked(api, json={"query": await endless(api)}, headers=AS_EVENTS) as response:
        kinds = []
        async for event, _ in lines(response):
            kinds.append(event)
            if kinds[-2:] == [":", ":"]:
                break
    assert "next" in kinds
    await eventually(followers, 0)


async def test_a_subscription_that_cannot_begin_is_one_answer_and_the_end(api: Api) -> None:
    for subscription in unknown():
        [(event, answer), last] = await said(api, json={"query": subscription})
        [error] = answer["errors"]
        assert (event, last) == ("next", ("complete", None))
        assert (answer.keys(), error["message"], error["extensions"]) == ({"errors"}, "there is no rollout 999", {"code": "NOT_FOUND"})
