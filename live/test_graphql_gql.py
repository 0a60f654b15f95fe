"""gql, which programs in Python follow rollouts with: the same journeys as a browser's."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from gql import Client, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportConnectionFailed, TransportError, TransportQueryError
from gql.transport.websockets import WebsocketsTransport

from live.story import EVENTS, NO_SUCH_FIELD, PROGRESS, ROLLOUTS, UNKNOWN, Story
from tests.api import Api
from tools.processes import Process


def over_http(api: Api, token: str | None = None) -> Client:
    """A client that posts its queries."""
    return Client(transport=AIOHTTPTransport(f"{api.url}/graphql", headers={"Authorization": f"Bearer {token or api.token}"}))


def over_a_socket(api: Api, token: str | None = None) -> Client:
    """A client with a WebSocket, which waits for a server that is away."""
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
    with pytest.raises((TransportError, Exception)) as refused:
        async with over(api, "nonsense") as session:
            await session.execute(asked(ROLLOUTS))
    print(type(refused.value), refused.value)


@pytest.mark.parametrize("end", [Process.stop, Process.kill])
async def test_it_comes_back_after_a_restart_and_misses_nothing(process: Process, interrupted: Story, end: Any) -> None:
    client = over_a_socket(interrupted.api)
    session = await client.connect_async(reconnecting=True)
    heard: list[str] = []
    with pytest.raises(TransportConnectionFailed):
        async for cursor in following(session, interrupted.rollout):
            heard.append(cursor)
            if len(heard) == 1:
                await end(process)
    await process.start()
    happened = await interrupted.ends()
    async for cursor in following(session, interrupted.rollout, heard[-1]):
        heard.append(cursor)
        if cursor == happened[-1]:
            break
    await client.close_async()

    assert heard == happened


async def following(session: Any, rollout: str, after: str | None = None) -> AsyncIterator[str]:
    """The cursors of the events after one."""
    async with aclosing(session.subscribe(asked(EVENTS, id=rollout, after=after))) as answers:
        async for answer in answers:
            yield answer["rolloutEvents"]["cursor"]
