"""What of a schema is plain: leaves, and fields that an attribute answers; and how a plain value becomes what is answered."""

from collections.abc import Callable
from enum import Enum
from functools import lru_cache
from math import isfinite
from types import GeneratorType, NoneType
from typing import Any, NamedTuple

from graphql import (
    GraphQLBoolean,
    GraphQLField,
    GraphQLFloat,
    GraphQLID,
    GraphQLInt,
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLString,
    UndefinedType,
    is_enum_type,
)
from graphql.execution import Executor
from graphql.type.scalars import GRAPHQL_MAX_INT, GRAPHQL_MIN_INT
from strawberry.schema.schema_converter import GraphQLCoreConverter

Complete = Callable[[Any], Any]
"""Makes of a value what is answered. Raises whatever it likes of a value that has to go the general way, and of None."""

LISTS = {list, tuple}
"""What may be read twice, as an iterator may not."""


class PlainField(NamedTuple):
    """A field that is read from an attribute, and completed, without anybody being asked."""

    name: str
    """As it was asked for: its alias, if it has one."""
    attribute: str
    complete: Complete


class NotPlainError(Exception):
    """This value has to go the general way."""


def must(be: object) -> None:
    """Raise NotPlainError if it is not so."""
    if not be:
        raise NotPlainError


def attribute(field: GraphQLField) -> str | None:
    """The attribute that answers this field, if no resolver or extension has a say."""
    definition = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if definition is None or not getattr(field.resolve, "_is_default", False):
        return None
    name: str = definition.python_name
    return name if definition.is_basic_field and definition.default_resolver is getattr else None


def belongs_to(type_: GraphQLObjectType) -> Callable[[Any], Any] | None:
    """What tells whether a value is an object of this type; None if the type has its own way, which may depend on who asks where."""
    definition = type_.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if definition is None or definition.is_type_of is not None:
        return None
    check = type_.is_type_of
    # Strawberry's own check looks at the value alone.
    return is_usual if check is None else lambda value: is_usual(value) and check(value, None)  # type: ignore[arg-type]


def is_usual(value: Any) -> bool:
    """Whether this is completed as it is, being neither raised nor awaited nor null."""
    return _is_usual(type(value))  # type: ignore[arg-type] # mypy takes an unknown class for one without a hash


@lru_cache(1024)
def _is_usual(kind: type) -> bool:
    if issubclass(kind, Exception | GeneratorType | NoneType | UndefinedType):
        return False
    # Who makes up attributes may claim to be anything. (hasattr would also look at the class of the class, as an enum's is.)
    return not any(name in vars(base) for base in kind.__mro__ for name in ("__await__", "__getattr__"))


def leaf(type_: GraphQLLeafType) -> Complete:
    """What completes a scalar or an enum."""

    def coerce(value: Any) -> Any:
        must(is_usual(value))
        return Executor.complete_leaf_value(type_, value)

    if type_ is GraphQLString or type_ is GraphQLID:
        return lambda value: value if type(value) is str else coerce(value)
    if type_ is GraphQLInt:
        return lambda value: value if type(value) is int and GRAPHQL_MIN_INT <= value <= GRAPHQL_MAX_INT else coerce(value)
    if type_ is GraphQLFloat:
        return lambda value: value if type(value) is float and isfinite(value) else coerce(value)
    if type_ is GraphQLBoolean:
        return lambda value: value if type(value) is bool else coerce(value)
    return _remembered(coerce) if is_enum_type(type_) else coerce


def _remembered(coerce: Complete) -> Complete:
    """For enums: Strawberry looks through all values each time."""
    names: dict[Enum, Any] = {}  # members of two enums that are equal have the same name here

    def complete(value: Any) -> Any:
        if not isinstance(value, Enum):
            return coerce(value)
        return names[value] if value in names else names.setdefault(value, coerce(value))

    return complete
