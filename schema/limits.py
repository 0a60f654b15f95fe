"""How much one document may ask for: counted once for each of its definitions, before any other rule looks at it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionNode,
    ValidationRule,
)
from graphql.validation.validate import ValidationAbortedError

from schema.costs import MOST_POINTS, costs
from schema.definitions import Definition, in_order, name_of

INTROSPECTION = {"__schema", "__type"}


@dataclass(slots=True)
class Counts:
    """What a definition asks for, with all that the fragments it spreads ask for each time."""

    depth: int = 0
    """Levels of fields."""
    introspection_depth: int = 0
    """The same where the schema is asked about itself."""
    root_fields: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    repeats: int = 0
    """Fields that the same place asks for again, under the same name."""
    spreads: int = 0

    def add(self, spread: "Spread", fragment: "Counts") -> None:
        """Count what one spread brings."""
        above = spread.depth - 1
        self.depth = max(self.depth, fragment.depth and above + fragment.depth)
        self.introspection_depth = max(self.introspection_depth, fragment.introspection_depth and above + fragment.introspection_depth)
        self.root_fields += 0 if above else fragment.root_fields
        self.fields += fragment.fields
        self.aliases += fragment.aliases
        self.directives += fragment.directives
        self.repeats += fragment.repeats
        self.spreads += fragment.spreads


class Spread(NamedTuple):
    """A fragment's name, and how deep the fields stand that it brings."""

    fragment: str
    depth: int


class Limit(NamedTuple):
    """The most that an operation may ask for, and of what."""

    most: int
    what: str


# By what is counted. Parsing already ends at 2,000 tokens, which are some 1,000 fields; fragments multiply those.
LIMITS = {
    # The deepest that makes sense is 13: policies.edges.node.rollouts.edges.node.devices.edges.node.device.explain.services.image.
    "depth": Limit(15, "levels of fields"),
    # What GraphiQL asks is 15 deep: __schema.types.fields.args.type, nine times ofType, and a name.
    "introspection_depth": Limit(20, "levels of introspection"),
    # Each reads for itself, most in a statement of its own; a dashboard has some five.
    "root_fields": Limit(20, "fields at the top"),
    # Everything that is known of a rollout is 120, and of all things at once 600; GraphiQL asks for 230.
    "fields": Limit(1000, "fields"),
    # A client that names each of 20 fields at the top, and a field or two below, needs no more.
    "aliases": Limit(50, "aliases"),
    # @include and @skip, of which people write a handful and generators a dozen.
    "directives": Limit(50, "directives"),
    # graphql-core compares each with each: 250 of policies{nodes{id}} took it 450 ms, 50 take 15 ms.
    "repeats": Limit(50, "fields again under the same name"),
    # And each fragment with each: 90 took it 70 to 200 ms, 60 take 20 to 50. Relay spreads one for each component of a page.
    "spreads": Limit(60, "fragments"),
}


class TooComplex(ValidationAbortedError):
    """Ends a validation: the other rules would spend time on this document, some of them by the square of its length."""

    def __init__(self, definition: Definition, asked: int, limit: Limit) -> None:
        number = f"{asked:,}" if asked < 10**9 else "more than a billion"
        sentence = f"{_said(definition)} asks for {number} {limit.what}; {limit.most:,} are the most"
        super().__init__(sentence, definition, extensions={"code": "TOO_COMPLEX"})


class NotTooComplex(ValidationRule):
    """Refuses a document with an operation, or a fragment, that asks for more than LIMITS or MOST_POINTS."""

    def enter_document(self, document: DocumentNode, *_: Any) -> None:
        """Look at the whole document before the visitor goes into it."""
        try:
            known = counted_fragments(document)
        except CycleError:
            return  # NoFragmentCyclesRule says so, and nothing is executed.
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode | FragmentDefinitionNode):
                check(definition, counted(definition, known))
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                self._check_cost(definition, document)

    def _check_cost(self, operation: OperationDefinitionNode, document: DocumentNode) -> None:
        """What depends on variables is known only when they are."""
        cost = costs(self.context.schema, document).of(name_of(operation))
        if cost.fixed is not None:
            check_cost(operation, cost.fixed)


def check(definition: Definition, counts: Counts) -> None:
    """Raise TooComplex for the first limit that is passed."""
    for name, limit in LIMITS.items():
        if (asked := getattr(counts, name)) > limit.most:
            raise TooComplex(definition, asked, limit)


def check_cost(operation: OperationDefinitionNode, points: int) -> None:
    """Raise TooComplex for an operation that costs more than one may."""
    if points > MOST_POINTS:
        raise TooComplex(operation, points, Limit(MOST_POINTS, "points"))


def counted_fragments(document: DocumentNode) -> dict[str, Counts]:
    """What each fragment asks for, each counted once; raises CycleError."""
    known: dict[str, Counts] = {}
    for name, fragment in in_order(document).items():
        known[name] = counted(fragment, known)
    return known


def counted(definition: Definition, known: Mapping[str, Counts]) -> Counts:
    """What a definition asks for, given what the fragments do; one that is not there asks for nothing."""
    return _with_fragments(*_own(definition), known)


def _with_fragments(counts: Counts, spreads: Iterable[Spread], known: Mapping[str, Counts]) -> Counts:
    for spread in spreads:
        if spread.fragment in known:
            counts.add(spread, known[spread.fragment])
    return counts


class _Level(NamedTuple):
    """A selection set, or what an inline fragment adds to one."""

    selections: Iterable[SelectionNode]
    depth: int
    """Of its fields, from 1."""
    introspects: bool
    names: set[str]
    """What its fields are called, as far as they were seen."""


def _own(definition: Definition) -> tuple[Counts, list[Spread]]:
    """What a definition asks for itself, and the fragments it spreads; without recursion, whatever a client nests."""
    counts, spreads = Counts(directives=_directives_of(definition)), list[Spread]()
    levels = [_Level(definition.selection_set.selections, 1, _is_on_introspection(definition), set())]
    while levels:
        level = levels.pop()
        for selection in level.selections:
            counts.directives += len(selection.directives or ())
            if isinstance(selection, FieldNode):
                levels += _field(selection, level, counts)
            elif isinstance(selection, InlineFragmentNode):
                levels.append(level._replace(selections=selection.selection_set.selections))
            elif isinstance(selection, FragmentSpreadNode):
                spreads.append(Spread(selection.name.value, level.depth))
    counts.spreads = len(spreads)
    return counts, spreads


def _field(field: FieldNode, level: _Level, counts: Counts) -> list[_Level]:
    """Count a field; returns the level below it, if there is one."""
    name = (field.alias or field.name).value
    introspects = level.introspects or field.name.value in INTROSPECTION
    counts.fields += 1
    counts.root_fields += level.depth == 1
    counts.aliases += field.alias is not None
    counts.repeats += name in level.names
    level.names.add(name)
    _reach(counts, level.depth, introspects=introspects)
    return [_Level(field.selection_set.selections, level.depth + 1, introspects, set())] if field.selection_set else []


def _reach(counts: Counts, depth: int, *, introspects: bool) -> None:
    if introspects:
        counts.introspection_depth = max(counts.introspection_depth, depth)
    else:
        counts.depth = max(counts.depth, depth)


def _directives_of(definition: Definition) -> int:
    """Of the definition itself, and of its variables."""
    return sum(len(node.directives or ()) for node in (definition, *(definition.variable_definitions or ())))


def _is_on_introspection(definition: Definition) -> bool:
    return isinstance(definition, FragmentDefinitionNode) and definition.type_condition.name.value.startswith("__")


def _said(definition: Definition) -> str:
    """What a sentence about it begins with."""
    kind = definition.operation.value if isinstance(definition, OperationDefinitionNode) else "fragment"
    return f"{kind} “{name}”" if (name := name_of(definition)) else f"this {kind}"
