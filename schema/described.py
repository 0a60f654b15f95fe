"""Descriptions that are written once, for what can be read and written alike."""

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeVar

import strawberry
from strawberry.types.base import get_object_definition

Class = TypeVar("Class", bound=type)


def described_like(model: type) -> Callable[[Class], Class]:
    """Gives the fields of an input that say nothing of themselves the descriptions that the type's have."""
    told = {field.python_name: field.description for field in get_object_definition(model, strict=True).fields}

    def describe(cls: Class) -> Class:
        for field in get_object_definition(cls, strict=True).fields:
            field.description = field.description or told.get(field.python_name)
        return cls

    return describe


def enum(cls: type[Enum], name: str, description: str, values: Mapping[Any, str]) -> None:
    """Show an enum of the domain's under a name, with a sentence for each of its values."""
    shown: Any = strawberry.enum(cls, name=name, description=description)
    sentences = {member.name: sentence for member, sentence in values.items()}
    for value in shown.__strawberry_definition__.values:
        value.description = sentences.pop(value.name)
    assert not sentences, f"{name} has no {sentences}"
