"""Plain objects are read without graphql-core's ceremony: what is answered, and which errors, is what graphql-core would have said."""

import asyncio
from collections.abc import Generator, Iterator
from copy import copy
from dataclasses import is_dataclass
from enum import Enum, StrEnum
from typing import Annotated, Any, NewType, Union

import pytest
import strawberry
from graphql import DocumentNode, ExecutionResult, GraphQLError, execute, parse
from hypothesis import given
from hypothesis import settings as drawn
from hypothesis import strategies as st
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from schema.execution import PlainExecutor

Fussy = NewType("Fussy", str)


class Colour(Enum):
    RED = "red"
    GREEN = ("green", 2)


class Size(StrEnum):
    BIG = "large"
    SMALL = "little"


strawberry.enum(Colour)
strawberry.enum(Size)


def _fussy(value: Any) -> Any:
    """Raises for some, and says nothing of others."""
    if value == "raise":
        raise ValueError("this is too much")
    return None if value == "null" else f"fussy {value}"


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Leaf(Named):
    number: int
    ratio: float | None
    flag: bool
    fussy: Fussy | None
    colour: Colour
    sizes: list[Size | None]

    @strawberry.field
    def shouted(self) -> str:
        return self.name.upper()


@strawberry.type
class Twig:
    """Knows no interface, so that nothing looks at its class."""

    key: strawberry.ID
    leaf: Leaf | None
    next: "Twig | None"


@strawberry.type
class Branch(Named):
    twig: Twig
    twigs: list[Twig | None]
    leaves: list[Leaf] | None
    grid: list[list[Leaf | None]]
    anything: Named | None
    either: Annotated[Union[Leaf, "Branch"], strawberry.union("Either")]

    @strawberry.field
    def again(self) -> "Branch":
        return self

    @strawberry.field
    async def later(self, turns: int = 0) -> list[Leaf]:
        for _ in range(turns):
            await asyncio.sleep(0)
        return self.leaves or []


@strawberry.type
class Query:
    branch: Branch | None
    leaves: list[Leaf]

    @strawberry.field
    async def branches(self, turns: int = 1) -> list[Branch | None]:
        await asyncio.sleep(0)
        return [self.branch, self.branch]


CONFIG = StrawberryConfig(scalar_map={Fussy: strawberry.scalar(name="Fussy", serialize=_fussy, parse_value=str)})
SCHEMA = strawberry.Schema(Query, types=[Leaf, Branch], config=CONFIG)


class Soon:
    """May be awaited as often as one likes."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __await__(self) -> Generator[None, None, object]:
        yield
        return self.value


class Some:
    """A list that is none, but can be gone through like one."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)


class Raising(Leaf):
    """An object whose attribute fails."""

    @property
    def number(self) -> int:  # type: ignore[override]
        raise RuntimeError("nobody has counted")

    @number.setter
    def number(self, _: int) -> None: ...


NOISE = st.sampled_from([None, "text", -1, 2**40, float("nan"), True, ValueError("as a value"), object(), {}, Size.BIG, Colour.RED])
LEAVES = st.sampled_from(
    [
        Leaf(name="a", number=1, ratio=0.5, flag=True, fussy=Fussy("b"), colour=Colour.RED, sizes=[Size.BIG, None]),
        Leaf(name="", number=-(2**31), ratio=None, flag=False, fussy=None, colour=Colour.GREEN, sizes=[]),
        # What graphql-core puts right: a number as a string, a whole number for a fraction, the value of an enum for its member.
        Leaf(name=7, number="7", ratio=2, flag=1, fussy=True, colour="red", sizes=["large"]),  # type: ignore[arg-type, list-item]
    ]
).map(copy)
TWIGS = st.builds(Twig, key=st.sampled_from(["k", 7]), leaf=st.none() | LEAVES, next=st.none())
TWIGS = st.builds(Twig, key=st.sampled_from(["k", 7]), leaf=st.none() | LEAVES, next=st.none() | TWIGS)
BRANCHES = st.builds(
    Branch,
    name=st.just("b"),
    twig=TWIGS,
    twigs=st.lists(st.none() | TWIGS, max_size=2),
    leaves=st.none() | st.lists(LEAVES, max_size=3),
    grid=st.lists(st.lists(st.none() | LEAVES, max_size=2), max_size=2),
    anything=st.none() | LEAVES,
    either=LEAVES,
)
WORLDS = st.builds(Query, branch=BRANCHES, leaves=st.lists(LEAVES, max_size=3))


@st.composite
def worlds(draw: st.DrawFn) -> Query:
    """Objects of which a few hold what they should not, or what has to be awaited, or a list that is none."""
    world = draw(WORLDS)
    for _ in range(draw(st.integers(0, 4))):
        holder, key, value = draw(st.sampled_from(list(_places(world))))
        wrong = [draw(NOISE), Soon(value), *([tuple(value), Some(value)] if isinstance(value, list) else [])]
        wrong += [Raising(**vars(value))] if type(value) is Leaf else []
        _put(holder, key, draw(st.sampled_from(wrong)))
    return world


def _places(holder: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Everything in this object or list, and in what it holds."""
    if isinstance(holder, list) or is_dataclass(holder):
        for key, value in list(enumerate(holder) if isinstance(holder, list) else vars(holder).items()):
            yield holder, key, value
            yield from _places(value)


def _put(holder: Any, key: Any, value: object) -> None:
    if isinstance(holder, list):
        holder[key] = value
    else:
        setattr(holder, key, value)


_FIELDS: dict[str, dict[str, str | None]] = {
    "Named": {"name": None},
    "Leaf": dict.fromkeys(["name", "number", "ratio", "flag", "fussy", "colour", "sizes", "shouted"]),
    "Twig": {"key": None, "leaf": "Leaf", "next": "Twig"},
    "Branch": {
        "name": None,
        "twig": "Twig",
        "twigs": "Twig",
        "leaves": "Leaf",
        "grid": "Leaf",
        "anything": "Named",
        "either": "Either",
        "again": "Branch",
        "later": "Leaf",
        "later(turns: 2)": "Leaf",
    },
    "Either": {},
    "Query": {"branch": "Branch", "leaves": "Leaf", "branches": "Branch"},
}
_WITHIN = {
    "Named": ["Leaf", "Branch", "Named"],
    "Either": ["Leaf", "Branch", "Named"],
    "Leaf": ["Named", "Leaf"],
    "Branch": ["Named", "Branch"],
}
_DIRECTIVES = st.sampled_from([""] * 12 + ["@skip(if: $yes)", "@include(if: $yes)", "@skip(if: false)", "@include(if: false)"])


@st.composite
def selections(draw: st.DrawFn, kind: str, depth: int = 3) -> str:
    """A selection set on this type, with aliases, fragments and directives."""
    chosen = draw(st.lists(st.sampled_from(["field", "field", "field", "typename", "fragment", "spread"]), min_size=1, max_size=6))
    parts = [_part(draw, part, kind, depth) for part in chosen]
    return f"{{ {' '.join(parts)} __typename }}"


def _part(draw: st.DrawFn, part: str, kind: str, depth: int) -> str:
    directive = draw(_DIRECTIVES)
    if part == "fragment":
        within = draw(st.sampled_from(_WITHIN.get(kind, [kind])))
        return f"... on {within} {directive} {draw(selections(within, depth - 1))}" if depth else "__typename"
    if part == "spread" and kind != "Query":
        return f"...{'Both' if kind != 'Twig' else 'Of'} {directive}"
    fields = [name for name, of in _FIELDS[kind].items() if of is None or depth]
    if part == "typename" or not fields:
        return f"{draw(st.sampled_from(['', 'kind: ']))}__typename {directive}"
    name = draw(st.sampled_from(fields))
    of = _FIELDS[kind][name]
    return f"{draw(st.sampled_from(['', '', 'a: ']))}{name} {directive} {draw(selections(of, depth - 1)) if of else ''}"


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A query, and two fragments that any object may be asked for."""
    both = f"fragment Both on Named {{ name ... on Leaf {draw(selections('Leaf', 0))} }}"
    return f"query Q($yes: Boolean!) {draw(selections('Query'))} {both} fragment Of on Twig {{ key leaf {{ number name }} }}"


def _executed(document: DocumentNode, root: object, yes: bool, by: type[StrawberryGraphQLCoreExecutionContext]) -> Any:
    return execute(
        SCHEMA._schema,
        document,
        root,
        variable_values={"yes": yes},
        executor_class=by,
        is_awaitable=optimized_is_awaitable,
        operation_extensions=None,
    )


async def _said(document: DocumentNode, root: object, yes: bool, by: type[StrawberryGraphQLCoreExecutionContext]) -> tuple[str, list[Any]]:
    """Data with the order of its fields and the types of its values, and all there is to know of each error."""
    result = _executed(document, root, yes, by)
    if not isinstance(result, ExecutionResult):
        result = await result
    return repr(result.data), [(_told(error), type(error.original_error)) for error in result.errors or []]


def _told(error: GraphQLError) -> tuple[Any, ...]:
    return error.message, error.path, error.locations, error.extensions


async def _compared(text: str, root: object) -> None:
    document, asked = parse(text), parse(text)
    for yes in (True, False, True):  # thrice, as what was learned of a document is kept with it
        expected = await _said(asked, root, yes, StrawberryGraphQLCoreExecutionContext)
        assert await _said(document, root, yes, PlainExecutor) == expected


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@drawn(max_examples=250, deadline=None)
@given(text=documents(), root=worlds())
def test_whatever_is_asked_of_whatever_objects_the_answer_is_that_of_graphql_core(runner: asyncio.Runner, text: str, root: object) -> None:
    runner.run(_compared(text, root))
