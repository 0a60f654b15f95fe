"""The ids that clients hold: opaque to them, and never taken for another; and what is found by them."""

from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphql import GraphQLInterfaceType
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BadInput
from resolvers.context import Context
from schema.build import schema
from schema.nodes import key_of, node_id
from schema.session import Session
from storage.database import Database
from tests.api import Api, eventually, nth, web
from tests.clock import MovableClock
from tests.fuses import Fuse, an_instance
from tests.registry import LittleRegistry
from tools.crowd import crowd

KEYS = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=512)


@given(st.sampled_from(["Policy", "Rollout", "RolloutDevice", "WebhookEndpoint"]), KEYS)
def test_an_id_opens_what_it_was_made_of_however_long_it_is(kind: str, key: str) -> None:
    assert key_of(node_id(kind, key), kind) == key


@pytest.mark.parametrize("bad", ["", "7", "x", "=", "UG9saWN5OjE==", "UG9saWN5", "UG9saWN5OjE\n", "ä", "/+8"])
def test_what_was_not_handed_out_is_not_an_id(bad: str) -> None:
    with pytest.raises(BadInput, match="is not an id that was handed out here"):
        key_of(bad, "Policy")


def test_an_id_of_one_kind_is_not_one_of_another() -> None:
    with pytest.raises(BadInput, match="this is the id of a Rollout, not of a Policy"):
        key_of(node_id("Rollout", 1), "Policy")


# What is found by them

NODE, NODES = "query ($id: ID!) { node(id: $id) { __typename id } }", "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
SEEN = "__typename id"
EVERYTHING = f"""{{
  policies {{ nodes {{ {SEEN} }} }} devices {{ nodes {{ {SEEN} }} }} fleets {{ nodes {{ {SEEN} }} }} pushes {{ nodes {{ {SEEN} }} }}
  rollouts {{ nodes {{ {SEEN} devices {{ nodes {{ {SEEN} }} }} events(first: 100) {{ nodes {{ {SEEN} }} }} }} }}
  repositories {{ nodes {{ {SEEN} tags {{ nodes {{ {SEEN} }} }} }} }} knownImages {{ nodes {{ {SEEN} }} }}
  polledRepositories {{ nodes {{ {SEEN} }} }} registries {{ nodes {{ {SEEN} }} }} deliveries {{ nodes {{ {SEEN} }} }}
  webhookEndpoints {{ nodes {{ {SEEN} }} }} provisioningKeys {{ nodes {{ {SEEN} }} }} tokens {{ nodes {{ {SEEN} }} }}
  audit {{ nodes {{ {SEEN} }} }}
}}"""


async def one_of_each(api: Api, little: LittleRegistry) -> None:
    """Something of every kind."""
    app = f"{little.host}/acme/app"
    little.push("acme/app", "1.1.0")
    await api.change("setRegistry", host=little.host, plainHttp=True)
    await api.device(nth(1), web(f"{app}:1.0.0"), fleet="plant-a")
    await api.device(nth(2), web("nginx:1.26"))
    await api.policy(imagePattern=app, registry={"pollMinutes": 10})
    await api.policy()
    await api.change("createWebhookEndpoint", name="ci", sender="GENERIC")
    await api.change("approveImage", name="nginx:1.27")
    await api.push("nginx:1.27")
    await eventually(lambda: api.status(1), "IN_PROGRESS")
    await eventually(lambda: polled(api), 1)


async def polled(api: Api) -> int:
    """How many repositories are asked for new tags."""
    return int((await api.graphql("{ polledRepositories { totalCount } }"))["polledRepositories"]["totalCount"])


def nodes_in(answer: Any) -> list[Any]:
    """Whatever in an answer has an id, without what is in it."""
    if isinstance(answer, list):
        return [node for one in answer for node in nodes_in(one)]
    if not isinstance(answer, dict):
        return []
    own = [{"__typename": answer["__typename"], "id": answer["id"]}] if "id" in answer else []
    return own + nodes_in(list(answer.values()))


async def test_whatever_has_an_id_is_found_by_it_and_many_in_the_order_they_are_asked_for(api: Api, little: LittleRegistry) -> None:
    await one_of_each(api, little)
    found = nodes_in(await api.graphql(EVERYTHING))
    node = schema._schema.type_map["Node"]
    assert isinstance(node, GraphQLInterfaceType)
    by_kind = defaultdict(list)
    for one in found:
        by_kind[one["__typename"]].append(one)

    assert by_kind.keys() == {kind.name for kind in schema._schema.get_possible_types(node)}
    for kind, some in by_kind.items():
        assert (await api.graphql(NODE, id=some[0]["id"]))["node"] == some[0], kind
    wanted = list({one["id"]: one for one in found}.values())[:98]
    gone = node_id("Policy", 999)
    answer = await api.graphql(NODES, ids=[gone, *(one["id"] for one in reversed(wanted)), gone])
    assert answer["nodes"] == [None, *reversed(wanted), None]


NUMBERED = ["AuditEntry", "Delivery", "KnownImage", "Policy", "ProvisioningKey", "Push", "Rollout", "Token", "WebhookEndpoint"]


async def test_what_is_not_there_is_null_and_what_was_never_handed_out_is_refused(api: Api) -> None:
    gone = [*(node_id(kind, number) for kind in NUMBERED for number in (0, 10**18 - 1)), node_id("Device", nth(999))]
    gone += [node_id("RolloutDevice", f"1:{nth(1)}"), node_id("Registry", "registry.example"), node_id("PolledRepository", "nginx")]
    gone += [node_id("Tag", "docker.io/library/nginx:1.27")]
    assert (await api.graphql(NODES, ids=gone))["nodes"] == [None] * len(gone)

    never = [*(node_id(kind, key) for kind in NUMBERED for key in ("x", "-1", "1.5", "²", "", 10**18)), "x", "", "1", "ä" * 100]
    never += [node_id("Nothing", 1), node_id("Query", ""), node_id("Device", "press-12"), node_id("RolloutDevice", 1)]
    never += [node_id("Fleet", "plant-a"), node_id("Fleet", "="), node_id("Tag", "nginx"), node_id("Event", 1)]
    never += [node_id("Repository", key) for key in ("", "nginx", "NGINX", "docker.io/library/nginx:1.27")]
    for bad in never:
        code, sentence = await api.refused(NODE, id=bad)
        assert (code, "not an id that was handed out here" in sentence) == ("BAD_USER_INPUT", True), (bad, sentence)
    assert (await api.refused(NODES, ids=[node_id("Policy", 1), "x"]))[0] == "BAD_USER_INPUT"
    assert await api.refused(NODES, ids=[node_id("Policy", 1)] * 101) == ("BAD_USER_INPUT", "ids: at most 100")


@pytest.fixture
async def counted(database_url: str, clock: MovableClock) -> AsyncIterator[Database]:
    """Connections whose statements are counted."""
    async with an_instance(database_url, clock) as db:
        yield db


async def test_a_hundred_of_a_kind_are_read_in_as_many_statements_as_one(operator: Context, counted: Database) -> None:
    ids = [node_id("Device", await uuid_of(operator, device)) for device in await crowd(operator.db, 100)]

    async def statements(some: list[Any]) -> int:
        before = Fuse.statements
        session = Session(Context(counted, operator.feed, operator.actor, operator.vault))
        answer = await schema.execute(NODES, variable_values={"ids": some}, context_value=session)
        assert answer.errors is None
        return Fuse.statements - before

    assert await statements(ids) == await statements(ids[:1])


async def uuid_of(ctx: Context, device: int) -> str:
    """What a device calls itself."""
    async with ctx.db.reading() as conn:
        return str(await conn.fetchval("select uuid from devices where id = $1", device))
