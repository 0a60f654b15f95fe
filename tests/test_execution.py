"""Plain objects are read without graphql-core's ceremony: what is answered, and which errors, is what graphql-core would have said."""

import asyncio
from collections.abc import Generator, Iterator
from copy import copy
from dataclasses import is_dataclass, replace
from enum import Enum, StrEnum
from typing import Annotated, Any, NewType, Union

import pytest
import strawberry
from graphql import DocumentNode, ExecutionResult, GraphQLError, execute, parse
from hypothesis import given
from hypothesis import settings as drawn
from hypothesis import strategies as st
from strawberry.execution import optimized_is_awaitable
from strawberry.extensions import FieldExtension, SchemaExtension
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


class Louder(FieldExtension):
    """Changes what an attribute holds."""

    def resolve(self, next_: Any, source: Any, info: Any, **kwargs: Any) -> str:
        return f"{next_(source, info, **kwargs)}!"


@strawberry.interface
class Named:
    name: str


@strawberry.type
class Leaf(Named):
    number: int
    ratio: float | None
    flag: bool
    fussy: Fussy | None
    strict: Fussy
    colour: Colour
    sizes: list[Size | None]
    loud: str = strawberry.field(extensions=[Louder()], default="loud")

    @strawberry.field
    def shouted(self) -> str:
        return self.name.upper()


@strawberry.type
class Twig:
    """Knows no interface, so that nothing looks at its class."""

    key: strawberry.ID
    words: list[str]
    leaf: Leaf | None
    next: "Twig | None"


@strawberry.type
class Picky:
    """Says by itself what belongs to it, and where."""

    key: str

    @classmethod
    def is_type_of(cls, value: object, info: Any) -> bool:
        return isinstance(value, cls) and (value.key, info.field_name) != ("k", "picky")


@strawberry.type
class Lost(Named, Exception):
    """An object that is an exception, and raised wherever it stands."""

    reason: str


@strawberry.type
class Branch(Named):
    twig: Twig
    twigs: list[Twig | None]
    leaves: list[Leaf] | None
    grid: list[list[Leaf | None]]
    anything: Named | None
    either: Annotated[Union[Leaf, "Branch"], strawberry.union("Either")]
    picky: Picky | None
    lost: Lost | None

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
SCHEMA = strawberry.Schema(Query, config=CONFIG)
SORTED = strawberry.Schema(Query, config=replace(CONFIG, sort_schema=True))
"""As ours is; only enums of strings survive that."""


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
    def number(self) -> int:
        raise RuntimeError("nobody has counted")

    @number.setter
    def number(self, _: int) -> None: ...


NOISE = [None, "text", "raise", "null", -1, 2**40, float("nan"), True, ValueError("as a value"), object(), {}, Size.BIG, Colour.RED]
LEAVES = st.sampled_from(
    [
        Leaf(name="a", number=1, ratio=0.5, flag=True, fussy=Fussy("b"), strict=Fussy("c"), colour=Colour.RED, sizes=[Size.BIG, None]),
        Leaf(name="", number=-(2**31), ratio=None, flag=False, fussy=None, strict=Fussy(""), colour=Colour.GREEN, sizes=[]),
        # What graphql-core puts right: a number as a string, a whole number for a fraction, the value of an enum for its member.
        Leaf(name=7, number="7", ratio=2, flag=1, fussy=True, strict=7, colour="red", sizes=["large"]),  # type: ignore[arg-type, list-item]
    ]
).map(copy)
TWIGS = st.builds(
    Twig, key=st.sampled_from(["k", 7]), words=st.sampled_from([(), ("a", 7)]).map(list), leaf=st.none() | LEAVES, next=st.none()
)
TWIGS = st.builds(
    Twig, key=st.sampled_from(["k", 7]), words=st.sampled_from([(), ("a", 7)]).map(list), leaf=st.none() | LEAVES, next=st.none() | TWIGS
)
BRANCHES = st.builds(
    Branch,
    name=st.just("b"),
    twig=TWIGS,
    twigs=st.lists(st.none() | TWIGS, max_size=2),
    leaves=st.none() | st.lists(LEAVES, max_size=3),
    grid=st.lists(st.lists(st.none() | LEAVES, max_size=2), max_size=2),
    anything=st.none() | LEAVES,
    either=LEAVES,
    picky=st.sampled_from([None, Picky(key="k"), Picky(key="l")]).map(copy),
    lost=st.sampled_from([None, Lost(name="l", reason="it fell")]),
)
WORLDS = st.builds(Query, branch=BRANCHES, leaves=st.lists(LEAVES, max_size=3))


@st.composite
def worlds(draw: st.DrawFn) -> Query:
    """Objects of which a few hold what they should not, or what has to be awaited, or a list that is none."""
    world = draw(WORLDS)
    for _ in range(draw(st.integers(0, 6))):
        places = list(_places(world))
        large = [place for place in places if isinstance(place[2], list) or is_dataclass(place[2])]
        holder, key, value = draw(st.sampled_from(large or places) | st.sampled_from(places))
        _put(holder, key, draw(st.sampled_from(_wrong(value)) | st.sampled_from(_wrong(value)[len(NOISE) :])))
    return world


def _wrong(value: object) -> list[object]:
    """What may stand in the place of this."""
    others = [Soon(value), *([tuple(value), Some(value)] if isinstance(value, list) else [])]
    return [*NOISE, *others, *([Raising(**vars(value))] if type(value) is Leaf else [])]


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
    "Leaf": dict.fromkeys(["name", "number", "ratio", "flag", "fussy", "strict", "colour", "sizes", "loud", "shouted"]),
    "Twig": {"key": None, "words": None, "leaf": "Leaf", "next": "Twig"},
    "Branch": {
        "name": None,
        "twig": "Twig",
        "twigs": "Twig",
        "leaves": "Leaf",
        "grid": "Leaf",
        "anything": "Named",
        "either": "Either",
        "picky": "Picky",
        "lost": "Lost",
        "again": "Branch",
        "later": "Leaf",
        "later(turns: 2)": "Leaf",
    },
    "Picky": {"key": None},
    "Lost": {"reason": None},
    "Either": {},
}
_WITHIN = {
    "Named": ["Leaf", "Branch", "Named"],
    "Either": ["Leaf", "Branch", "Named"],
    "Leaf": ["Named", "Leaf"],
    "Branch": ["Named", "Branch"],
}
_DIRECTIVES = st.sampled_from([""] * 12 + ["@skip(if: $yes)", "@include(if: $yes)", "@skip(if: false)", "@include(if: false)"])


@st.composite
def selections(draw: st.DrawFn, kind: str, depth: int) -> str:
    """A selection set on this type, with aliases, fragments and directives."""
    parts = draw(st.lists(st.sampled_from(["field"] * 5 + ["fragment", "spread"]), min_size=2, max_size=5))
    return f"{{ {' '.join(_part(draw, part, kind, depth) for part in parts)} kind: __typename }}"


def _part(draw: st.DrawFn, part: str, kind: str, depth: int) -> str:
    directive = draw(_DIRECTIVES)
    if part == "fragment" and depth:
        within = draw(st.sampled_from(_WITHIN.get(kind, [kind])))
        return f"... on {within} {directive} {draw(selections(within, depth - 1))}"
    fields = [name for name, of in _FIELDS[kind].items() if of is None or depth]
    if part == "spread" or not fields:
        return f"...{'Both' if kind in _WITHIN else 'Of'} {directive}"
    name = draw(st.sampled_from(fields))
    return f"{draw(st.sampled_from(['', '', 'a: ']))}{name} {directive} {_nested(draw, _FIELDS[kind][name], depth)}"


def _nested(draw: st.DrawFn, kind: str | None, depth: int) -> str:
    return "" if kind is None else draw(selections(kind, depth - 1))


@st.composite
def documents(draw: st.DrawFn) -> str:
    """A query for the branch and the leaves, and two fragments that any object may be asked for."""
    branch, leaves, branches = [draw(selections(kind, depth)) for kind, depth in (("Branch", 3), ("Leaf", 1), ("Branch", 2))]
    query = f"query Q($yes: Boolean!) {{ branch {branch} leaves {leaves} branches {draw(_DIRECTIVES)} {branches} }}"
    both = f"fragment Both on Named {{ name ... on Leaf {{ number {draw(_DIRECTIVES)} fussy strict sizes }} }}"
    return f"{query} {both} fragment Of on Twig {{ key leaf {{ flag colour {draw(_DIRECTIVES)} ratio }} }}"


async def _said(
    document: DocumentNode, root: object, yes: bool, by: type[StrawberryGraphQLCoreExecutionContext], schema: strawberry.Schema = SCHEMA
) -> tuple[str, list[Any]]:
    """Data with the order of its fields and the types of its values, and all there is to know of each error."""
    given: dict[str, Any] = {
        "variable_values": {"yes": yes},
        "executor_class": by,
        "is_awaitable": optimized_is_awaitable,
        "operation_extensions": None,
    }
    result = execute(schema._schema, document, root, **given)
    if not isinstance(result, ExecutionResult):
        result = await result
    return repr(result.data), [_told(error) for error in result.errors or []]


def _told(error: GraphQLError) -> tuple[Any, ...]:
    return error.message, error.path, error.locations, error.extensions, type(error.original_error)


async def _compared(document: DocumentNode, root: object, *variables: bool) -> None:
    for yes in variables:
        expected = await _said(document, root, yes, StrawberryGraphQLCoreExecutionContext)
        assert await _said(document, root, yes, PlainExecutor) == expected


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@drawn(max_examples=100, deadline=None)
@given(text=documents(), root=worlds())
def test_whatever_is_asked_of_whatever_objects_the_answer_is_that_of_graphql_core(runner: asyncio.Runner, text: str, root: object) -> None:
    runner.run(_compared(parse(text), root, True, False, True))  # thrice, as what was learned of a document is kept with it


LEAF = "{ name number ratio flag fussy strict colour sizes loud shouted }"
EVERYTHING = f"""
    query Q($yes: Boolean!) {{
      leaves {LEAF}
      branch {{
        name
        twig {{ key words leaf {{ number }} next {{ leaf {{ name }} }} }}
        twigs {{ key }} leaves {{ number }} grid {{ fussy }}
        anything {{ name }} either {{ ... on Leaf {{ flag }} }}
        picky {{ key }} lost {{ reason }} later @include(if: $yes) {{ name }}
      }}
    }}
"""


def test_whatever_an_attribute_holds_the_answer_is_that_of_graphql_core(runner: asyncio.Runner) -> None:
    document = parse(EVERYTHING)
    for number, (_, _, value) in enumerate(_places(_a_world())):
        for wrong in _wrong(value):
            world = _a_world()
            holder, key, _ = list(_places(world))[number]
            _put(holder, key, wrong)
            runner.run(_compared(document, world, True))


def _a_world() -> Query:
    """One of everything."""
    twig = Twig(key=strawberry.ID("k"), words=["a"], leaf=_a_leaf(), next=Twig(key=strawberry.ID("l"), words=[], leaf=None, next=None))
    branch = Branch(
        name="b",
        twig=twig,
        twigs=[None],
        leaves=[_a_leaf()],
        grid=[[_a_leaf(), None]],
        anything=_a_leaf(),
        either=_a_leaf(),
        picky=Picky(key="l"),
        lost=Lost(name="l", reason="it fell"),
    )
    return Query(branch=branch, leaves=[_a_leaf()])


def _a_leaf() -> Leaf:
    return Leaf(name="a", number=1, ratio=0.5, flag=True, fussy=Fussy("b"), strict=Fussy("c"), colour=Colour.GREEN, sizes=[Size.BIG, None])


@pytest.mark.parametrize(
    "selection",
    [
        "{ leaves { name number @skip(if: $yes) } }",
        "{ leaves { name ... @include(if: $yes) { number } } }",
        "{ leaves { ...Numbered } } fragment Numbered on Leaf { name number @include(if: $yes) }",
        "{ leaves { name } ... @skip(if: $yes) { again: leaves { name } } }",
    ],
)
async def test_what_variables_decide_is_decided_anew(selection: str) -> None:
    document = parse(f"query Q($yes: Boolean!) {selection}")

    await _compared(document, _a_world(), True, False, True)


async def test_a_selection_is_learned_once() -> None:
    document = parse("{ branch { name } leaves { name shouted } }")

    learned = []
    for _ in range(3):
        await _said(document, _a_world(), True, PlainExecutor)
        learned.append(len(vars(document.definitions[0])["selections"].plain))

    assert learned == [3, 3, 3]


async def test_what_was_learned_of_a_document_is_not_taken_for_true_of_another_schema() -> None:
    document = parse("{ leaves { name sizes } }")

    for schema in (SCHEMA, SORTED, SCHEMA):
        data, _ = await _said(document, _a_world(), True, PlainExecutor, schema)

        assert data == "{'leaves': [{'name': 'a', 'sizes': ['BIG', None]}]}"


async def test_what_can_be_read_once_is_read_once() -> None:
    def world() -> Any:
        return Query(branch=None, leaves=(leaf for leaf in (_a_leaf(), None, _a_leaf())))  # type: ignore[arg-type]

    document = parse("{ branches { name } leaves { name } }")

    expected = await _said(document, world(), True, StrawberryGraphQLCoreExecutionContext)
    assert await _said(document, world(), True, PlainExecutor) == expected


class Counting(PlainExecutor):
    """Counts the fields that went the general way."""

    executed: list[str] = []  # noqa: RUF012 – of all operations

    def execute_field(self, parent_type: Any, source: Any, field_details_list: Any, path: Any, position_context: Any) -> Any:
        self.executed.append(path.key)
        return super().execute_field(parent_type, source, field_details_list, path, position_context)


@pytest.fixture
def executed() -> list[str]:
    Counting.executed.clear()
    return Counting.executed


@pytest.mark.parametrize("schema", [SCHEMA, SORTED])
@pytest.mark.parametrize(
    ("selection", "general"),
    [
        ("branch { twigs { key } leaves { number flag name } kind: __typename }", []),
        ("branches { name twig { key leaf { number sizes } } grid { fussy ratio } __typename }", ["branches"]),
        ("branch { name leaves { number shouted } twig { key } }", ["branch", "leaves", "shouted"]),
        ("branch { name picky { key } }", ["branch", "picky"]),
    ],
)
async def test_only_what_is_not_plain_is_executed(
    executed: list[str], schema: strawberry.Schema, selection: str, general: list[str]
) -> None:
    await _said(parse(f"{{ {selection} }}"), _a_world(), True, Counting, schema)

    assert executed == general


async def test_an_extension_that_watches_resolvers_sees_every_field() -> None:
    class Watching(SchemaExtension):
        def resolve(self, _next: Any, root: Any, info: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(info.field_name)
            return _next(root, info, *args, **kwargs)

    seen: list[str] = []
    schema = strawberry.Schema(Query, config=CONFIG, extensions=[Watching], execution_context_class=PlainExecutor)

    result = await schema.execute("{ leaves { name number } }", root_value=Query(branch=None, leaves=[_a_leaf()]))

    assert result.errors is None
    assert seen == ["leaves", "name", "number"]
