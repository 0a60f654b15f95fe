"""gql, which programs in Python follow rollouts with: the same journeys as a browser's."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from live.story import EVENTS, NO_SUCH_FIELD, PROGRESS, ROLLOUTS, UNKNOWN, Story
from tests.api import Api
from tools.processes import Process


def over_http(api: Api, token: str | None = None) -> Client:
    """A client that posts its queries."""
    return Client(transport=AIOHTTPTransport(f"{api.url}/graphql", headers={"Authorization": f"Bearer {token or api.token}"}))


def over_a_socket(api: Api, token: str | None = None) -> Client:
    """A client with a WebSocket."""
    url, introduction = f"{api.url.replace('http', 'ws', 1)}/graphql", {"Authorization": f"Bearer {token or api.token}"}
    return Client(transport=WebsocketsTransport(url, init_payload=introduction))


def asked(query: str, **variables: Any) -> Any:
    """A request of gql's."""
    request = gql(query)
    request.variable_values = variables
    return request


@pytest.mark.parametrize("over", [over_http, over_a_socket])
async def test_a_query_is_answered(story: Story, over: Any) -> None:
    async with over(story.api) as session:
        assert await session.execute(asked(ROLLOUTS)) == {"rollouts": {"nodes": [{"status": "IN_PROGRESS"}]}}


async def test_progress_is_told_until_the_rollout_ends(story: Story) -> None:
    async with over_a_socket(story.api) as session:
        answers = session.subscribe(asked(PROGRESS, id=story.rollout))
        told = [await anext(answers)]
        await story.ends()
        told += [answer async for answer in answers]

    assert told[0] == {"rolloutProgress": {"status": "IN_PROGRESS"}}
    assert told[-1] == {"rolloutProgress": {"status": "COMPLETED"}}


@pytest.mark.parametrize(("query", "code"), [(NO_SUCH_FIELD, "BAD_USER_INPUT"), (EVENTS, "NOT_FOUND")])
async def test_errors_are_told_with_their_codes(story: Story, query: str, code: str) -> None:
    async with over_a_socket(story.api) as session:
        with pytest.raises(TransportQueryError) as refused:
            await anext(session.subscribe(asked(query, id=UNKNOWN)))

        assert refused.value.errors is not None
        assert [error["extensions"]["code"] for error in refused.value.errors] == [code]
        assert await session.execute(asked(ROLLOUTS))


@pytest.mark.parametrize("over", [over_http, over_a_socket])
async def test_whoever_has_no_token_is_not_let_in(api: Api, over: Any) -> None:
    with pytest.raises(TransportError):
        async with over(api, "nonsense") as session:
            await session.execute(asked(ROLLOUTS))


@pytest.mark.parametrize("end", [Process.stop, Process.kill])
async def test_whoever_comes_back_after_a_restart_misses_nothing(process: Process, interrupted: Story, end: Any) -> None:
    heard: list[str] = []
    following = asyncio.create_task(follow(interrupted, heard))
    await until(lambda: heard != [])
    await end(process)
    await process.start()
    happened = await interrupted.ends()
    await until(lambda: heard[-1] == happened[-1])
    following.cancel()

    assert heard == happened


async def follow(story: Story, heard: list[str]) -> None:
    """Write down the cursors of all events; whenever the connection is lost, go on after the last."""
    while True:
        with suppress(TransportError, OSError):
            async with over_a_socket(story.api) as session:
                async for answer in session.subscribe(asked(EVENTS, id=story.rollout, after=heard[-1] if heard else None)):
                    heard += [answer["rolloutEvents"]["cursor"]]
        await asyncio.sleep(0.1)


async def until(is_so: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(20):
        while not is_so():
            await asyncio.sleep(0.02)
