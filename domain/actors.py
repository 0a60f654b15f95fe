"""Who asks, and what they may do."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from domain.errors import Forbidden, Unauthenticated


class Permission(StrEnum):
    """What an actor may do through the API."""

    READ = "read"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody, or something, that asks for a thing to happen; `name` is what the history shows."""

    name: str
    permissions: frozenset[Permission] = frozenset()

    @classmethod
    def operator(cls, name: str) -> Self:
        """Whoever holds an operator's token."""
        return cls(name, frozenset(Permission))

    def must(self, permission: Permission) -> None:
        """Raise Unauthenticated or Forbidden unless this actor may do it."""
        if self is NOBODY:
            raise Unauthenticated("an operator token is required: send it as “Authorization: Bearer …”")
        if permission not in self.permissions:
            raise Forbidden(f"{self.name} may not {permission}")


NOBODY = Actor("nobody")
ENGINE = Actor("rollwave", frozenset(Permission))
