"""What holders of tokens may do over GraphQL: readers read, operators operate, administrators administer."""

from typing import Any

import pytest

from domain.actors import Role
from resolvers import tokens
from schema.nodes import node_id
from server.process import Running
from tests.api import Api, eventually, everything, mutation_of
from tests.roots import MUTATIONS, QUERIES, SUBSCRIPTIONS

INTROSPECTION = "{ __schema { types { name } } }"
ADMINISTERS = "may not administer: that takes a token of the role administrator"
FOR_ADMINISTRATORS = {"audit", "token", "tokens", "createToken", "revokeToken"}
# Each is one letter away from what there is.
SLIPS: list[tuple[str, dict[str, Any]]] = [
    ("{ polices { nodes { id } } }", {}),
    ("{ policies(fist: 3) { nodes { id } } }", {}),
    ("{ policies { nodes { i } } }", {}),
    ("{ rollouts(filter: {status: [PAUSE]}) { nodes { id } } }", {}),
    ("{ rollouts(filter: {statu: [PAUSED]}) { nodes { id } } }", {}),
    ("query ($status: [RolloutStatu!]) { rollouts(filter: {status: $status}) { nodes { id } } }", {}),
    ("query ($status: [RolloutStatus!]) { rollouts(filter: {status: $status}) { nodes { id } } }", {"status": ["PAUSE"]}),
    ("query ($filter: RolloutFilterInput) { rollouts(filter: $filter) { nodes { id } } }", {"filter": {"statu": ["PAUSED"]}}),
]


@pytest.fixture
async def reader(server: Running, api: Api) -> Api:
    """Whoever may only read, where there is something to read."""
    await api.devices("nginx:1.26")
    await api.policy()
    await api.push("nginx:1.27")
    await eventually(api.batch, 1)
    return await of(server, api, Role.READER)


@pytest.fixture
async def operator_(server: Running, api: Api) -> Api:
    """Whoever may read and operate."""
    return await of(server, api, Role.OPERATOR)


async def of(server: Running, api: Api, role: Role) -> Api:
    """A client with a token of this role."""
    return Api(api.http, api.url, await tokens.issue(server.db, role, role), api.secret)


async def test_a_reader_reads_whatever_is_not_for_administrators(reader: Api) -> None:
    for name, call in QUERIES.items():
        if name in FOR_ADMINISTRATORS:
            assert await reader.refused(call) == ("FORBIDDEN", f"reader {ADMINISTERS}"), name
        else:
            await reader.graphql(call)
    async with reader.subscribed(SUBSCRIPTIONS["rolloutProgress"]) as told:
        assert await anext(told) == {"rolloutProgress": {"status": "IN_PROGRESS"}}


async def test_a_reader_changes_nothing(server: Running, reader: Api) -> None:
    before = await everything(server.db)

    for name, values in MUTATIONS.items():
        code, sentence = await reader.refused(mutation_of(name, "__typename"), input=values)
        assert (code, sentence.startswith("reader may not ")) == ("FORBIDDEN", True), (name, sentence)

    assert await everything(server.db) == before


async def test_an_operator_reads_no_record_and_hands_out_no_tokens(server: Running, operator_: Api) -> None:
    before = await everything(server.db)

    for name in FOR_ADMINISTRATORS & QUERIES.keys():
        assert await operator_.refused(QUERIES[name]) == ("FORBIDDEN", f"operator {ADMINISTERS}"), name
    for name in FOR_ADMINISTRATORS & MUTATIONS.keys():
        assert (await operator_.refused(mutation_of(name, "__typename"), input=MUTATIONS[name]))[0] == "FORBIDDEN", name
    for kind in ("Token", "AuditEntry"):
        document = f'{{ node(id: "{node_id(kind, 1)}") {{ id }} }}'
        assert await operator_.refused(document) == ("FORBIDDEN", f"operator {ADMINISTERS}"), kind
    assert await everything(server.db) == before


async def test_the_record_of_a_thing_is_for_administrators_too_and_the_thing_is_not(api: Api, operator_: Api) -> None:
    policy = await operator_.policy()
    document = f'{{ policy(id: "{policy}") {{ audit {{ nodes {{ action actor subject {{ id }} token {{ name }} }} }} }} }}'

    assert await operator_.refused(document) == ("FORBIDDEN", f"operator {ADMINISTERS}")
    assert (await api.graphql(document))["policy"]["audit"]["nodes"] == [
        {"action": "CREATE_POLICY", "actor": "operator", "subject": {"id": policy}, "token": {"name": "operator"}}
    ]


async def test_a_reader_does_not_see_the_schema_also_when_an_operator_has_just_asked_for_it(operator_: Api, reader: Api) -> None:
    await operator_.graphql(INTROSPECTION)

    for document in (INTROSPECTION, '{ __type(name: "Policy") { name } }'):
        assert await reader.refused(document) == ("FORBIDDEN", "a reader's token may not ask for the schema: an operator's may")
    assert await reader.graphql("{ __typename policies { __typename } }") == {
        "__typename": "Query", "policies": {"__typename": "PolicyConnection"},
    }  # fmt: skip


@pytest.mark.parametrize(("document", "variables"), SLIPS)
async def test_a_slip_is_answered_with_a_hint_to_an_operator_and_without_to_a_reader(
    operator_: Api, reader: Api, document: str, variables: Any
) -> None:
    helped = (await operator_.ask(document, **variables))["errors"]
    told = (await reader.ask(document, **variables))["errors"]

    assert any("Did you mean" in error["message"] for error in helped)
    assert not any("Did you mean" in error["message"] for error in told)
    assert all(error["message"].strip() for error in told)
