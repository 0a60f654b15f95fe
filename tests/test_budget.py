"""What somebody may ask of a process, and what an answer says of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import strawberry
from hypothesis import given
from hypothesis import strategies as st
from strawberry.extensions import AddValidationRules
from strawberry.types.execution import PreExecutionError

from domain.actors import Actor
from domain.errors import Limited
from resolvers import budget
from resolvers.budget import Budget, Remaining
from schema.budget import INVALID, Budgeted, reading
from schema.limits import NotTooComplex


class Clock:
    """A clock that stands still unless it is moved."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_document_that_is_longer_than_most_costs_what_it_takes_to_read_it() -> None:
    assert [reading("x" * length) for length in (0, 2_000, 2_025, 100_000)] == [0, 0, 1, 3_920]


def test_what_is_taken_comes_back_within_a_minute_at_an_even_pace() -> None:
    clock = Clock()
    points = Budget(600, clock)

    assert points.charge("ann", 100) == Remaining(limit=600, remaining=500, reset_seconds=10)
    clock.now += 4
    assert points.charge("ann", 0) == Remaining(limit=600, remaining=540, reset_seconds=6)
    clock.now += 3600
    assert points.charge("ann", 1) == Remaining(limit=600, remaining=599, reset_seconds=1)


def test_who_has_too_little_left_is_told_when_it_is_enough_and_loses_nothing() -> None:
    clock = Clock()
    points = Budget(600, clock)
    points.charge("ann", 550)

    with pytest.raises(Limited, match="this costs 80 points, and of the 600 of a minute 50 are left; try again in 3 s") as refused:
        points.charge("ann", 80)

    assert refused.value.retry_after == 3
    assert points.charge("ann", 50).remaining == 0
    with pytest.raises(Limited):
        points.charge("ann", 1)
    assert points.charge("bob", 600).remaining == 0


def test_what_costs_more_than_a_minute_has_passes_once_and_is_owed() -> None:
    clock = Clock()
    points = Budget(600, clock)

    assert points.charge("ann", 900) == Remaining(limit=600, remaining=0, reset_seconds=90)
    clock.now += 29
    with pytest.raises(Limited) as refused:
        points.charge("ann", 10)

    assert refused.value.retry_after == 2
    clock.now += refused.value.retry_after
    assert points.charge("ann", 10).remaining == 0


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 30)), max_size=50))
def test_nobody_spends_more_than_a_bucket_and_what_came_back(asked: list[tuple[int, int]]) -> None:
    clock = Clock()
    points = Budget(120, clock)
    spent, began = 0, clock.now
    for cost, pause in asked:
        clock.now += pause
        try:
            left = points.charge("ann", cost)
        except Limited as refused:
            clock.now += refused.retry_after
            left = points.charge("ann", cost)
        spent += cost
        assert 0 <= left.remaining <= 120
        assert spent <= 120 + (clock.now - began) * 2 + 1e-6


def test_only_those_who_asked_last_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget, "MOST_REMEMBERED", 3)
    clock = Clock()
    points = Budget(60, clock)
    for who in ("ann", "bob", "cid", "ann", "dan"):
        points.charge(who, 20)

    assert points.charge("ann", 0).remaining == 20
    assert points.charge("bob", 0).remaining == 60


def test_a_full_bucket_takes_no_room() -> None:
    clock = Clock()
    points = Budget(60, clock)
    for number in range(100):
        points.charge(f"caller {number}", 30)
    clock.now += 60

    points.charge("ann", 30)

    assert len(points) == 1


@strawberry.type
class Item:
    name: str = "a"
    size: int = strawberry.field(default=1, metadata={"cost": 300})


executed: list[int] = []


def _items(first: int = 50) -> list[Item]:
    executed.append(first)
    return [Item()] * first


async def _counting() -> AsyncIterator[int]:
    for number in range(3):
        yield number


@strawberry.type
class Query:
    items: list[Item] = strawberry.field(resolver=_items)


@strawberry.type
class Subscription:
    counting: int = strawberry.subscription(resolver=_counting, metadata={"cost": 30})  # type: ignore[assignment]


@dataclass
class Asking:
    """Who asks; as a session, without a database."""

    actor: Actor


@dataclass
class Caller:
    budget: Budget | None
    ctx: Asking = field(default_factory=lambda: Asking(Actor("ann")))


SCHEMA = strawberry.Schema(
    Query, subscription=Subscription, extensions=[lambda: AddValidationRules([NotTooComplex]), Budgeted]
)  # fmt: skip
ITEMS = "query Items($n: Int!) {items(first: $n) {name}}"
SIZES = "query Sizes($n: Int!) {items(first: $n) {size}}"


async def ask(caller: Caller, text: str, **variables: Any) -> Any:
    """What comes of an operation; `executed` says what of it was executed."""
    executed.clear()
    return await SCHEMA.execute(text, variables, caller)


async def told(caller: Caller, text: str) -> list[Any]:
    """What comes of a subscription, event by event."""
    return [result async for result in await SCHEMA.stream(text, context_value=caller)]


async def test_an_answer_says_what_it_took_and_what_is_left() -> None:
    caller = Caller(Budget(600, Clock()))

    first = await ask(caller, ITEMS, n=20)
    again = await ask(caller, "{__typename}")

    assert (first.errors, first.extensions) == (None, {"cost": {"requested": 20, "limit": 600, "remaining": 580, "resetSeconds": 2}})
    assert again.extensions["cost"] == {"requested": 1, "limit": 600, "remaining": 579, "resetSeconds": 3}


async def test_where_nobody_counts_nothing_is_said() -> None:
    result = await ask(Caller(None), ITEMS, n=20)

    assert (result.errors, result.extensions) == (None, {})


async def test_what_costs_too_much_with_these_variables_is_refused_before_it_is_executed() -> None:
    caller = Caller(Budget(60_000, Clock()))

    result = await ask(caller, SIZES, n=100)

    (error,) = result.errors
    assert error.message == "query “Sizes” asks for 30,100 points; 25,000 are the most"
    assert (error.extensions, error.locations[0].line, executed) == ({"code": "TOO_COMPLEX"}, 1, [])
    assert (await ask(caller, SIZES, n=3)).extensions["cost"]["remaining"] == 60_000 - 903
    assert isinstance(result, PreExecutionError)


async def test_what_always_costs_too_much_is_not_valid() -> None:
    result = await ask(Caller(None), "{items(first: 100) {size}}")

    assert [error.extensions for error in result.errors] == [{"code": "TOO_COMPLEX"}]


async def test_who_has_spent_all_is_told_when_to_ask_again() -> None:
    caller = Caller(Budget(60, Clock()))
    await ask(caller, ITEMS, n=50)

    result = await ask(caller, ITEMS, n=25)

    (error,) = result.errors
    assert error.message == "this costs 25 points, and of the 60 of a minute 10 are left; try again in 15 s"
    assert (error.extensions, executed) == ({"code": "RATE_LIMITED", "retryAfterSeconds": 15}, [])
    assert isinstance(result, PreExecutionError)


async def test_what_is_not_valid_costs_what_it_takes_to_find_that_out() -> None:
    caller = Caller(Budget(2 * INVALID, Clock()))

    for _ in range(2):
        result = await ask(caller, "{nothing}")
        assert [error.message for error in result.errors] == ["Cannot query field 'nothing' on type 'Query'."]
    result = await ask(caller, "{nothing}")

    assert [error.extensions["code"] for error in result.errors] == ["RATE_LIMITED"]


async def test_a_subscription_pays_when_it_begins() -> None:
    caller = Caller(Budget(60, Clock()))

    events = await told(caller, "subscription {counting}")

    assert [event.data for event in events] == [{"counting": number} for number in range(3)]
    assert [event.extensions for event in events] == [
        {"cost": {"requested": 30, "limit": 60, "remaining": 30, "resetSeconds": 30}}, {}, {},
    ]  # fmt: skip


async def test_a_subscription_that_is_refused_does_not_begin() -> None:
    caller = Caller(Budget(60, Clock()))
    await ask(caller, ITEMS, n=50)

    (refused,) = await told(caller, "subscription {counting}")

    assert isinstance(refused, PreExecutionError)
    assert [error.extensions for error in refused.errors or ()] == [{"code": "RATE_LIMITED", "retryAfterSeconds": 20}]
