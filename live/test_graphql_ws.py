"""The client graphql-ws, which browsers follow rollouts with."""

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from live.javascript import Client, client
from live.story import EVENTS, NO_SUCH_FIELD, NOT_GRAPHQL, PROGRESS, ROLLOUTS, UNKNOWN, Story, cursor, status
from tests.api import Api
from tools.processes import Process

INIT = {"type": "connection_init"}
SUBSCRIBE = {"type": "subscribe", "id": "1", "payload": {"query": ROLLOUTS}}
GOING_AWAY, SERVICE_RESTART, NO_GOODBYE = 1001, 1012, 1006


def connected(api: Api, **settings: Any) -> AbstractAsyncContextManager[Client]:
    """A client that knows a token, unless the settings say otherwise."""
    url, params = f"{api.url.replace('http', 'ws', 1)}/graphql", {"Authorization": f"Bearer {api.token}"}
    return client("socket.js", **{"url": url, "params": params, **settings})


async def test_a_query_is_answered(story: Story) -> None:
    async with connected(story.api) as client:
        await client.ask(ROLLOUTS)

        assert (await client.hear("next"))["data"] == {"rollouts": {"nodes": [{"status": "IN_PROGRESS"}]}}
        assert await client.hear("complete") == {"name": "it"}


async def test_progress_is_told_until_the_rollout_ends(story: Story) -> None:
    async with connected(story.api) as client:
        await client.ask(PROGRESS, id=story.rollout)
        assert status(await client.hear("next")) == "IN_PROGRESS"
        await story.ends()

        await client.until("next", lambda told: status(told) == "COMPLETED")
        assert await client.hear("complete") == {"name": "it"}


async def test_several_subscriptions_share_a_connection(story: Story) -> None:
    async with connected(story.api) as client:
        await client.ask(EVENTS, name="events", id=story.rollout)
        assert (await client.hear("next"))["name"] == "events"
        await client.ask(PROGRESS, name="progress", id=story.rollout)

        await client.until("next", lambda told: told["name"] == "progress")


async def test_errors_end_the_operation_and_leave_the_connection(story: Story) -> None:
    async with connected(story.api) as client:
        for query, code in ((NOT_GRAPHQL, "BAD_USER_INPUT"), (NO_SUCH_FIELD, "BAD_USER_INPUT"), (EVENTS, "NOT_FOUND")):
            assert await client.refused("error", query, id=UNKNOWN) == code
        await client.ask(ROLLOUTS)

        assert "errors" not in await client.hear("next")


async def test_what_is_no_message_is_answered_by_4400(api: Api) -> None:
    for said in ("no JSON", "[]", '"text"', "{}", '{"type": "nonsense"}', '{"type": "subscribe"}'):
        async with connected(api, connected=said) as client:
            assert (await client.hear("closed"))["code"] == 4400, said


async def test_whoever_subscribes_before_introducing_himself_is_answered_by_4401(api: Api) -> None:
    async with connected(api, opened=json.dumps(SUBSCRIBE)) as client:
        assert (await client.hear("closed"))["code"] == 4401


async def test_whoever_has_no_token_is_answered_by_4403(api: Api) -> None:
    for params in ({}, {"Authorization": "Bearer nonsense"}, {"Authorization": 7}):
        async with connected(api, params=params) as client:
            assert (await client.hear("closed"))["code"] == 4403, params


async def test_whoever_does_not_introduce_himself_within_ten_seconds_is_answered_by_4408(api: Api) -> None:
    async with connected(api, params=None) as client:
        assert (await client.hear("closed"))["code"] == 4408


async def test_two_operations_of_one_id_are_answered_by_4409(story: Story) -> None:
    async with connected(story.api, id="same") as client:
        await client.ask(PROGRESS, id=story.rollout)
        await client.ask(PROGRESS, id=story.rollout)

        assert (await client.hear("closed"))["code"] == 4409


async def test_whoever_introduces_himself_twice_is_answered_by_4429(api: Api) -> None:
    async with connected(api, connected=json.dumps(INIT)) as client:
        assert (await client.hear("closed"))["code"] == 4429


@pytest.mark.parametrize(("end", "codes"), [(Process.stop, {GOING_AWAY, SERVICE_RESTART}), (Process.kill, {NO_GOODBYE})])
async def test_it_comes_back_by_itself_after_a_restart_and_misses_nothing(
    process: Process, interrupted: Story, end: Any, codes: set[int]
) -> None:
    async with connected(interrupted.api, retries=100) as client:
        await client.hear("connected")
        await client.ask(EVENTS, id=interrupted.rollout)
        before = await client.hear("next")
        await end(process)
        assert (await client.hear("closed"))["code"] in codes
        await process.start()
        await client.hear("connected")
        happened = await interrupted.ends()

        after = await client.until("next", lambda told: cursor(told) == happened[-1])
        assert [cursor(told) for told in [before, *after]] == happened
