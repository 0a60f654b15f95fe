"""Who asks, and what they may do."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from domain.errors import Forbidden, Unauthenticated
from domain.ids import TokenId


class Permission(StrEnum):
    """What an actor may do through the API."""

    READ = "read"
    OPERATE = "operate"
    ADMINISTER = "administer"
    """Hand out tokens, and read who did what."""


class Role(StrEnum):
    """What a token is for."""

    READER = "reader"
    OPERATOR = "operator"
    ADMINISTRATOR = "administrator"

    @property
    def permissions(self) -> frozenset[Permission]:
        """What its holder may do."""
        return _PERMISSIONS[self]


_PERMISSIONS = {
    Role.READER: frozenset({Permission.READ}),
    Role.OPERATOR: frozenset({Permission.READ, Permission.OPERATE}),
    Role.ADMINISTRATOR: frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody, or something, that asks for a thing to happen; `name` is what the history shows."""

    name: str
    permissions: frozenset[Permission] = frozenset()
    token: TokenId | None = None
    """Of those who came with one."""
    refused: str | None = None
    """Why this is nobody we know; None for everybody else."""

    @classmethod
    def of(cls, name: str, role: Role, token: TokenId | None = None) -> Self:
        """Whoever has this role."""
        return cls(name, role.permissions, token)

    @classmethod
    def operator(cls, name: str) -> Self:
        """An operator, who came without a token."""
        return cls.of(name, Role.OPERATOR)

    @classmethod
    def administrator(cls, name: str) -> Self:
        """An administrator, who came without a token."""
        return cls.of(name, Role.ADMINISTRATOR)

    @property
    def is_known(self) -> bool:
        """Whether this is anybody: who is not, is not even told what there is."""
        return self.refused is None

    def may(self, permission: Permission) -> bool:
        """Whether this actor may do it."""
        return permission in self.permissions

    def must_be_known(self) -> None:
        """Raise Unauthenticated for a stranger."""
        if self.refused is not None:
            raise Unauthenticated(self.refused)

    def must(self, permission: Permission) -> None:
        """Raise Unauthenticated or Forbidden unless this actor may do it."""
        self.must_be_known()
        if not self.may(permission):
            raise Forbidden(f"{self.name} may not {permission}: that takes a token of the role {_LEAST[permission]}")


_LEAST = {permission: next(role for role in Role if permission in role.permissions) for permission in Permission}


NOBODY = Actor("nobody", refused="a token is required: send it as “Authorization: Bearer …”")
ENGINE = Actor("rollwave", frozenset(Permission))
