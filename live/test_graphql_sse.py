"""The client graphql-sse, for whoever cannot have a WebSocket: a stream of server-sent events for each operation."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from live.javascript import Client, client
from live.story import EVENTS, NO_SUCH_FIELD, NOT_GRAPHQL, PROGRESS, ROLLOUTS, UNKNOWN, Story, cursor, status
from tests.api import Api
from tools.processes import Process


def streaming(api: Api, **settings: Any) -> AbstractAsyncContextManager[Client]:
    """A client that knows a token, unless the settings say otherwise."""
    return client("stream.js", **{"url": f"{api.url}/graphql", "token": api.token, **settings})


async def test_a_query_is_answered(story: Story) -> None:
    async with streaming(story.api) as client:
        await client.ask(ROLLOUTS)

        assert (await client.hear("next"))["data"] == {"rollouts": {"nodes": [{"status": "IN_PROGRESS"}]}}
        assert await client.hear("complete") == {"name": "it"}


async def test_progress_is_told_until_the_rollout_ends(story: Story) -> None:
    async with streaming(story.api) as client:
        await client.ask(PROGRESS, id=story.rollout)
        assert status(await client.hear("next")) == "IN_PROGRESS"
        await story.ends()

        await client.until("next", lambda told: status(told) == "COMPLETED")
        assert await client.hear("complete") == {"name": "it"}


async def test_errors_are_told_in_the_stream_which_then_ends(story: Story) -> None:
    async with streaming(story.api) as client:
        for query, code in ((NOT_GRAPHQL, "BAD_USER_INPUT"), (NO_SUCH_FIELD, "BAD_USER_INPUT"), (EVENTS, "NOT_FOUND")):
            assert await client.refused("next", query, id=UNKNOWN) == code
            await client.hear("complete")


async def test_whoever_has_no_token_gets_no_stream(api: Api) -> None:
    async with streaming(api, token="nonsense") as client:
        await client.ask(ROLLOUTS)

        assert (await client.hear("error"))["status"] == 401


@pytest.mark.parametrize("end", [Process.stop, Process.kill])
async def test_it_comes_back_by_itself_after_a_restart_and_misses_nothing(process: Process, interrupted: Story, end: Any) -> None:
    async with streaming(interrupted.api, retries=100) as client:
        await client.ask(EVENTS, id=interrupted.rollout)
        before = await client.hear("next")
        await end(process)
        await process.start()
        happened = await interrupted.ends()

        after = await client.until("next", lambda told: cursor(told) == happened[-1])
        assert [cursor(told) for told in [before, *after]] == happened
