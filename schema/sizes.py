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

# Arguments that decide it, or fields of the one input of a mutation.
DECIDING = ("first", "ids")


@dataclass(frozen=True, slots=True)
class Size:
    """A length that a variable decides."""

    variable: str
    key: str | None
    """Where in the variable it stands, if that is an input."""
    default: int
    most: int

    def given(self, variables: Mapping[str, Any]) -> int:
        """With these variables; what makes no sense is refused elsewhere."""
        value = variables.get(self.variable)
        if self.key is not None and isinstance(value, dict):
            value = value.get(self.key)
        if value is None:
            return self.default
        if isinstance(value, list):
            value = len(value)
        return _between(value, self.most) if isinstance(value, int) else self.most

    def defaulting(self, defaults: Mapping[str, ValueNode]) -> "Size":
        """The same in an operation that says what variables are that are not given."""
        value = defaults.get(self.variable)
        return replace(self, default=_literal(value if self.key is None else _entry(value, self.key), self.default, self.most))


Length = int | Size


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
    default = _default(type_.fields[name], most)
    return Size(value.name.value, name, default, most) if isinstance(value, VariableNode) else _length(_entry(value, name), default, most)


def _deciding(names: Container[str]) -> str | None:
    return next((name for name in DECIDING if name in names), None)


def _default(argument: GraphQLArgument | GraphQLInputField, most: int) -> int:
    default = coerce_default_value(argument)
    return default if isinstance(default, int) else most


def _length(value: ValueNode | None, default: int, most: int) -> Length:
    return Size(value.name.value, None, default, most) if isinstance(value, VariableNode) else _literal(value, default, most)


def _literal(value: ValueNode | None, default: int, most: int) -> int:
    if isinstance(value, IntValueNode):
        # Whoever writes more digits than that means the most; Python refuses to read more than 4,300.
        return _between(int(value.value[:10]), most)
    return _between(len(value.values), most) if isinstance(value, ListValueNode) else default


def _entry(value: ValueNode | None, name: str) -> ValueNode | None:
    fields = value.fields if isinstance(value, ObjectValueNode) else ()
    return next((field.value for field in fields if field.name.value == name), None)


def _between(number: int, most: int) -> int:
    return min(max(number, 1), most)
