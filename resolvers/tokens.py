"""Tokens: who lets whom use the API, and who it is that uses it."""

from collections.abc import Sequence
from datetime import timedelta

from domain import expected
from domain import tokens as rules
from domain.actors import NOBODY, Actor, Permission, Role
from domain.audit import Action, Subject, SubjectType
from domain.errors import NotFound, Unauthenticated
from domain.ids import TokenId
from domain.tokens import Token, Wanted
from resolvers import keys
from resolvers.changing import Change, changing
from resolvers.context import Context
from storage import tokens
from storage.database import Database

MACHINE = Actor.administrator("command line")
"""Whoever has the machine, and so may anything."""


async def create(ctx: Context, wanted: Wanted, *, idempotency_key: str | None = None) -> tuple[Token, str | None]:
    """A token for somebody. It is told once and cannot be read again. Raises BadInput.

    Asked again under the same idempotency key it is what is known of that one, as it is by then, and None in the place of the token itself:
    who has not heard that revokes it and makes another.
    """
    async with ctx.changing(Action.CREATE_TOKEN) as change:
        if made := await change.made_before(idempotency_key, wanted):
            [token] = await tokens.many(change.conn, [TokenId(made)])
            return token, None
        return await _create(change, wanted, ctx.actor)


async def issue(db: Database, name: str, role: Role = Role.ADMINISTRATOR, life: timedelta | None = None) -> str:
    """The same for whoever has the machine, where nobody has a token yet, or the last one is lost."""
    async with changing(db, MACHINE, Action.CREATE_TOKEN, None) as change:
        _, secret = await _create(change, Wanted(name, role, None if life is None else change.now + life), MACHINE)
    return secret


async def _create(change: Change, wanted: Wanted, by: Actor) -> tuple[Token, str]:
    checked, secret = rules.checked(wanted, change.now), keys.new("token")
    token = await tokens.insert(change.conn, checked, keys.digest(secret), by.name, change.now)
    change.of(_subject(token.id), name=token.name, role=token.role, expires_at=token.expires_at)
    return token, secret


async def revoke(ctx: Context, token: TokenId, *, expected_version: int | None = None) -> Token:
    """Have a token let nobody in any more, from the next request on; one that was revoked before stays as it is.

    Also the last administrator's: one that has leaked must be of no use at once, and whoever has the machine can always make another.
    """
    async with ctx.changing(Action.REVOKE_TOKEN) as change:
        before = await tokens.locked(change.conn, token)
        if before is None:
            raise NotFound.of("token", token)
        expected.check(f"token {token}", before.version, expected_version)
        revoked = await tokens.revoke(change.conn, token, change.now)
        if revoked.version != before.version:
            change.of(_subject(token), name=revoked.name)
    return revoked


async def actor(db: Database, token: str | None) -> Actor:
    """Whoever holds this token, or a stranger. Why a token of ours counts no more is told to nobody but its holder.

    Asked of the database every time, so that a token that is revoked is of no use from that moment on, in any process.
    """
    if token is None:
        return NOBODY
    async with db.reading() as conn:
        if (found := await tokens.by_hash(conn, keys.digest(token))) is None:
            return UNKNOWN
        known, is_to_be_noted = found
        if (known.revoked_at or known.expires_at) and (why := rules.why_not(known, await db.now(conn))):
            return Actor(known.name, refused=_sentence(why))
        if is_to_be_noted:
            await tokens.note_use(conn, known.id)
    return Actor.of(known.name, known.role, known.id)


async def gone(db: Database, some: Sequence[TokenId]) -> dict[TokenId, Unauthenticated]:
    """Those of these tokens that let nobody in any more, and why, for their holders."""
    async with db.reading() as conn:
        if not (ending := await tokens.ending(conn, some)):
            return {}
        now = await db.now(conn)
    return {token.id: Unauthenticated(_sentence(why)) for token in ending if (why := rules.why_not(token, now))}


def _sentence(why: str) -> str:
    return f"{why}: ask for another one"


UNKNOWN = Actor("nobody", refused="the token is unknown: send one of this server's as “Authorization: Bearer …”")


async def one(ctx: Context, token: TokenId) -> Token | None:
    """One token, whether or not it still lets anybody in."""
    return (await many(ctx, [token])).get(token)


async def many(ctx: Context, some: Sequence[TokenId]) -> dict[TokenId, Token]:
    """Those of these tokens that there are."""
    ctx.actor.must(Permission.ADMINISTER)
    async with ctx.db.reading() as conn:
        return {token.id: token for token in await tokens.many(conn, some)}


async def page(ctx: Context, after: TokenId, limit: int) -> list[Token]:
    """Tokens in the order they were made."""
    ctx.actor.must(Permission.ADMINISTER)
    async with ctx.db.reading() as conn:
        return await tokens.page(conn, after, limit)


async def count(ctx: Context) -> int:
    """How many there are, revoked ones included."""
    ctx.actor.must(Permission.ADMINISTER)
    async with ctx.db.reading() as conn:
        return await tokens.count(conn)


def _subject(token: TokenId) -> Subject:
    return Subject.of(SubjectType.TOKEN, token)
