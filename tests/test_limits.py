"""What one document may ask for: whatever a client sends is looked at quickly, and what makes sense is let through."""

import gc
import time
import weakref
from collections.abc import Callable, Mapping
from timeit import repeat
from typing import Any, NamedTuple

import pytest
import strawberry
from graphql import (
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    build_schema,
    get_introspection_query,
    get_named_type,
    is_leaf_type,
    parse,
    specified_rules,
    validate,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.build import schema
from schema.costs import SHORT, cost, costs
from schema.limits import NotTooComplex, counted, counted_fragments
from tests.api import nth

RULES = (*specified_rules, NotTooComplex)
TOKENS = 2_000
MANY = 10_000
SOON = 50  # milliseconds
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


def milliseconds(look: Callable[[], object]) -> float:
    """How much of the processor it takes, at best: others use it too."""
    return min(repeat(look, timer=time.process_time, number=1, repeat=3)) * 1000


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
    "the same field again": (
        "{policy(id: 1) {" + "rollouts{nodes{id}} " * 100 + "}}",
        "99 fields again under the same name; 50 are the most",
    ),
    "the same field in disguise": ("{policy(id: 1) {" + "...{rollouts{nodes{id}}} " * 100 + "}}", "99 fields again under the same name"),
    "aliases": ("{policy(id: 1) {" + numbered("a#: id", 100) + "}}", "100 aliases; 50 are the most"),
    "aliases at the top": ("{" + numbered("a#: __typename", MANY) + "}", "10,000 fields at the top"),
    "directives": ("{__typename " + "@skip(if: false) " * MANY + "}", "10,000 directives; 50 are the most"),
    "directives nobody knows": ("{__typename " + "@a" * MANY + "}", "10,000 directives"),
    "directives of variables": ("query(" + numbered("$v#: Int @a @a", 100) + ") {__typename}", "200 directives"),
    "depth": ("{policy(id: 1) {" + nested(60, "rollouts{nodes{policy{", "id") + "}}", "182 levels of fields; 15 are the most"),
    "depth in fragments": (
        "{policy(id: 1) {...F0}} " + chain(200, "Policy{rollouts{nodes{policy{…}}}}", "Policy{id}"),
        "602 levels of fields",
    ),
    "fragments": (
        "{policy(id: 1) {" + numbered("...F#", 150) + "}}" + numbered("fragment F# on Policy{rollouts{nodes{id}}}", 150),
        "150 fragments; 60 are the most",
    ),
    "introspection in circles": ("{__schema{types{" + nested(20, "fields{type{", "name") + "}}}", "43 levels of introspection; 20 are"),
    "introspection again": ("{__schema{" + numbered("a#: types{fields{type{fields{name}}}}", 40) + "}}", "points; 25,000 are the most"),
    "pages of which nothing is asked": (
        "{fleets(first: 100) {nodes{" + numbered("a#: rollouts(first: 100) {__typename}", 20) + "}}}",
        "202,101 points; 25,000 are the most",
    ),
    "the rows of pages again": (
        "{fleets(first: 100) {nodes{rollouts(first: 100) {" + numbered("a#: nodes{__typename}", 20) + "}}}}",
        "210,201 points; 25,000 are the most",
    ),
    "pages of pages": (
        "query Q {policies(first: 100) {nodes{rollouts(first: 100) {nodes{devices(first: 100) {nodes{status}}}}}}}",
        "query “Q” asks for 1,020,201 points; 25,000 are the most",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_who_asks_for_too_much_is_told_at_once_of_what_and_where(attack: str) -> None:
    text, sentence = ATTACKS[attack]
    document = parse(text)

    (error,) = validate(schema._schema, document, RULES)

    assert milliseconds(lambda: validate(schema._schema, document, RULES)) < SOON
    assert sentence in error.message
    assert error.extensions == {"code": "TOO_COMPLEX"}
    assert error.locations


@pytest.mark.parametrize(
    "text",
    [
        "{" + nested(190, "...{", "__typename") + "}",
        "{...F0} " + chain(50, "Query{…}", "Query{__typename}"),
        "{devices(filter: {search: " + "[" * 150 + "]" * 150 + "}) {nodes{uuid}}}",
        "{rollouts(filter: {status: [" + "PAUSED " * MANY + "]}) {nodes{id}}}",
        "{rollouts(first: " + "9" * MANY + ") {nodes{id}}}",
        "query($n: Int! = " + "9" * MANY + ") {rollouts(first: $n) {nodes{id}}}",
        "query(" + numbered("$v#: Int", 200) + ") {rollouts(" + numbered("first: $v#", 200) + ") {nodes{id}}}",
    ],
    ids=["inline fragments", "fragments", "nested values", "a long list", "a long number", "a long default", "variables"],
)
def test_what_is_deep_or_long_but_asks_for_little_is_left_to_the_other_rules(text: str) -> None:
    document = parse(text)

    assert validate(schema._schema, document, [NotTooComplex]) == []
    assert milliseconds(lambda: validate(schema._schema, document, [NotTooComplex])) < SOON


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


@pytest.mark.parametrize("text", [GRAPHIQL, "{__schema{types{fields{type{name fields{name}}}}}}", '{__type(name: "Policy"){fields{name}}}'])
def test_the_schema_can_be_asked_about(text: str) -> None:
    assert look(text) == []


@pytest.mark.parametrize(
    "root", ["policy(number: 1)", "rollout(number: 1)", f'device(uuid: "{nth(1)}")', "policies{edges{node", "rollouts(first: 40){nodes"]
)
def test_everything_that_is_known_of_something_can_be_asked_at_once(root: str) -> None:
    kind = {"p": "Policy", "r": "Rollout", "d": "Device"}[root[0]]
    text = f"{{{root}{{{everything(schema._schema.type_map[kind])}}}{'}' * root.count('{')}}}"

    assert look(text) == []
    parse(text, max_tokens=TOKENS)


# What is something of its own, and asked for by itself.
OTHERS = {
    "Node", "Delivery", "Device", "Fleet", "KnownImage", "Policy", "ProvisioningKey", "Push", "Repository", "Rollout", "Token",
    "WebhookEndpoint",
}  # fmt: skip


def everything(type_: Any, depth: int = 4) -> str:
    """Each field of a type that needs no argument, and each of theirs."""
    return " ".join(filter(None, (one(name, field, depth) for name, field in type_.fields.items())))


def one(name: str, field: Any, depth: int) -> str:
    below = get_named_type(field.type)
    if is_leaf_type(below):
        return name
    if below.name in OTHERS:
        return f"{name}{{id}}"
    page = "(first: 3)" if "first" in field.args else ""
    return f"{name}{page}{{{everything(below, depth - 1)}}}" if depth > 1 else ""


PREVIEW = '{previewRollout(policy: "p", image: "nginx", sample: 30) {... on RolloutPreview {…}}}'
PAUSE = "pauseRollout(input: {id: 1})"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{__typename}", 0),
        ("{policy(id: 1) {id}}", 1),
        ("{a: policy(id: 1) {id} b: policy(id: 2) {id}}", 2),
        ("{policies(first: 20) {nodes{id}}}", 1 + 20),
        ("{policies{nodes{id}}}", 1 + 50),
        ("{policies(first: 20) {edges{cursor node{id}}}}", 1 + 20),
        ("{policies(first: 20) {__typename}}", 1 + 20),
        ("{policies(first: 20) {nodes{id} edges{cursor} pageInfo{endCursor}}}", 1 + 20 + 1),
        ("{policies(first: 20) {nodes{id} a: nodes{id} edges{node{id} a: node{id}} b: edges{node{id}}}}", 1 + 20 + 3 * 20),
        ("{policies(first: 20) {nodes{rollouts(first: 7) {__typename}}}}", 1 + 20 * (1 + 1 + 7)),
        ("{policies(first: 20) {nodes{stages{checks}}}}", 1 + 20 * (1 + SHORT)),
        ("{policies(first: 20) {nodes{rollouts(first: 3) {nodes{policy{id}}}}}}", 1 + 20 * (1 + 1 + 3 * (1 + 1))),
        ("{policies(first: 20) {...P}} fragment P on PolicyConnection {nodes{...N}} fragment N on Policy {stages{checks}}", 1 + 20 * 6),
        ("{a: policies(first: 9) {...P} policies(first: 2) {... {...P}}} fragment P on PolicyConnection {nodes{id}}", 1 + 9 + 1 + 2),
        ("{policies(first: 20) {... on PolicyConnection {nodes{id}}}}", 1 + 20),
        ("{policies(first: 1000) {nodes{id}}}", 1 + 100),
        ("{policies(first: -1) {nodes{id}}}", 1 + 1),
        ("{policies(first: 20) {totalCount nodes{id}}}", 1 + 100 + 20),
        ("{fleets{nodes{name deviceCount}}}", 1 + 50 * (1 + 10)),
        ('{nodes(ids: ["a", "b", "c"]) {id}}', 3),
        (f"mutation {{{PAUSE} {{... on PauseRolloutPayload {{rollout{{id}}}}}}}}", 10 + 1 + 1),
        (f"mutation {{a: {PAUSE} {{... on Error {{code}}}} b: {PAUSE} {{... on Error {{code}}}}}}", 10 + 1 + 10 + 1),
        (
            "mutation {releaseDevices(input: {devices: {all: true}, first: 500}) {... on ReleaseDevicesPayload {results{uuid}}}}",
            500 * 10 + 1 + 500,
        ),
        (PREVIEW.replace("…", "checksum"), 500 + 1),
        (PREVIEW.replace("…", "leftOut{first{device{inSync}}}"), 500 + 1 + 30 * (1 + SHORT * (1 + 1 + 5))),
        ("{devices(first: 20) {nodes{differences{app} inSync currentState{apps info}}}}", 1 + 20 * (1 + 5 + SHORT + 5 + 1 + 10 + 10)),
        ("subscription {rolloutEvents(id: 1) {cursor}}", 1),
    ],
)
def test_a_thing_costs_a_point_and_a_list_as_many_as_it_may_have(text: str, expected: int) -> None:
    assert points(text) == expected


ON_PAGE = "fragment P on PolicyConnection {nodes{id}}"
PAGED = "query ($n: Int! = 7) {policies(first: $n) {nodes{id}}}"


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        (PAGED, {"n": 3}, 1 + 3),
        (PAGED, {}, 1 + 7),
        (PAGED.replace("!", ""), {"n": None}, 1 + 50),
        (PAGED, {"n": 0}, 1 + 1),
        (PAGED, {"n": 10**18}, 1 + 100),
        (PAGED, {"n": 1e300}, 1 + 100),
        (PAGED, {"n": "nonsense"}, 1 + 100),
        (PAGED, {"n": {"first": 1}}, 1 + 100),
        (PAGED, {"n": 3, "other": "x" * 10**7}, 1 + 3),
        (PAGED.replace(" = 7", ""), {}, 1 + 50),
        ("query ($n: Int, $m: Int) {policies(first: $n) {nodes{rollouts(first: $m) {nodes{id}}}}}", {"n": 3, "m": 4}, 1 + 3 * (1 + 1 + 4)),
        ("query ($n: Int) {a: policies(first: $n) {...P} policies(first: 2) {...P}} " + ON_PAGE, {"n": 5}, 1 + 5 + 1 + 2),
    ],
)
def test_variables_decide_how_long_a_list_is(text: str, variables: dict[str, Any], expected: int) -> None:
    assert points(text, **variables) == expected


def test_looking_at_huge_variables_takes_no_time() -> None:
    document = parse(PAGED)
    variables = {f"v{number}": [number] * 100 for number in range(MANY)} | {"n": list(range(10**6))}

    assert cost(schema._schema, document, None, variables) == 1 + 100
    assert milliseconds(lambda: cost(schema._schema, document, None, variables)) < 1


# A schema of every shape that ours has: a mutation with one argument, things found by their ids, and a field that says that it is heavy.
SMALL = build_schema(
    """
    type Query { thing(id: ID): Thing  things(first: Int = 3): Page!  all: [Thing!]!  nodes(ids: [ID!]!): [Thing]! }
    type Mutation { change(input: ChangeInput!): Page!  changeOne(input: OneInput!): Thing }
    input ChangeInput { first: Int! = 8  name: String }
    input OneInput { name: String }
    type Page { nodes: [Thing!]!  edges: [Edge!]!  size: Int }
    type Edge { cursor: String  node: Thing! }
    type Thing { name: String  kin(first: Int = 2): Page!  parts: [Thing!]!  owner: Thing }
    """
)


@pytest.mark.parametrize(
    ("text", "variables", "expected"),
    [
        ("{nodes(ids: [1, 2, 3]) {name}}", {}, 3),
        ("{nodes(ids: [1, 2, 3]) {parts{name}}}", {}, 3 * (1 + SHORT)),
        ("query ($ids: [ID!]!) {nodes(ids: $ids) {name}}", {"ids": ["a"] * 7}, 7),
        ("query ($ids: [ID!]!) {nodes(ids: $ids) {name}}", {"ids": ["a"] * MANY}, 100),
        ('query ($ids: [ID!]! = ["a", "b"]) {nodes(ids: $ids) {name}}', {}, 2),
        ("mutation {changeOne(input: {}) {name}}", {}, 10 + 1),
        ("mutation {change(input: {}) {nodes{name}}}", {}, 80 + 1 + 8),
        ("mutation {change(input: {first: 4}) {nodes{name}}}", {}, 40 + 1 + 4),
        ("mutation ($n: Int!) {change(input: {first: $n}) {nodes{name}}}", {"n": 4}, 40 + 1 + 4),
        ("mutation ($input: ChangeInput!) {change(input: $input) {nodes{name}}}", {"input": {"first": 4}}, 40 + 1 + 4),
        ("mutation ($input: ChangeInput!) {change(input: $input) {nodes{name}}}", {"input": {"name": "a"}}, 80 + 1 + 8),
        ("mutation ($input: ChangeInput! = {first: 4}) {change(input: $input) {nodes{name}}}", {}, 40 + 1 + 4),
    ],
)
def test_what_decides_may_stand_in_an_input(text: str, variables: dict[str, Any], expected: int) -> None:
    assert cost(SMALL, parse(text), None, variables) == expected


UUIDS = [nth(number) for number in range(1, 8)]
FEW = ", ".join(f'"{uuid}"' for uuid in UUIDS[:3])


@pytest.mark.parametrize(
    ("declared", "said", "variables", "devices"),
    [
        ("", f"{{devices: {{uuids: [{FEW}]}}, first: 1}}", {}, 3),
        ("", f"{{devices: {{uuids: [{FEW}]}}, first: 4}}", {}, 4),
        ("", f"{{devices: {{uuids: [{FEW}]}}}}", {}, 100),
        ("", f"{{devices: {{uuids: {FEW[:38]}}}, first: 1}}", {}, 1),
        ("($n: Int!)", f"{{devices: {{uuids: [{FEW}]}}, first: $n}}", {"n": 1}, 3),
        ("($n: Int!)", f"{{devices: {{uuids: [{FEW}]}}, first: $n}}", {"n": 9}, 9),
        ("($a: UUID!)", "{devices: {uuids: [$a, $a]}, first: 1}", {"a": UUIDS[0]}, 2),
        ("($uuids: [UUID!])", "{devices: {uuids: $uuids}, first: 1}", {"uuids": UUIDS}, 7),
        ("($uuids: [UUID!])", "{devices: {uuids: $uuids}, first: 1}", {}, 1),
        (f"($uuids: [UUID!] = [{FEW}])", "{devices: {uuids: $uuids}, first: 1}", {}, 3),
        ("($devices: DevicesInput!)", "{devices: $devices, first: 1}", {"devices": {"uuids": UUIDS}}, 7),
        ("($devices: DevicesInput!)", "{devices: $devices, first: 1}", {"devices": {"all": True}}, 1),
        (f"($devices: DevicesInput! = {{uuids: [{FEW}]}})", "{devices: $devices, first: 1}", {}, 3),
        ("($input: ReleaseDevicesInput!)", "$input", {"input": {"devices": {"uuids": UUIDS}, "first": 1}}, 7),
        ("($input: ReleaseDevicesInput!)", "$input", {"input": {"devices": {"uuids": UUIDS}, "first": 8}}, 8),
        ("($input: ReleaseDevicesInput!)", "$input", {"input": {"devices": {"uuids": UUIDS * MANY}, "first": 1}}, 500),
        ("($input: ReleaseDevicesInput!)", "$input", {"input": {"devices": "nonsense", "first": 1}}, 1),
        ("($input: ReleaseDevicesInput! = {devices: {all: true}, first: 1})", "$input", {}, 1),
        ("($input: ReleaseDevicesInput! = {devices: {all: true}, first: 1})", "$input", {"input": {"devices": {"all": True}}}, 100),
    ],
)
def test_devices_that_are_named_are_paid_whatever_first_says(declared: str, said: str, variables: dict[str, Any], devices: int) -> None:
    text = f"mutation {declared} {{releaseDevices(input: {said}) {{... on ReleaseDevicesPayload {{results{{uuid}}}}}}}}"

    assert points(text, **variables) == devices * 10 + 1 + devices


@strawberry.type
class Heavy:
    size: int = strawberry.field(default=1, metadata={"cost": 20})


@strawberry.type
class Heavies:
    things: list[Heavy] = strawberry.field(default_factory=list, metadata={"cost": 300})


def test_a_field_says_itself_that_it_is_heavy() -> None:
    heavy = strawberry.Schema(Heavies)._schema

    assert cost(heavy, parse("{things{size}}"), None, None) == 300 + SHORT * (1 + 20)


def test_the_operation_that_is_asked_is_the_one_that_counts() -> None:
    document = parse("query A {policy(id: 1) {id}} query B {policies(first: 9) {nodes{id}}}")

    assert [cost(schema._schema, document, name, {}) for name in (None, "A", "B")] == [1, 1, 10]


def test_what_a_document_costs_is_found_out_once_and_forgotten_with_it() -> None:
    document = parse("{policies{nodes{id}}}")
    known = costs(schema._schema, document)
    assert costs(schema._schema, document) is known
    gone = weakref.ref(known)

    del document, known
    gc.collect()

    assert gone() is None
    assert cost(SMALL, parse("{all{name}}"), None, {}) == SHORT


# Lengths of which none divides another, so that two that are mistaken for each other change the sum.
FIELDS: dict[str, dict[str, str | None]] = {
    "Query": {"thing": "Thing", "things": "Page", "things(first: 7)": "Page", "things(first: $n)": "Page", "all": "Thing"},
    "Page": {"size": None, "nodes": "Thing", "edges": "Edge", "again: nodes": "Thing", "again: edges": "Edge"},
    "Edge": {"cursor": None, "node": "Thing", "again: node": "Thing"},
    "Thing": {"name": None, "kin": "Page", "kin(first: $m)": "Page", "kin(first: 13)": "Page", "parts": "Thing", "owner": "Thing"},
}


@st.composite
def selections(draw: st.DrawFn, type_: str, fragments: list[str], depth: int) -> str:
    """Some fields of a type, inline fragments, and spreads of the fragments, of which `fragments` are the types by their numbers."""
    fitting = [f"...F{number}" for number, on in enumerate(fragments) if on == type_]
    chosen = draw(st.lists(st.sampled_from(["__typename", "...{", *FIELDS[type_], *fitting]), min_size=1, max_size=3))
    return " ".join([draw(selected(one, type_, fragments, depth)) for one in chosen])


@st.composite
def selected(draw: st.DrawFn, what: str, type_: str, fragments: list[str], depth: int) -> str:
    below = type_ if what == "...{" else FIELDS[type_].get(what)
    if below is None:
        return what
    inside = draw(selections(below, fragments, depth - 1)) if depth > 1 else "__typename"
    return f"{what.removesuffix('{')} {{{inside}}}"


@st.composite
def documents(draw: st.DrawFn) -> str:
    """An operation, and fragments that spread those before them."""
    fragments = draw(st.lists(st.sampled_from(list(FIELDS)), max_size=5))
    texts = [
        f"fragment F{number} on {type_} {{{draw(selections(type_, fragments[:number], 2))}}}" for number, type_ in enumerate(fragments)
    ]
    default = draw(st.sampled_from(["", " = 11"]))
    return " ".join([f"query ($n: Int{default}, $m: Int) {{{draw(selections('Query', fragments, 4))}}}", *texts])


class Field(NamedTuple):
    """A field where no fragments are left."""

    node: FieldNode
    below: "list[Field]"


def expanded(selection_set: SelectionSetNode | None, fragments: Mapping[str, FragmentDefinitionNode]) -> list[Field]:
    """The fields of a selection set, each fragment written out wherever it is spread."""
    fields: list[Field] = []
    for selection in selection_set.selections if selection_set else ():
        if isinstance(selection, FieldNode):
            fields.append(Field(selection, expanded(selection.selection_set, fragments)))
        elif isinstance(selection, FragmentSpreadNode):
            fields += expanded(fragments[selection.name.value].selection_set, fragments)
        elif isinstance(selection, InlineFragmentNode):
            fields += expanded(selection.selection_set, fragments)
    return fields


def deep(fields: list[Field]) -> int:
    return max((1 + deep(field.below) for field in fields), default=0)


def many(fields: list[Field]) -> int:
    return sum(1 + many(field.below) for field in fields)


def naive(fields: list[Field], page: int, variables: Mapping[str, int]) -> int:
    """What fields cost, from the top, where lists are as long as the page, which paid for its rows."""
    return sum(naive_one(field, page, variables) for field in fields)


def naive_one(field: Field, page: int, variables: Mapping[str, int]) -> int:
    name = field.node.name.value
    if not field.node.selection_set:
        return 0
    rows = {"things": first(field.node, 3, variables), "kin": first(field.node, 2, variables)}.get(name)
    is_paid = name in ("nodes", "edges", "node") and field.node.alias is None
    times = page if name in ("nodes", "edges", "all", "parts") else 1
    return times * ((not is_paid) + (rows or 0) + naive(field.below, rows or SHORT, variables))


def first(field: FieldNode, default: int, variables: Mapping[str, int]) -> int:
    for argument in field.arguments or ():
        value = argument.value
        return variables.get(value.name.value, default) if isinstance(value, VariableNode) else int(getattr(value, "value", 0))
    return default


@settings(deadline=None)
@given(documents(), st.dictionaries(st.sampled_from(["n", "m"]), st.integers(1, 100)))
def test_a_document_asks_for_what_it_would_with_its_fragments_written_out(text: str, variables: dict[str, int]) -> None:
    document = parse(text)
    operation, *rest = document.definitions
    assert isinstance(operation, OperationDefinitionNode)
    fields = expanded(operation.selection_set, {node.name.value: node for node in rest if isinstance(node, FragmentDefinitionNode)})

    counts = counted(operation, counted_fragments(document))

    assert (counts.depth, counts.fields, counts.root_fields) == (deep(fields), many(fields), len(fields))
    assumed = {"n": 11} if "= 11" in text else {}
    assert cost(SMALL, document, None, variables) == naive(fields, SHORT, assumed | variables)
