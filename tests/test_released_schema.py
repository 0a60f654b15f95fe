"""What a client of the last release asks is answered by this one: the schema grows, and nothing is taken from it."""

from pathlib import Path

from graphql import build_schema, find_breaking_changes

import schema
from schema.build import printed

RELEASED = (Path(schema.__file__).parent / "released.graphql").read_text()


def broken(before: str, after: str) -> list[str]:
    """What a client of the one cannot ask of the other any more."""
    return [change.description for change in find_breaking_changes(build_schema(before), build_schema(after))]


def test_nothing_of_the_last_release_is_broken() -> None:
    assert broken(RELEASED, printed()) == []


def test_what_would_break_clients_is_found() -> None:
    before = "type Query { a(first: Int): Int b: String! } enum E { X Y } input I { a: Int }"

    assert broken(before, "type Query { a(first: Int): Int b: String! c: Int } enum E { X Y } input I { a: Int b: Int }") == []
    assert broken(before, "type Query { a(first: Int!): Int } enum E { X } input I { a: Int b: Int! }") == [
        "Field Query.b was removed.",
        "Argument Query.a(first:) has changed type from Int to Int!.",
        "Enum value E.Y was removed.",
        "A required field I.b was added.",
    ]
