"""Documents are parsed and validated once, by each set of rules, and never at the price of an error."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import strawberry
from graphql import DocumentNode, FieldNode, GraphQLError, ValidationRule, parse, specified_rules
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionContext

from schema.documents import Documents, Known, Rules, cached_documents

BROKEN = "subscription { counted"


class Seen(SchemaExtension):
    """Notes which documents were executed."""

    documents: list[DocumentNode] = []  # noqa: RUF012 – of all operations

    def on_execute(self) -> Iterator[None]:
        assert self.execution_context.graphql_document is not None
        self.documents.append(self.execution_context.graphql_document)
        yield


class Counted(ValidationRule):
    """Counts how often it was asked."""

    times = 0

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        type(self).times += 1


class NoHello(ValidationRule):
    """Refuses one field."""

    def enter_field(self, node: FieldNode, *_: Any) -> None:
        if node.name.value == "hello":
            self.report_error(GraphQLError("nobody says hello here", node))


EVERYBODY: Rules = (*specified_rules, Counted)
STRANGERS: Rules = (*specified_rules, Counted, NoHello)


@strawberry.type
class Query:
    hello: str = "hello"
    number: int = 7


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def counted(self, to: int) -> AsyncIterator[int]:
        for number in range(to):
            yield number


def _rules(context: ExecutionContext) -> Rules:
    return STRANGERS if context.context == "stranger" else EVERYBODY


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    Seen.documents.clear()
    Counted.times = 0


def _schema(documents: Documents, *others: type[SchemaExtension]) -> strawberry.Schema:
    return strawberry.Schema(Query, subscription=Subscription, extensions=[*others, cached_documents(_rules, documents), Seen])


async def _asked(schema: strawberry.Schema, query: str, who: str = "friend") -> list[str]:
    result = await schema.execute(query, context_value=who, root_value=Query())
    return [error.message for error in result.errors or []]


async def test_a_document_is_parsed_and_validated_once() -> None:
    schema = _schema(Documents())

    for _ in range(3):
        assert await _asked(schema, "{ hello }") == []

    assert Counted.times == 1
    assert len({id(document) for document in Seen.documents}) == 1


async def test_what_passed_some_rules_has_not_passed_others() -> None:
    documents = Documents()
    schema = _schema(documents)

    answers = [await _asked(schema, "{ hello }", who) for who in ("friend", "stranger", "friend", "stranger")]

    assert answers == [[], ["nobody says hello here"]] * 2
    known = documents.get("{ hello }")
    assert known is not None
    assert known.passed == {(schema._schema, EVERYBODY)}


async def test_both_kinds_of_callers_are_measured_once() -> None:
    schema = _schema(Documents())

    for who in ("friend", "stranger") * 3:
        assert await _asked(schema, "{ number }", who) == []

    assert Counted.times == 2


async def test_what_passed_in_one_schema_has_not_passed_in_another() -> None:
    @strawberry.type
    class Other:
        number: int = 7

    documents = Documents()

    assert await _asked(_schema(documents), "{ hello }") == []

    other = strawberry.Schema(Other, extensions=[cached_documents(_rules, documents)])
    assert await _asked(other, "{ hello }") == ["Cannot query field 'hello' on type 'Other'."]


async def test_what_fails_is_said_each_time_and_not_kept() -> None:
    documents = Documents()
    schema = _schema(documents)

    for _ in range(2):
        assert await _asked(schema, "{ nothing }") == ["Cannot query field 'nothing' on type 'Query'."]
        [error] = await _asked(schema, "{ nothing")
        assert error.startswith("Syntax Error")

    assert len(documents) == 0


@pytest.mark.parametrize("transport", ["subscribe", "stream"])
async def test_a_syntax_error_is_told_to_who_subscribes(transport: str) -> None:
    schema = _schema(Documents())

    for _ in range(2):
        results = [result async for result in await getattr(schema, transport)(BROKEN, context_value="friend")]

        [errors] = [result.errors for result in results]
        assert [error.message for error in errors] == ["Syntax Error: Expected Name, found <EOF>."]


async def test_a_subscription_is_validated_once() -> None:
    schema = _schema(Documents())

    for _ in range(2):
        results = [result async for result in await schema.subscribe("subscription { counted(to: 2) }", context_value="friend")]
        assert [getattr(result, "data", None) for result in results] == [{"counted": 0}, {"counted": 1}]

    assert Counted.times == 1


async def test_a_document_that_another_extension_gave_is_left_alone() -> None:
    class Trusted(SchemaExtension):
        def on_operation(self) -> Iterator[None]:
            self.execution_context.graphql_document = trusted
            yield

    trusted, documents = parse("{ number }"), Documents()
    schema = _schema(documents, Trusted)
    documents.keep("{ hello }", Known(parse("{ hello }")))

    for query in ("{ hello }", None):
        result = await schema.execute(query, context_value="stranger", root_value=Query())
        assert result.data == {"number": 7}


def test_so_many_documents_are_kept_and_those_that_were_asked_for_last() -> None:
    documents = Documents(number=2)

    for text in ("{ a }", "{ b }"):
        documents.keep(text, Known(parse(text)))
    documents.get("{ a }")
    documents.keep("{ c }", Known(parse("{ c }")))

    assert [documents.get(text) is not None for text in ("{ a }", "{ b }", "{ c }")] == [True, False, True]


def test_so_many_characters_are_kept() -> None:
    documents = Documents(characters=100)

    for letter in "abcdefghijklmnopqrstuvwxyz":
        documents.keep(f"{{ {letter * 5} }}", Known(parse("{ a }")))

    assert len(documents) == 100 // 9


def test_a_document_that_takes_a_tenth_of_the_room_is_not_kept() -> None:
    documents = Documents(characters=100)

    documents.keep("{ abcdefghij }", Known(parse("{ a }")))

    assert len(documents) == 0
