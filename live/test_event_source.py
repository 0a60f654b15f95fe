"""EventSource, the client of server-sent events that every browser brings: it comes again by itself, and says where it was."""

from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from live.javascript import Client, client
from live.story import EVENTS, PROGRESS, ROLLOUTS, Story, cursor, status
from tests.api import Api
from tools.processes import Process


def following(api: Api, token: str | None = None) -> AbstractAsyncContextManager[Client]:
    """A client that knows a token."""
    return client("source.js", url=f"{api.url}/graphql", token=token or api.token)


async def test_a_query_is_answered_and_not_asked_again(story: Story) -> None:
    async with following(story.api) as client:
        await client.ask(ROLLOUTS)

        assert (await client.hear("next"))["data"] == {"rollouts": {"nodes": [{"status": "IN_PROGRESS"}]}}
        assert await client.hear("complete") == {"name": "it"}


async def test_progress_is_told_until_the_rollout_ends(story: Story) -> None:
    async with following(story.api) as client:
        await client.ask(PROGRESS, id=story.rollout)
        assert status(await client.hear("next")) == "IN_PROGRESS"
        await story.ends()

        await client.until("next", lambda told: status(told) == "COMPLETED")
        assert await client.hear("complete") == {"name": "it"}


async def test_whoever_has_no_token_gets_no_stream(story: Story) -> None:
    async with following(story.api, "nonsense") as client:
        await client.ask(ROLLOUTS)

        assert (await client.hear("error"))["status"] == 401


@pytest.mark.parametrize("end", [Process.stop, Process.kill])
async def test_it_comes_back_by_itself_after_a_restart_and_misses_nothing(process: Process, interrupted: Story, end: Any) -> None:
    async with following(interrupted.api) as client:
        await client.ask(EVENTS, id=interrupted.rollout)
        before = await client.hear("next")
        await end(process)
        await process.start()
        happened = await interrupted.ends()

        heard = [before, *await client.until("next", lambda told: cursor(told) == happened[-1])]
        assert [cursor(told) for told in heard] == happened, "each event once: by its id it says what it was told last"
        assert [told["id"] for told in heard] == happened
