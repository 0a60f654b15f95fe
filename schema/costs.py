"""What an operation costs: a sum over its fields, in which variables may decide how long the lists are.

An object costs a point for each time that it may be answered, a leaf nothing. A field that takes `first`, `ids` or `sample` has a list as
long as that says, or lists that are directly below it; other lists are SHORT. A page costs its rows, which are read and made whatever is
selected of them, and they cost nothing again. A field that is heavy says so where it is declared: `metadata={"cost": 50}`, leaves too.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple
from weakref import finalize

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLCompositeType,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    GraphQLUnionType,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    get_named_type,
    get_nullable_type,
    is_composite_type,
    is_list_type,
)

from domain.fleet import MOST_AT_ONCE
from schema.definitions import Definition, in_order, name_of
from schema.paging import MOST
from schema.sizes import Length, Size, Variable, asked

# An object costs a point, some 10 us of the one thread that answers everybody: this is a quarter of a second. A hundred rollouts with a
# hundred devices each, and what is known of each device, are 20,200; what GraphiQL asks of the schema is 7,000.
MOST_POINTS = 25_000
# How long a list without pages is thought to be: batches, stages, checks, windows, services.
SHORT = 5
# A transaction, with its events; for each device if it is for many.
MUTATION = 10
# What tells of the schema, as long as ours makes it on average: a type has 4 fields; of inputs, values and arguments there are fewer than
# one. What a type is of is mostly null.
INTROSPECTED = {"__Schema.directives": SHORT, "__Type.fields": 4, "__Type.ofType": 0}

Points = Counter[tuple[Variable, ...]]
"""A sum of products: so many points, times these sizes."""
# The length of the lists that a fragment begins with is known where it is spread; no variable has this name.
PAGE = Size("", (), SHORT, SHORT)
# What a page has, and what each of its edges has: how Relay's connections are told from other types.
PAGED, EDGE = frozenset({"nodes", "edges"}), frozenset({"node", "cursor"})


@dataclass(frozen=True, slots=True)
class Cost:
    """What one operation costs."""

    points: Points

    @property
    def fixed(self) -> int | None:
        """The points, if no variable matters."""
        return None if any(self.points) else self.points[()]

    def given(self, variables: Mapping[str, Any]) -> int:
        """The points with these variables."""
        return sum(points * prod([size.given(variables) for size in sizes]) for sizes, points in self.points.items())


class Costs:
    """What the operations of one document cost, which the limits let through: no sum has more terms than they let it have fields."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self.schema = schema
        meter = _Meter(schema)
        for name, fragment in in_order(document).items():
            meter.fragments[name] = meter.points(fragment, schema.get_type(fragment.type_condition.name.value), PAGE)
        self._operations = {
            name_of(node): Cost(_settled(meter.points(node, schema.get_root_type(node.operation), SHORT), node))
            for node in document.definitions
            if isinstance(node, OperationDefinitionNode)
        }

    def of(self, operation: str | None) -> Cost:
        """Of the operation with this name; without one, of the first."""
        return self._operations[operation] if operation else next(iter(self._operations.values()))


_known: dict[int, Costs] = {}
"""By the identity of the document, for as long as somebody else keeps it."""


def costs(schema: GraphQLSchema, document: DocumentNode) -> Costs:
    """What a document's operations cost: found out once."""
    known = _known.get(id(document))
    if known is None or known.schema is not schema:
        known = _known[id(document)] = Costs(schema, document)
        finalize(document, _known.pop, id(document), None).atexit = False
    return known


def cost(schema: GraphQLSchema, document: DocumentNode, operation: str | None, variables: Mapping[str, Any] | None) -> int:
    """The points of one operation, with the variables as the client sent them."""
    return costs(schema, document).of(operation).given(variables or {})


class _Product(NamedTuple):
    """So many times, and again by what variables say."""

    number: int
    sizes: tuple[Variable, ...]

    def by(self, length: Length) -> "_Product":
        return _Product(self.number * length, self.sizes) if isinstance(length, int) else _Product(self.number, (*self.sizes, length))


class _Place(NamedTuple):
    """A selection set, or what an inline fragment adds to one."""

    selections: Iterable[SelectionNode]
    type: GraphQLCompositeType
    times: _Product
    """How often it may be answered."""
    page: Length
    """How long the lists are that it asks for."""


class _Meter:
    """Adds up what definitions cost; fields, types and fragments that are not there cost nothing."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self.fragments: dict[str, Points] = {}
        """What those cost that were measured."""
        self._schema = schema
        self._introspected = {**INTROSPECTED, "__Schema.types": len(schema.type_map)}

    def points(self, definition: Definition, root: GraphQLNamedType | None, page: Length) -> Points:
        """What a definition costs; without recursion, whatever a client nests."""
        points = Points()
        places = [_Place(definition.selection_set.selections, root, _Product(1, ()), page)] if is_composite_type(root) else []
        while places:
            place = places.pop()
            for selection in place.selections:
                if isinstance(selection, FieldNode):
                    places += self._field(selection, place, points)
                elif isinstance(selection, InlineFragmentNode):
                    places += self._inline(selection, place)
                elif isinstance(selection, FragmentSpreadNode):
                    self._spread(selection, place, points)
        return points

    def _field(self, node: FieldNode, place: _Place, points: Points) -> list[_Place]:
        """Add a field; returns the place below it, if there is one."""
        if (field := self._schema.get_field(place.type, node.name.value)) is None:
            return []
        changes = place.type is self._schema.mutation_type
        size = asked(node, field, MOST_AT_ONCE if changes else MOST)
        _add(points, place.times.by(_declared(field)))
        if changes:
            _add(points, place.times.by(MUTATION).by(size or 1))
        return self._below(node, field, place, size, points)

    def _below(self, node: FieldNode, field: GraphQLField, place: _Place, size: Length | None, points: Points) -> list[_Place]:
        """Add the objects that a field answers with."""
        type_ = get_named_type(field.type)
        if not is_composite_type(type_) or node.selection_set is None:
            return []
        is_list = is_list_type(get_nullable_type(field.type))
        times = place.times.by(self._length(node, place, size, is_list=is_list))
        page = SHORT if is_list or size is None else size
        if not _is_paid(node, place.type):
            _add(points, times)
        if _has(type_, PAGED):
            _add(points, times.by(page))
        return [_Place(node.selection_set.selections, type_, times, page)]

    def _length(self, node: FieldNode, place: _Place, size: Length | None, *, is_list: bool) -> Length:
        """How many objects a field answers with."""
        if place.type.name.startswith("__"):
            return self._introspected.get(f"{place.type.name}.{node.name.value}", 1)
        if not is_list:
            return 1
        return place.page if size is None else size

    def _inline(self, fragment: InlineFragmentNode, place: _Place) -> list[_Place]:
        condition = fragment.type_condition
        type_ = self._schema.get_type(condition.name.value) if condition else place.type
        return [place._replace(selections=fragment.selection_set.selections, type=type_)] if is_composite_type(type_) else []

    def _spread(self, spread: FragmentSpreadNode, place: _Place, points: Points) -> None:
        for sizes, number in self.fragments.get(spread.name.value, Points()).items():
            product = place.times.by(number)
            for size in sizes:
                product = product.by(place.page if size is PAGE else size)
            _add(points, product)


def _add(points: Points, product: _Product) -> None:
    if product.number:
        points[product.sizes] += product.number


def _is_paid(node: FieldNode, type_: GraphQLCompositeType) -> bool:
    """Whether a field answers with rows of a page, which are paid with it; under another name they are answered once more."""
    return node.alias is None and any(node.name.value in row and _has(type_, row) for row in (PAGED, EDGE))


def _has(type_: GraphQLCompositeType, names: frozenset[str]) -> bool:
    return not isinstance(type_, GraphQLUnionType) and names <= type_.fields.keys()


def _declared(field: GraphQLField) -> int:
    """What a field says of itself where it is declared."""
    ours = field.extensions.get("strawberry-definition")
    return ours.metadata.get("cost", 0) if ours else 0


def _settled(points: Points, operation: OperationDefinitionNode) -> Points:
    """The same with what the operation says of variables that are not given."""
    defaults = {
        variable.variable.name.value: variable.default_value for variable in operation.variable_definitions or () if variable.default_value
    }
    settled = Points()
    for sizes, number in points.items():
        settled[tuple(size.defaulting(defaults) for size in sizes)] += number
    return settled
