"""What one token may spend on GraphQL in a minute, as each transport tells it."""

from dataclasses import replace

import pytest

from domain.actors import Role
from resolvers import tokens
from schema.nodes import node_id
from server.process import Running
from server.settings import Settings
from tests.api import Api
from tests.test_graphql_callers import holder
from tests.test_graphql_sse import AS_EVENTS, said
from tests.transports import NEW, OLD, TYPENAME, asked, endless, known, received, subscribe, told

COSTLY = "{ rollouts(first: 100) { nodes { devices(first: 50) { nodes { status } } } } }"
LIMIT = 1_000


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return replace(settings, graphql_points=LIMIT)


async def test_every_answer_says_what_it_cost_and_what_is_left(api: Api) -> None:
    async with asked(api, json={"query": TYPENAME}) as response:
        over_http = (await response.json())["extensions"]["cost"]
    async with asked(api, json={"query": TYPENAME}, headers=AS_EVENTS) as response:
        as_an_event = await response.text()
    async with known(api) as ws:
        await subscribe(ws, TYPENAME)
        over_a_socket = (await ws.receive_json())["payload"]["extensions"]["cost"]

    assert over_http == {"requested": 1, "limit": LIMIT, "remaining": LIMIT - 1, "resetSeconds": 1}
    assert '"extensions":{"cost":{"requested":1,"limit":1000,' in as_an_event
    assert (over_a_socket["requested"], over_a_socket["limit"]) == (1, LIMIT)


async def test_each_further_event_costs_as_much_and_ends_the_subscription_when_nothing_is_left(server: Running, api: Api) -> None:
    await endless(api)
    page = "devices(first: 100) { nodes { id } }"
    dear = f'subscription {{ rolloutEvents(id: "{node_id("Rollout", 1)}") {{ rollout {{ a: {page} b: {page} c: {page} }} }} }}'
    async with holder(server, Role.READER) as reader, known(reader) as ws:
        await subscribe(ws, dear)
        answers = [await received(ws)]
        while answers[-1]["type"] == "next":
            answers.append(await received(ws))

    assert 1 <= len(answers) - 1 <= LIMIT / 300
    assert answers[-1]["payload"][0]["extensions"]["code"] == "RATE_LIMITED"


async def test_who_has_spent_too_much_is_told_when_to_come_again(api: Api) -> None:
    await api.ask(COSTLY)

    for accept, status in ((NEW, 429), (OLD, 200)):
        async with asked(api, json={"query": COSTLY}, headers={"Accept": accept}) as response:
            body = await response.json()
            [error] = body["errors"]
            assert (response.status, body.keys()) == (status, {"errors"})
            assert error["extensions"].keys() == {"code", "retryAfterSeconds"}
            assert error["extensions"]["code"] == "RATE_LIMITED"
            assert response.headers["retry-after"] == str(error["extensions"]["retryAfterSeconds"])
            assert 200 < int(response.headers["retry-after"]) < 400


async def test_streams_and_sockets_tell_it_as_an_error_of_the_operation(api: Api) -> None:
    await api.ask(COSTLY)

    async with known(api) as ws:
        await subscribe(ws, COSTLY)
        answer = await ws.receive_json()
    [(event, told), last] = await said(api, json={"query": COSTLY})

    assert (answer["type"], answer["payload"][0]["extensions"]["code"]) == ("error", "RATE_LIMITED")
    assert (event, told["errors"][0]["extensions"]["code"], last) == ("next", "RATE_LIMITED", ("complete", None))


async def test_each_token_has_a_budget_of_its_own_whatever_it_is_called(server: Running, api: Api) -> None:
    await api.ask(COSTLY)
    token = await tokens.issue(server.db, "ops", Role.OPERATOR)

    async with Api.at(server.url, token, "") as namesake:
        assert await namesake.graphql(TYPENAME)
    assert (await api.refused(TYPENAME))[0] == "RATE_LIMITED"


async def test_who_has_a_long_document_read_pays_for_that_even_where_it_makes_no_sense(server: Running) -> None:
    async with holder(server, Role.READER) as reader:
        for _ in range(3):
            long = '{ device(uuid: """' + "\n" * 20_000 + '""") { name } }'
            answer = (await told(reader, json={"query": long}))[1]
            assert answer["errors"]
        assert answer["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
