"""The house itself: its rooms, its snapshots, its promises in the README."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from graphql import parse, validate

import schema
from schema.build import RULES
from schema.build import schema as graphql
from tools.snapshots import GRAPHQL, OPENAPI, ROOT, SQL, database_schema, graphql_schema, rest_routes


def test_no_room_imports_what_it_must_not() -> None:
    # In a process of its own: it configures logging, and silences every logger there is.
    linted = subprocess.run([Path(sys.executable).with_name("lint-imports"), "--no-cache"], cwd=ROOT, env={"PYTHONPATH": ".:client"})
    assert linted.returncode == 0


def test_the_room_named_schema_is_ours_and_not_the_package_of_that_name() -> None:
    assert schema.__file__ is not None
    assert Path(schema.__file__).is_relative_to(ROOT)


def test_the_graphql_schema_is_the_one_in_the_snapshot() -> None:
    assert graphql_schema() == GRAPHQL.read_text(), "run `make snapshots` and read the diff"


def test_the_rest_routes_are_described_as_in_the_snapshot() -> None:
    assert rest_routes() == OPENAPI.read_text(), "run `make snapshots` and read the diff"


def test_the_database_is_laid_out_as_in_the_snapshot() -> None:
    assert database_schema() == SQL.read_text(), "run `make snapshots` and read the diff"


def test_every_make_command_in_the_readme_exists() -> None:
    named = set(re.findall(r"`make (\w+)", (ROOT / "README.md").read_text()))
    exist = set(re.findall(r"^(\w+):.*##", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert named
    assert named <= exist


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_what_the_docs_ask_over_graphql_can_be_asked(page: Path) -> None:
    blocks = re.findall(r"^```(?:graphql)?\n(.*?)^```", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for block in blocks:
        if block.startswith(("mutation", "subscription", "query", "{ ")):
            assert validate(graphql._schema, parse(block), RULES) == [], block


def test_what_the_readme_asks_over_graphql_can_be_asked() -> None:
    asked = re.findall(r"\bgraphql '(.*?)'", (ROOT / "README.md").read_text(), flags=re.DOTALL)
    assert asked
    for document in asked:
        assert validate(graphql._schema, parse(document), RULES) == [], document


def test_no_lock_file_names_a_registry() -> None:
    for lock in ROOT.glob("*.lock"):
        assert not re.search(r"://|index-url|find-links", lock.read_text()), lock.name
