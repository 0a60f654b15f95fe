"""What one document may ask for: whatever a client sends is looked at quickly, and what makes sense is let through."""

import re
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSchema,
    SelectionSetNode,
    build_schema,
    get_introspection_query,
    parse,
    specified_rules,
    validate,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.build import schema
from schema.costs import SHORT, Costs, cost
from schema.limits import NotTooComplex, counted, counted_fragments

RULES = (*specified_rules, NotTooComplex)
DOCS = Path(__file__).parent.parent / "docs"
MANY = 10_000
MILLISECONDS = 50
GRAPHIQL = get_introspection_query(
    schema_description=True, specified_by_url=True, directive_is_repeatable=True, input_value_deprecation=True, one_of=True
)


def look(text: str) -> list[GraphQLError]:
    """What is wrong with a document for our schema."""
    return validate(schema._schema, parse(text), RULES)


def points(text: str, **variables: Any) -> int:
    """What an operation costs that is let through."""
    document = parse(text)
    assert validate(schema._schema, document, RULES) == []
    return cost(schema._schema, document, None, variables)


def numbered(template: str, times: int) -> str:
    """The template so many times, with its number for each #."""
    return " ".join(template.replace("#", str(number)) for number in range(times))


def chain(length: int, link: str, last: str) -> str:
    """Fragments of which each spreads the next, wherever the link has a …"""
    links = (f"fragment F{number} on {link.replace('…', f'...F{number + 1}')} " for number in range(length))
    return "".join(links) + f"fragment F{length} on {last}"


def nested(times: int, opening: str, inside: str) -> str:
    """The opening so many times, each within the one before."""
    return opening * times + inside + "}" * opening.count("{") * times


DOUBLING = "{...F0} " + chain(22, "Query{… …}", "Query{__typename}")
ATTACKS = {
    "a chain that doubles": (DOUBLING, "4,194,304 fields at the top; 20 are the most"),
    "a chain that triples": ("{...F0} " + chain(190, "Query{… … …}", "Query{__typename}"), "more than a billion fields at the top"),
    "doubling below the top": ("{policy(id: 1) {...F0}} " + chain(22, "Policy{… …}", "Policy{id}"), "4,194,305 fields; 1,000 are the most"),
    "a fragment nobody spreads": ("{__typename} " + chain(22, "Query{… …}", "Query{id}"), "fragment “F0” asks for 4,194,304 fields at the"),
    "fields at the top": ("{" + "__typename " * MANY + "}", "10,000 fields at the top"),
    "fields": ("{policy(id: 1) {" + "id " * MANY + "}}", "10,001 fields; 1,000 are the most"),
    "the same field again": ("{policy(id: 1) {" + "rollouts{nodes{id}} " * 100 + "}}", "99 fields again under the same name; 50 are the most"),
    "the same field in disguise": ("{policy(id: 1) {" + "...{rollouts{nodes{id}}} " * 100 + "}}", "99 fields again under the same name"),
    "aliases": ("{policy(id: 1) {" + numbered("a#: id", 100) + "}}", "100 aliases; 50 are the most"),
    "aliases at the top": ("{" + numbered("a#: __typename", MANY) + "}", "10,000 fields at the top"),
    "directives": ("{__typename " + "@skip(if: false) " * MANY + "}", "10,000 directives; 50 are the most"),
    "directives nobody knows": ("{__typename " + "@a" * MANY + "}", "10,000 directives"),
    "directives of variables": ("query(" + numbered("$v#: Int @a @a", 100) + ") {__typename}", "200 directives"),
    "depth": ("{policy(id: 1) {" + nested(60, "rollouts{nodes{policy{", "id") + "}}", "182 levels of fields; 15 are the most"),
    "depth in fragments": ("{policy(id: 1) {...F0}} " + chain(200, "Policy{rollouts{nodes{policy{…}}}}", "Policy{id}"), "602 levels of fields"),
    "fragments": (
        "{policy(id: 1) {" + numbered("...F#", 150) + "}}" + numbered("fragment F# on Policy{rollouts{nodes{id}}}", 150),
        "150 fragments; 60 are the most",
    ),
    "introspection in circles": ("{__schema{types{" + nested(20, "fields{type{", "name") + "}}}", "43 levels of introspection; 20 are"),
    "introspection again": ("{__schema{" + numbered("a#: types{fields{type{fields{name}}}}", 40) + "}}", "points; 25,000 are the most"),
    "pages of pages": (
        "query Q {policies(first: 100) {nodes{rollouts(first: 100) {nodes{devices(first: 100) {nodes{status}}}}}}}",
        "query “Q” asks for 1,020,201 points; 25,000 are the most",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_who_asks_for_too_much_is_told_at_once_of_what_and_where(attack: str) -> None:
    text, sentence = ATTACKS[attack]
    document = parse(text)

    began = time.process_time()
    (error,) = validate(schema._schema, document, RULES)

    assert (time.process_time() - began) * 1000 < MILLISECONDS
    assert sentence in error.message
    assert error.extensions == {"code": "TOO_COMPLEX"}
    assert error.locations


@pytest.mark.parametrize(
    "text",
    [
        "{" + nested(190, "...{", "__typename") + "}",
        "{...F0} " + chain(50, "Query{…}", "Query{__typename}"),
        "{devices(filter: {search: " + "[" * 150 + "]" * 150 + "}) {nodes{uuid}}}",
        "{rollouts(status: [" + "RUNNING " * MANY + "]) {nodes{id}}}",
        "{rollouts(first: " + "9" * MANY + ") {nodes{id}}}",
        "query($n: Int! = " + "9" * MANY + ") {rollouts(first: $n) {nodes{id}}}",
        "query(" + numbered("$v#: Int", 200) + ") {rollouts(" + numbered("first: $v#", 200) + ") {nodes{id}}}",
    ],
    ids=["inline fragments", "fragments", "nested values", "a long list", "a long number", "a long default", "variables"],
)
def test_what_is_deep_or_long_but_asks_for_little_is_left_to_the_other_rules(text: str) -> None:
    document = parse(text)

    began = time.process_time()
    errors = validate(schema._schema, document, [NotTooComplex])

    assert (time.process_time() - began) * 1000 < MILLISECONDS
    assert errors == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{...A} fragment A on Query {...B} fragment B on Query {...A}", "Cannot spread fragment 'A' within itself"),
        ("{...A} fragment A on Query {policy(id: 1) {id} ...A}", "Cannot spread fragment 'A' within itself"),
        ("{...Nobody}", "Unknown fragment 'Nobody'"),
        ("{nothing {of {this}} policy(id: 1) {nor {that}}}", "Cannot query field 'nothing'"),
        ("{... on Nobody {id}}", "Unknown type 'Nobody'"),
        ("{...A} fragment A on Nobody {id}", "Unknown type 'Nobody'"),
        ("{...A} fragment A on Int {id}", "Fragment 'A' cannot condition on non composite type 'Int'"),
        ("{policy(id: 1)}", "Field 'policy' of type 'Policy' must have a selection of subfields"),
        ("{policy(id: 1) {id {id}}}", "Field 'id' must not have a selection"),
        ("query A {__typename} query A {__typename}", "There can be only one operation named 'A'"),
        ("{policies(first: {}) {nodes{id}}}", "Int cannot represent non-integer value"),
        ("{policies(first: $n) {nodes{id}}}", "Variable '$n' is not defined"),
        ("type A {a: Int}", "The 'A' definition is not executable"),
    ],
)
def test_what_makes_no_sense_is_left_to_the_other_rules(text: str, sentence: str) -> None:
    errors = look(text)

    assert any(sentence in error.message for error in errors), errors
    assert not any(error.extensions for error in errors)
