"""Changing something: the transaction it is done in, what it answers to who asks twice, and the entry that says who did it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from domain import idempotency as rules
from domain.actors import Actor
from domain.audit import Action, Subject
from domain.errors import KeyReused
from storage import audit, idempotency
from storage.connection import Connection
from storage.database import Database


class Change:
    """What one request changes."""

    def __init__(self, conn: Connection, now: datetime, actor: Actor, action: Action) -> None:
        self.conn = conn
        self.now = now
        self._actor = actor
        self._action = action
        self._key: str | None = None
        self.changed: list[tuple[Subject, dict[str, Any]]] = []

    def of(self, subject: Subject, **details: Any) -> None:
        """Have it on record that this was changed, with what was asked for. No secrets: whoever administers reads it for ever."""
        self.changed.append((subject, details))

    async def made_before(self, key: str | None, request: object) -> int | None:
        """The number of what the same request has made already, under this idempotency key; None to go on and make it.

        To be asked before anything else, so that whoever comes second waits without holding anything. Raises KeyReused for another
        request under the same key; a request that is refused leaves the key free.
        """
        if key is None:
            return None
        rules.check_key(key)
        fingerprint = rules.fingerprint(request)
        kept = await idempotency.take(self.conn, self._caller, key, self._action, fingerprint, self.now)
        if (kept.action, kept.fingerprint) != (self._action, fingerprint):
            raise KeyReused("idempotencyKey: it was used for another request; take another key")
        self._key = key
        return None if kept.subject is None else int(kept.subject)

    async def keep(self, request_id: str | None) -> None:
        """Write down what was changed, and what was made for the key."""
        if not self.changed:
            return
        if self._key is not None:
            [(made, _)] = self.changed
            await idempotency.made(self.conn, self._caller, self._key, made.key)
        await audit.record(self.conn, self._actor, self._action, self.changed, request_id, self.now)

    @property
    def _caller(self) -> str:
        """Whose key it is: keys of one token mean nothing under another."""
        return f"actor {self._actor.name}" if self._actor.token is None else f"token {self._actor.token}"


@asynccontextmanager
async def changing(db: Database, actor: Actor, action: Action, request_id: str | None) -> AsyncIterator[Change]:
    """One transaction in which an actor, who must be allowed to, does this; what it changes is told of last, or not at all."""
    actor.must(action.permission)
    async with db.transaction() as conn:
        change = Change(conn, await db.now(conn), actor, action)
        yield change
        await change.keep(request_id)
