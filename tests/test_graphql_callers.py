"""Who asks over /graphql: what a token lets its holder see, how long it does, and whose request it was that changed something."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from domain.actors import Role
from resolvers import tokens
from schema.nodes import node_id
from server.process import Running
from tests.api import Api, everything, mutation_of
from tests.clock import MovableClock
from tests.transports import ANSWERED, NEW, TYPENAME, asked, bearer, closed, known, received, socket, subscribe, told

INTROSPECTION = ("{ __schema { types { name } } }", '{ __type(name: "Query") { name } }')
MISSPELT = "{ polices { totalCount } }"
PAUSE = mutation_of("pauseRollout", "rollout { status }")


@asynccontextmanager
async def holder(server: Running, role: Role, life: timedelta | None = None) -> AsyncIterator[Api]:
    """Somebody with a token of this role."""
    async with Api.at(server.url, await tokens.issue(server.db, "rita", role, life), "") as api:
        yield api


async def test_a_reader_reads_and_is_not_told_what_else_there_is(server: Running, api: Api) -> None:
    async with holder(server, Role.READER) as reader:
        assert await reader.graphql("{ policies { totalCount } }") == {"policies": {"totalCount": 0}}
        for query in INTROSPECTION:
            assert (await reader.refused(query))[0] == "FORBIDDEN"
            assert await api.graphql(query)
        _, unknown = await reader.refused(MISSPELT)
        assert unknown == "Cannot query field 'polices' on type 'Query'."
    assert (await api.refused(MISSPELT))[1].startswith(f"{unknown} Did you mean 'policies'")


async def test_a_reader_is_told_no_more_over_a_socket(server: Running) -> None:
    async with holder(server, Role.READER) as reader, known(reader) as ws:
        for query, code in (*((query, "FORBIDDEN") for query in INTROSPECTION), (MISSPELT, "BAD_USER_INPUT")):
            await subscribe(ws, query)
            [error, *_] = (await received(ws))["payload"]
            assert error["extensions"] == {"code": code}
            assert "Did you mean" not in error["message"]


async def test_a_reader_changes_nothing_over_any_transport(server: Running) -> None:
    change = {"query": PAUSE, "variables": {"input": {"id": node_id("Rollout", 1)}}}
    async with holder(server, Role.READER) as reader, known(reader) as ws:
        before = await everything(server.db)
        status, answer = await told(reader, json=change, headers={"Accept": NEW})
        await subscribe(ws, PAUSE, variables=change["variables"])
        over_a_socket = (await received(ws))["payload"]

        for refused in (answer, over_a_socket):
            [error] = refused["errors"]
            assert (error["message"], error["extensions"]) == (
                "rita may not operate: that takes a token of the role operator",
                {"code": "FORBIDDEN"},
            )
        assert status == 200
        assert await everything(server.db) == before


async def test_a_token_that_counts_no_more_is_told_why(server: Running, api: Api, clock: MovableClock) -> None:
    async with holder(server, Role.OPERATOR, timedelta(hours=1)) as expired, holder(server, Role.OPERATOR) as revoked:
        for one in (expired, revoked):
            assert await told(one, json={"query": TYPENAME}) == (200, ANSWERED)
        await api.change("revokeToken", id=node_id("Token", 3))
        clock.advance(hours=1)

        for one, why in ((expired, "the token expired on "), (revoked, "the token was revoked on ")):
            async with asked(one, json={"query": TYPENAME}) as response:
                [error] = (await response.json())["errors"]
                assert (response.status, response.headers["www-authenticate"]) == (401, "Bearer")
                assert (error["message"].startswith(why), error["extensions"]) == (True, {"code": "UNAUTHENTICATED"})
            async with socket(one, bearer(one)) as ws:
                assert await closed(ws) == 4403


async def test_a_token_that_is_revoked_begins_nothing_on_a_connection_that_it_opened(server: Running, api: Api) -> None:
    async with holder(server, Role.ADMINISTRATOR) as administrator, known(administrator) as ws:
        await subscribe(ws, TYPENAME)
        await received(ws)
        await received(ws)
        await api.change("revokeToken", id=node_id("Token", 2))
        before = await everything(server.db)

        await subscribe(ws, mutation_of("createToken", "secret"), variables={"input": {"name": "a back door"}})

        assert await closed(ws) == 4403
    assert await everything(server.db) == before


async def test_who_may_not_is_told_so_before_anything_is_said_of_his_input(server: Running) -> None:
    async with holder(server, Role.READER) as reader:
        code, _ = await reader.refused(mutation_of("updatePolicy", "__typename"), input={"id": "nonsense"})
    assert code == "FORBIDDEN"


async def test_what_was_done_is_on_record_with_the_name_of_the_request(api: Api) -> None:
    policy = mutation_of("createPolicy", "policy { number }")
    wanted = {"input": {"imagePattern": "nginx", "updateStrategy": "AUTO"}}
    named = {"X-Request-ID": "find-me"}

    await told(api, json={"query": policy, "variables": wanted}, headers=named)
    async with socket(api, bearer(api), headers=named) as ws:
        await ws.receive_json()
        await subscribe(ws, policy, variables=wanted)
        await received(ws)

    answer = await api.graphql("{ audit(first: 2) { nodes { actor action requestId } } }")
    assert answer["audit"]["nodes"] == [{"actor": "ops", "action": "CREATE_POLICY", "requestId": name} for name in ("find-me.1", "find-me")]
