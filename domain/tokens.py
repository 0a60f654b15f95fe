"""Tokens: who holds them, what they may do with them, and until when."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain import texts
from domain.actors import Role
from domain.errors import BadInput
from domain.ids import TokenId
from domain.times import shown

LONGEST_LIFE = timedelta(days=36525)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants a token to be."""

    name: str
    """Of whoever will hold it; the history shows it."""
    role: Role = Role.OPERATOR
    expires_at: datetime | None = None
    """None: never."""


@dataclass(frozen=True, slots=True)
class Token:
    """What lets somebody use the API, but for the token itself, which is kept nowhere."""

    id: TokenId
    name: str
    role: Role
    created_at: datetime
    created_by: str
    last_used_at: datetime | None
    """To the minute."""
    expires_at: datetime | None
    revoked_at: datetime | None
    version: int


def checked(wanted: Wanted, now: datetime) -> Wanted:
    """What is wanted, if it can be; raises BadInput."""
    if wanted.expires_at is not None and wanted.expires_at.tzinfo is None:
        raise BadInput("expiresAt: say of which time zone, as in 2030-01-31T06:00:00Z")
    if wanted.expires_at is not None and not now < wanted.expires_at <= now + LONGEST_LIFE:
        raise BadInput("expiresAt: a moment to come, within a hundred years, or null for never")
    return replace(wanted, name=texts.line("name", wanted.name))


def why_not(token: Token, now: datetime) -> str | None:
    """Why a token lets nobody in any more; None if it does. It is for somebody who holds the token, and so may know."""
    if token.revoked_at is not None:
        return f"the token was revoked on {shown(token.revoked_at)}"
    if token.expires_at is not None and token.expires_at <= now:
        return f"the token expired on {shown(token.expires_at)}"
    return None
