"""Whatever schemathesis makes up to ask over GraphQL. ROLLWAVE_EXAMPLES: how many documents of each root field are tried."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
import requests
import schemathesis
from graphql import (
    GraphQLObjectType,
    GraphQLScalarType,
    IntValueNode,
    StringValueNode,
    TypeInfo,
    TypeInfoVisitor,
    ValueNode,
    Visitor,
    build_schema,
    get_named_type,
    is_specified_scalar_type,
    parse,
    parse_value,
    print_ast,
    visit,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.core.result import Ok
from schemathesis.graphql import nodes

from live.story import Story
from server.process import Running
from server.settings import Settings
from tests.apart import Apart, apart
from tests.api import Api
from tests.conftest import KEYS, SECRET, a_database
from tools.snapshots import GRAPHQL

SCHEMA = build_schema(GRAPHQL.read_text())
INSIDE = ("internal error", "traceback", "asyncpg", "postgres", "strawberry", "schemathesis", "object at 0x", '.py"')
"""Words that tell of the inside, in small letters."""
VALUES = {
    "Int": ["1", "2", "100"],
    "String": ["nginx*", "nginx", "plant-a", "site=berlin", "127.0.0.1:5000", "1001", "web"],
    "ImageReference": ["nginx:1.28", "nginx:1.29", "redis:7"],
}
"""By type, what means something in one place or another."""
some = settings(
    max_examples=int(os.environ.get("ROLLWAVE_EXAMPLES", "10")), deadline=None, suppress_health_check=list(HealthCheck),
    database=None, derandomize=True,
)  # fmt: skip


# What is asked


def literal(value: Any) -> str:
    """A value as a document holds it."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {literal(inner)}' for name, inner in value.items())}}}"
    return f"[{', '.join(map(literal, value))}]" if isinstance(value, list) else json.dumps(value)


def anything() -> st.SearchStrategy[ValueNode]:
    """A value of any shape."""
    leaves = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9)
    names = st.sampled_from(["a", "services", "image", "config"])
    values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=2), max_leaves=5)
    return values.map(literal).map(parse_value)


for name, kind in SCHEMA.type_map.items():
    if isinstance(kind, GraphQLScalarType) and not is_specified_scalar_type(kind) and name not in ("DateTime", "UUID"):
        schemathesis.graphql.scalar(name, anything() if name == "JSON" else st.text(max_size=30).map(nodes.String))

OPERATIONS = {
    found.ok().label: found.ok()
    for found in schemathesis.graphql.from_file(GRAPHQL.read_text()).get_all_operations()
    if isinstance(found, Ok)
}


def place(label: str) -> tuple[int, str]:
    """What is made comes first, what may be deleted last."""
    return ("Mutation.create" in label, "Query" in label, "Mutation" in label).index(True), label


LABELS: list[str] = sorted(OPERATIONS, key=place)


class Known(Visitor):
    """Says what there is, in three places of four, where something was made up: nothing else gets past the first look at it."""

    def __init__(self, types: TypeInfo, values: dict[str, list[str]], random: Random) -> None:
        super().__init__()
        self._types, self._values, self._random = types, values, random

    def enter_string_value(self, *_: Any) -> StringValueNode | None:
        """Texts, and ids among them."""
        known = self._known()
        return StringValueNode(value=known) if known else None

    def enter_int_value(self, *_: Any) -> IntValueNode | StringValueNode | None:
        """Numbers, and ids among them."""
        known = self._known()
        return None if known is None else IntValueNode(value=known) if known.isdigit() else StringValueNode(value=known)

    def _known(self) -> str | None:
        kind = self._types.get_input_type()
        values = self._values.get(get_named_type(kind).name) if kind else None
        return self._random.choice(values) if values and self._random.random() < 0.75 else None


# Where it is asked


@dataclass(frozen=True, slots=True)
class Site:
    """A server with something of everything."""

    there: Apart
    http: requests.Session

    def introduce(self) -> None:
        """Have a new token: what is made up may have revoked the last."""
        self.http.headers["Authorization"] = f"Bearer {self.there.wait(_token(self.there.server))}"

    def ask(self, document: str) -> requests.Response:
        """What is answered."""
        return self.http.post(f"{self.there.url}/graphql", json={"query": document})

    def values(self, label: str) -> dict[str, list[str]]:
        """By type, what there is now; of ids those that the field is about, if its name says so."""
        data = self.ask(f"{{ {' '.join(listed())} }}").json()["data"]
        found = [node for page in data.values() for node in page["nodes"]]
        ids = [node["id"] for node in found if node["__typename"].lower() in label.lower()] or [node["id"] for node in found]
        return VALUES | {"ID": ids, "UUID": [node["uuid"] for node in found if "uuid" in node]}


def listed() -> Iterator[str]:
    """A selection for everything that is listed and has an id."""
    assert SCHEMA.query_type
    for name, field in SCHEMA.query_type.fields.items():
        kind = get_named_type(field.type)
        if isinstance(kind, GraphQLObjectType) and "nodes" in kind.fields:
            fields = get_named_type(kind.fields["nodes"].type).fields
            yield f"{name}(first: 3) {{ nodes {{ __typename {' '.join(fields.keys() & {'id', 'uuid'})} }} }}"


@pytest.fixture(scope="module")
async def database(cluster: str, template: str) -> AsyncIterator[str]:
    """A database of this module's own."""
    async with a_database(cluster, template) as url:
        yield url


@pytest.fixture(scope="module")
def site(database: str) -> Iterator[Site]:
    """A server and what is there before anything is asked."""
    with apart(Settings(port=0, webhook_secret=SECRET, encryption_keys=KEYS), database) as there, requests.Session() as http:
        there.wait(_prepare(there.server))
        yield Site(there, http)


async def _prepare(server: Running) -> None:
    async with Api.of(server, SECRET) as api:
        await Story.begun(api)
        await api.policy(imagePattern="redis*", updateStrategy="MANUAL")
        await api.graphql('mutation { createWebhookEndpoint(input: { name: "ours", sender: GENERIC }) { __typename } }')


async def _token(server: Running) -> str:
    async with Api.of(server, SECRET) as api:
        return api.token


# What is answered


@pytest.mark.parametrize("label", LABELS)
def test_nothing_that_is_asked_is_a_bug_of_ours_or_tells_of_the_inside(site: Site, label: str) -> None:
    site.introduce()
    values = site.values(label)

    @some
    @given(OPERATIONS[label].as_strategy(), st.randoms(use_true_random=False))
    def is_answered(case: Case[Any], random: Random) -> None:
        types = TypeInfo(SCHEMA)
        document = print_ast(visit(parse(str(case.body)), TypeInfoVisitor(types, Known(types, values, random))))
        assert_in_order(site.ask(document), document)

    is_answered()


def assert_in_order(response: requests.Response, document: str) -> None:
    """An answer of a server that knows what it does."""
    assert response.status_code < 500, document
    assert not [word for word in INSIDE if word in response.text.lower()], (document, response.text)
    for error in response.json().get("errors", []):
        assert error["extensions"]["code"] != "INTERNAL", (document, error)
