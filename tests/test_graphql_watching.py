"""What is watched over a WebSocket: told at once, and again soon after whatever changes; the last is what a query says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from schema.nodes import node_id
from tests.api import Api, nth, web
from tests.roots import ROLLOUT
from tests.transports import known, received, subscribe, told

SEEN = "version labels standing online aside { kind } targetState { version apps } currentState { apps version } inSync"
DEVICE = f'subscription {{ device(uuid: "{nth(1)}") {{ at cursor device {{ {SEEN} }} }} }}'
COUNTS = """subscription ($wanted: DeviceFilterInput) {
  deviceCounts(filter: $wanted) { at cursor counts { devices online waiting revoked pinned held quarantined } } }"""
PROGRESS = f'subscription {{ rolloutProgress(id: "{ROLLOUT}") {{ at cursor status revision devices {{ scheduled updating updated }} }} }}'
EVENTS = f'subscription ($after: String) {{ rolloutEvents(id: "{ROLLOUT}", after: $after) {{ cursor name }} }}'


@pytest.fixture
async def ws(api: Api) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A connection that is acknowledged, and whose subscription ends with it."""
    async with known(api) as ws:
        yield ws


async def until(ws: aiohttp.ClientWebSocketResponse, check: Callable[[Any], object], seconds: float = 2) -> Any:
    """The next that is told and is so."""
    async with asyncio.timeout(seconds):
        while True:
            message = await received(ws)
            assert message["type"] == "next", message
            assert "errors" not in message["payload"], message
            [value] = message["payload"]["data"].values()
            if check(value):
                return value


async def test_a_device_is_told_as_a_query_would_whatever_changes_of_it(api: Api, ws: aiohttp.ClientWebSocketResponse) -> None:
    [agent] = await api.devices("nginx:1.26")
    await subscribe(ws, DEVICE)
    assert not (await until(ws, lambda _: True))["device"]["online"]

    await agent.obey()
    await until(ws, lambda told: told["device"]["inSync"])
    await until(ws, lambda told: told["device"]["online"], 4)  # who was heard of is written down every two seconds
    await api.set_target(agent.uuid, web("redis:7"))
    assert (await until(ws, lambda told: not told["device"]["inSync"]))["device"]["targetState"] == await _target(api)
    await api.change("pinDevice", uuid=agent.uuid)
    last = await until(ws, lambda told: told["device"]["aside"])

    assert last["device"] == (await api.graphql(f'{{ device(uuid: "{nth(1)}") {{ {SEEN} }} }}'))["device"]


async def _target(api: Api) -> Any:
    target = await api.target(nth(1))
    return {"version": target["version"], "apps": target["apps"]}


async def test_counts_are_told_of_those_that_are_meant(api: Api, ws: aiohttp.ClientWebSocketResponse) -> None:
    await api.devices("nginx:1.26", "nginx:1.26", fleet="hall")
    await api.devices("nginx:1.26", first=3)
    await subscribe(ws, COUNTS, variables={"wanted": {"fleet": "hall"}})
    assert (await until(ws, lambda _: True))["counts"] == _counts(devices=2)

    await api.change("pinDevice", uuid=nth(1))
    await api.change("pinDevice", uuid=nth(3))
    await api.change("revokeDevice", uuid=nth(2))

    assert await until(ws, lambda told: told["counts"] == _counts(devices=2, pinned=1, revoked=1))


def _counts(**more: int) -> dict[str, int]:
    return dict.fromkeys(("devices", "online", "waiting", "revoked", "pinned", "held", "quarantined"), 0) | more


async def test_progress_has_the_cursor_from_which_its_events_go_on(api: Api, ws: aiohttp.ClientWebSocketResponse) -> None:
    [agent] = await api.devices("nginx:1.26")
    await api.policy()
    await api.push("nginx:1.27")
    await subscribe(ws, PROGRESS)
    under_way = await until(ws, lambda told: told["status"] == "IN_PROGRESS")
    await agent.obey()
    last = await until(ws, lambda told: told["status"] == "COMPLETED")
    assert (await received(ws))["type"] == "complete"
    wanted = "cursor status revision devices { scheduled updating updated }"
    assert (await api.rollout())["revision"] == last["revision"]
    assert (await api.graphql(f"{{ rollout(number: 1) {{ progress {{ {wanted} }} }} }}"))["rollout"]["progress"]["devices"] == last[
        "devices"
    ]

    await subscribe(ws, EVENTS, variables={"after": under_way["cursor"]})
    await until(ws, lambda event: event["name"] == "image.rollout_completed")


async def test_who_reads_and_then_follows_misses_nothing(api: Api, ws: aiohttp.ClientWebSocketResponse) -> None:
    [agent] = await api.devices("nginx:1.26")
    await api.policy()
    await api.push("nginx:1.27")
    while True:
        read = await api.graphql("{ eventCursor rollout(number: 1) { status events { nodes { name } } } }")
        if read["rollout"]["status"] == "IN_PROGRESS":
            break
    await agent.obey()
    await subscribe(ws, EVENTS, variables={"after": read["eventCursor"]})
    names = {event["name"] for event in read["rollout"]["events"]["nodes"]}
    while "image.rollout_completed" not in names:
        names.add((await until(ws, lambda _: True))["name"])

    everything = (await api.graphql("{ rollout(number: 1) { events { nodes { name } } } }"))["rollout"]["events"]["nodes"]
    assert names == {event["name"] for event in everything}


UNWATCHABLE = {
    f'subscription {{ device(uuid: "{nth(999)}") {{ at }} }}': "NOT_FOUND",
    f'subscription {{ rolloutProgress(id: "{node_id("Rollout", 999)}") {{ at }} }}': "NOT_FOUND",
    'subscription { deviceCounts(filter: {selector: "site="}) { at } }': "BAD_USER_INPUT",
}


async def test_what_cannot_be_watched_is_an_error_and_not_a_wait(ws: aiohttp.ClientWebSocketResponse) -> None:
    for document, code in UNWATCHABLE.items():
        await subscribe(ws, document)
        error = await received(ws)
        assert (error["type"], error["payload"][0]["extensions"]["code"]) == ("error", code)


async def test_a_query_says_where_events_go_on(api: Api) -> None:
    status, answer = await told(api, json={"query": "{ eventCursor }"})
    assert (status, list(answer["data"])) == (200, ["eventCursor"])
