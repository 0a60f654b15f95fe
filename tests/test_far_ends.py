"""What may be written, and is further out than anything that could be meant: refused in a sentence, and taken no further."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from graphql import GraphQLError

from resolvers.context import Context
from schema.arguments import each_once
from schema.build import schema
from schema.enums import Status
from schema.rollouts import RolloutFilterInput
from schema.scalars import SCALARS
from schema.session import Session
from tests.api import Api, nth
from tests.clock import MovableClock
from tests.factories import a_rollout
from tests.fuses import Fuse, an_instance

ENDLESS = "1" * 5000
SEARCH = "query ($since: DateTime) { rollouts(filter: {createdSince: $since}) { totalCount } }"


@pytest.mark.parametrize(
    "document",
    [
        "{ devices(first: …) { totalCount } }",
        "{ devices(first: -…) { totalCount } }",
        "query ($first: Int = …) { devices(first: $first) { totalCount } }",
        "{ nonsense(first: …) }",
        "{ devices(first: [{a: …}]) { totalCount } }",
        "{ node(id: …) { id } }",
        "fragment All on Query { devices(first: …) { totalCount } } { ...All }",
        f'mutation {{ setDeviceTarget(input: {{ uuid: "{nth(1)}", apps: {{ a: [{{ b: … }}] }} }}) {{ __typename }} }}',
    ],
)
async def test_a_number_of_endless_digits_is_refused_wherever_it_stands(api: Api, document: str) -> None:
    errors = (await api.ask(document.replace("…", ENDLESS)))["errors"]

    assert {error["extensions"]["code"] for error in errors} == {"BAD_USER_INPUT"}
    assert errors[-1]["message"] == "a number has at most 20 digits, this one has 5,000"


async def test_a_number_of_64_bits_is_none_of_those(api: Api) -> None:
    _, sentence = await api.refused(f"{{ devices(first: {2**64 - 1}) {{ totalCount }} }}")

    assert "32-bit" in sentence


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
async def test_a_moment_at_the_end_of_the_calendar_is_refused(api: Api, moment: str) -> None:
    code, sentence = await api.refused(SEARCH, since=moment)

    assert code == "BAD_USER_INPUT"
    assert sentence.endswith("a moment lies in the years 2 to 9998")


@pytest.mark.parametrize("moment", ["0002-01-01T00:00:00+14:00", "9998-12-31T23:59:59-12:00"])
async def test_a_moment_that_is_as_far_out_as_may_be_is_looked_for(api: Api, moment: str) -> None:
    assert (await api.graphql(SEARCH, since=moment))["rollouts"] == {"totalCount": 0}


def test_what_is_no_moment_is_still_told_as_it_was() -> None:
    assert SCALARS[datetime].parse_value("2030-01-31T06:00:00Z") == datetime(2030, 1, 31, 6, tzinfo=UTC)
    with pytest.raises(GraphQLError, match="Value cannot represent a DateTime"):
        SCALARS[datetime].parse_value("noon")


def test_a_state_that_is_asked_for_many_times_is_looked_for_once() -> None:
    many: list[Any] = [Status.COMPLETED, Status.PAUSED] * 90_000

    assert each_once(Status, many) == (Status.COMPLETED, Status.PAUSED)
    assert each_once(Status, None) is None
    assert RolloutFilterInput(status=many).wanted().statuses == (Status.COMPLETED, Status.PAUSED)


@pytest.mark.parametrize(("top", "nested"), [("rollouts", "devices"), ("policies", "rollouts")])
async def test_a_list_that_says_a_state_twice_is_read_with_the_one_that_says_it_once(
    operator: Context, database_url: str, clock: MovableClock, top: str, nested: str
) -> None:
    await a_rollout(operator)
    async with an_instance(database_url, clock) as db:
        reader, counts = replace(operator, db=db), []
        for again in ("PENDING", "PENDING, PENDING"):
            lists = f"{nested}(status: [PENDING]) {{ nodes {{ id }} }} again: {nested}(status: [{again}]) {{ nodes {{ id }} }}"
            before = Fuse.statements
            answer = await schema.execute(f"{{ {top} {{ nodes {{ {lists} }} }} }}", context_value=Session(reader))
            assert answer.errors is None, answer.errors
            counts.append(Fuse.statements - before)

    assert counts[0] == counts[1]


@pytest.mark.parametrize("name", ["", "f" * 256])
async def test_a_fleet_that_could_not_be_asked_for_again_is_not_named(api: Api, name: str) -> None:
    code, sentence = await api.refused("query ($name: String) { fleet(name: $name) { id } }", name=name)

    assert (code, sentence) == ("BAD_USER_INPUT", "name: 1 to 255 characters, or null for the devices without a fleet")


@pytest.mark.parametrize("name", ["f", "f" * 255, "ü" * 255, None])
async def test_every_other_fleet_is_asked_for_again_by_its_id(api: Api, name: str | None) -> None:
    named = (await api.graphql("query ($name: String) { fleet(name: $name) { id name } }", name=name))["fleet"]

    assert (await api.graphql("query ($id: ID!) { node(id: $id) { id ... on Fleet { name } } }", id=named["id"]))["node"] == named
