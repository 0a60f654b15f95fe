"""A list of a hundred, with everything that is nested in it, issues as many statements as a list of one."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_composite_type,
    is_required_argument,
)

from domain.actors import Actor
from domain.catalogue import Standing
from domain.endpoints import Scheme, Sender
from domain.images import Image
from domain.provisioning import Wanted
from domain.tokens import Wanted as WantedToken
from monitor.intake import take_in
from monitor.reconciler import reconcile
from registries.webhooks import Received
from resolvers import catalogue, deliveries, endpoints, provisioning, registries, tokens
from resolvers.context import Context
from schema.build import schema
from schema.session import Session
from storage import polling
from tests.clock import MovableClock
from tests.factories import a_policy
from tests.fuses import Fuse, an_instance
from tools.crowd import crowd

MANY = 100
ROOT = schema._schema.query_type
assert ROOT is not None
# What is done to is of many kinds, and each kind is read by a statement of its own.
ALIKE = {"audit": ", filter: {action: CREATE_POLICY}"}


def nested_in(kind: Any) -> dict[str, GraphQLField]:
    """The fields of a type that lead on, and can be asked for without more."""
    fields = {} if isinstance(kind, GraphQLUnionType) else kind.fields
    return {
        name: field
        for name, field in fields.items()
        if is_composite_type(get_named_type(field.type)) and not any(is_required_argument(given) for given in field.args.values())
    }


def plain_in(kind: Any) -> list[str]:
    """The others."""
    fields = {} if isinstance(kind, GraphQLUnionType) else kind.fields
    return ["__typename", *(name for name, field in fields.items() if not is_composite_type(get_named_type(field.type)))]


def is_in_pages(field: GraphQLField) -> bool:
    return get_named_type(field.type).name.endswith("Connection")


def item_of(field: GraphQLField) -> Any:
    """The type of what a field leads to; of a list in pages, of what is on them."""
    kind = get_named_type(field.type)
    return get_named_type(kind.fields["nodes"].type) if is_in_pages(field) and isinstance(kind, GraphQLObjectType) else kind


def selected(name: str, field: GraphQLField, further: str = "") -> str:
    """A field with all that is plain in it, and what is nested further; of a list in pages, the first."""
    kind = item_of(field)
    assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType | GraphQLUnionType)
    inside = " ".join([*plain_in(kind), further])
    return f"{name}(first: 1) {{ totalCount nodes {{ {inside} }} }}" if is_in_pages(field) else f"{name} {{ {inside} }}"


def portions(kind: Any) -> Iterator[tuple[str, str]]:
    """What is nested in a type; each list in pages apart, for to count a hundred of them costs 10,000 of 25,000 points."""
    nested = nested_in(kind)
    yield "", " ".join(selected(name, field) for name, field in nested.items() if not is_in_pages(field))
    for name, field in nested.items():
        if is_in_pages(field):
            yield f".{name}", selected(name, field)


def documents() -> Iterator[tuple[str, str]]:
    """Of each list, each thing that is nested in it, with what is nested in that."""
    assert ROOT is not None
    for name in (name for name, field in ROOT.fields.items() if is_in_pages(field)):
        for nested, field in nested_in(item_of(ROOT.fields[name])).items():
            for portion, further in portions(item_of(field)):
                alike, inside = ALIKE.get(name, ""), selected(nested, field, further)
                document = f"query ($first: Int!) {{ {name}(first: $first{alike}) {{ nodes {{ id {inside} }} }} }}"
                yield f"{name}.{nested}{portion}", document


@pytest.fixture
async def reader(database_url: str, clock: MovableClock, operator: Context) -> AsyncIterator[Context]:
    """An administrator, whose statements are counted, and a hundred of everything."""
    administrator = replace(operator, actor=Actor.administrator("root"))
    for number in range(MANY):
        await _one_of_each(administrator, number)
    async with operator.db.transaction() as conn:
        await polling.begin(conn, [f"docker.io/library/app-{number:03}" for number in range(MANY)], await operator.db.now(conn))
    clock.advance(seconds=1)
    await reconcile(operator.db)
    async with an_instance(database_url, clock, size=4) as db:
        yield replace(administrator, db=db)


async def _one_of_each(ctx: Context, number: int) -> None:
    name, host = f"app-{number:03}", f"registry-{number:03}.example"
    await crowd(ctx.db, 1, f"{name}:1.0.0", fleet=name)
    await a_policy(ctx, image_pattern=f"{name}*", fleet=name)
    endpoint, _ = await endpoints.create(ctx, endpoints.Wanted(name, Sender.GENERIC, Scheme.PATH))
    received = Received(Sender.GENERIC, (Image.parse(f"{name}:2.0.0"),), name)
    await deliveries.receive(ctx, received, endpoint, {}, b"{}")
    await take_in(ctx)
    await provisioning.create(ctx, Wanted(name, name))
    await tokens.create(ctx, WantedToken(name))
    await catalogue.judge(ctx, f"{name}:2.0.0", Standing.APPROVED, None)
    await registries.save(ctx, host, None, None, plain_http=False)


async def statements(ctx: Context, document: str, first: int) -> int:
    """How many it takes."""
    before = Fuse.statements
    answer = await schema.execute(document, variable_values={"first": first}, context_value=Session(ctx))
    assert answer.errors is None, (document, answer.errors)
    [found] = (answer.data or {}).values()
    assert len(found["nodes"]) == first
    return Fuse.statements - before


async def test_a_list_of_a_hundred_issues_as_many_statements_as_a_list_of_one(reader: Context) -> None:
    counted = {what: (await statements(reader, document, 1), await statements(reader, document, MANY)) for what, document in documents()}

    assert {what: counts for what, counts in counted.items() if counts[0] != counts[1]} == {}
    assert {name.partition(".")[0] for name in counted} >= {"policies", "rollouts", "devices", "fleets", "deliveries", "pushes", "audit"}
