"""The schema itself: described to the last value, and the same everywhere."""

from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_introspection_type,
    is_required_input_field,
)
from pydantic.alias_generators import to_camel

from domain.audit import Action
from schema.build import schema

TYPES = {name: kind for name, kind in schema._schema.type_map.items() if not is_introspection_type(kind)}
MUTATIONS = schema._schema.mutation_type.fields if schema._schema.mutation_type else {}
# Nothing is made or overwritten by them: they say device by device what came of it, or take in again what was posted.
UNVERSIONED = {"labelDevices", "pinDevices", "holdDevices", "releaseDevices", "replayDelivery"}


def described(name: str, kind: GraphQLNamedType) -> Iterator[tuple[str, str | None]]:
    """A type and all that is in it, with what is said of each."""
    yield name, kind.description
    if isinstance(kind, GraphQLEnumType):
        yield from ((f"{name}.{value}", known.description) for value, known in kind.values.items())
    if isinstance(kind, GraphQLInputObjectType):
        yield from ((f"{name}.{field}", known.description) for field, known in kind.fields.items())
    if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
        for field, known in kind.fields.items():
            yield f"{name}.{field}", known.description
            yield from ((f"{name}.{field}({argument}:)", given.description) for argument, given in known.args.items())


def test_everything_is_described_in_a_sentence() -> None:
    undescribed = [where for name, kind in TYPES.items() for where, said in described(name, kind) if not said or said[-1] not in ".…"]

    assert undescribed == []


@pytest.mark.parametrize("name", sorted(MUTATIONS))
def test_every_mutation_takes_one_input_and_answers_its_payload_or_one_of_three_errors(name: str) -> None:
    mutation, kind = MUTATIONS[name], name[0].upper() + name[1:]
    answer = get_named_type(mutation.type)

    assert {argument: str(given.type) for argument, given in mutation.args.items()} == {"input": f"{kind}Input!"}
    assert str(mutation.type) == f"{kind}Result!"
    assert isinstance(answer, GraphQLUnionType)
    assert {member.name for member in answer.types} == {f"{kind}Payload", "InvalidInputError", "NotFoundError", "ConflictError"}


@pytest.mark.parametrize("name", sorted(MUTATIONS.keys() - UNVERSIONED))
def test_what_creates_takes_an_idempotency_key_and_what_changes_the_version_it_expects(name: str) -> None:
    takes = TYPES[f"{name[0].upper()}{name[1:]}Input"]
    assert isinstance(takes, GraphQLInputObjectType)
    field = takes.fields["idempotencyKey" if name.startswith("create") else "expectedVersion"]

    assert not is_required_input_field(field)


def test_all_errors_are_errors_and_so_can_be_asked_alike() -> None:
    error = TYPES["Error"]
    assert isinstance(error, GraphQLInterfaceType)

    known = {kind.name for kind in schema._schema.get_possible_types(error)}

    assert known == {"InvalidInputError", "NotFoundError", "ConflictError", "CursorExpiredError"}
    assert {name: str(field.type) for name, field in error.fields.items()} == {"code": "ErrorCode!", "message": "String!"}


def test_every_list_in_pages_is_a_connection_of_relay() -> None:
    for name, kind in TYPES.items():
        if isinstance(kind, GraphQLObjectType) and name.endswith("Connection"):
            item = name.removesuffix("Connection")
            assert {field: str(known.type) for field, known in kind.fields.items()} == {
                "edges": f"[{item}Edge!]!", "nodes": f"[{item}!]!", "pageInfo": "PageInfo!", "totalCount": "Int!",
            }, name  # fmt: skip
    for name, kind in TYPES.items():
        for field, known in kind.fields.items() if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) else ():
            if str(known.type).endswith("Connection!"):
                assert (str(known.args["first"].type), known.args["first"].default_value) == ("Int", 50), (name, field)
                assert (str(known.args["after"].type), known.args["after"].default_value) == ("String", None), (name, field)


def test_what_is_on_record_is_named_as_the_mutation_that_did_it() -> None:
    assert {to_camel(action) for action in Action} <= MUTATIONS.keys()
