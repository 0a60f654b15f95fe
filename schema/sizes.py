"""How long a list is that somebody asks for, as far as the document tells."""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from typing import Any

from graphql import (
    FieldNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLInputField,
    GraphQLInputObjectType,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    ValueNode,
    VariableNode,
    get_nullable_type,
)
from graphql.utilities.coerce_input_value import coerce_default_value

# Arguments that decide it, or fields of the one input of a mutation. Of a sample it is said how many devices of each reason it names.
DECIDING = ("first", "ids", "sample")
# Where in that input devices stand that are named one by one, which are all changed, whatever `first` says.
NAMED = ("devices", "uuids")


@dataclass(frozen=True, slots=True)
class Size:
    """A length that a variable decides."""

    variable: str
    path: tuple[str, ...]
    """Where in the variable it stands, if that is an input."""
    default: int
    """If the variable is null, or does not say."""
    most: int
    absent: int | None = None
    """If the variable is not given, and the operation says what it is then."""

    def given(self, variables: Mapping[str, Any]) -> int:
        """With these variables; what makes no sense is refused elsewhere."""
        if self.absent is not None and self.variable not in variables:
            return self.absent
        value = _within(variables.get(self.variable), self.path)
        if value is None:
            return self.default
        if isinstance(value, list):
            value = len(value)
        return _between(value, self.most) if isinstance(value, int) else self.most

    def defaulting(self, defaults: Mapping[str, ValueNode]) -> "Size":
        """The same in an operation that says what variables are that are not given."""
        if (value := defaults.get(self.variable)) is None:
            return self
        return replace(self, absent=_literal(_found(value, self.path), self.default, self.most))


@dataclass(frozen=True, slots=True)
class Longer:
    """The longer of two lengths, of which a variable decides one at least."""

    one: "int | Size"
    other: "int | Size"

    def given(self, variables: Mapping[str, Any]) -> int:
        """With these variables."""
        return max(length if isinstance(length, int) else length.given(variables) for length in (self.one, self.other))

    def defaulting(self, defaults: Mapping[str, ValueNode]) -> "Longer":
        """The same in an operation that says what variables are that are not given."""
        return Longer(*(length if isinstance(length, int) else length.defaulting(defaults) for length in (self.one, self.other)))


Variable = Size | Longer
Length = int | Variable


def asked(node: FieldNode, field: GraphQLField, most: int) -> Length | None:
    """What an argument of a field says, or its default; None if no argument decides."""
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    if name := _deciding(field.args):
        return _length(given.get(name), _default(field.args[name], most), most)
    type_ = get_nullable_type(field.args["input"].type) if "input" in field.args else None
    return _of_input(given.get("input"), type_, most) if isinstance(type_, GraphQLInputObjectType) else None


def _of_input(value: ValueNode | None, type_: GraphQLInputObjectType, most: int) -> Length | None:
    """The same of the one argument that mutations have."""
    if (name := _deciding(type_.fields)) is None:
        return None
    first = _at(value, (name,), _default(type_.fields[name], most), most)
    return _longer(first, _at(value, NAMED, 1, most)) if NAMED[0] in type_.fields else first


def _at(value: ValueNode | None, path: tuple[str, ...], default: int, most: int) -> int | Size:
    """What is said at this place of an input, any part of which may be a variable."""
    for depth, name in enumerate(path):
        if isinstance(value, VariableNode):
            return Size(value.name.value, path[depth:], default, most)
        value = _entry(value, name)
    return _length(value, default, most)


def _longer(one: int | Size, other: int | Size) -> Length:
    return max(one, other) if isinstance(one, int) and isinstance(other, int) else Longer(one, other)


def _deciding(names: Container[str]) -> str | None:
    return next((name for name in DECIDING if name in names), None)


def _default(argument: GraphQLArgument | GraphQLInputField, most: int) -> int:
    default = coerce_default_value(argument)
    return default if isinstance(default, int) else most


def _length(value: ValueNode | None, default: int, most: int) -> int | Size:
    return Size(value.name.value, (), default, most) if isinstance(value, VariableNode) else _literal(value, default, most)


def _literal(value: ValueNode | None, default: int, most: int) -> int:
    if isinstance(value, IntValueNode):
        # Whoever writes more digits than that means the most; Python refuses to read more than 4,300.
        return _between(int(value.value[:10]), most)
    return _between(len(value.values), most) if isinstance(value, ListValueNode) else default


def _found(value: ValueNode | None, path: tuple[str, ...]) -> ValueNode | None:
    """What a document says at this place of a value."""
    for name in path:
        value = _entry(value, name)
    return value


def _entry(value: ValueNode | None, name: str) -> ValueNode | None:
    fields = value.fields if isinstance(value, ObjectValueNode) else ()
    return next((field.value for field in fields if field.name.value == name), None)


def _within(value: Any, path: tuple[str, ...]) -> Any:
    """What a client sent at this place of a variable."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _between(number: int, most: int) -> int:
    return min(max(number, 1), most)
