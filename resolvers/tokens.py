"""Operators' tokens."""

from domain.actors import NOBODY, Actor
from domain.errors import BadInput
from resolvers import keys
from storage import tokens
from storage.database import Database


async def create(db: Database, name: str) -> str:
    """A new operator's token. It is told once and cannot be read again."""
    if not (name := name.strip()):
        raise BadInput("a token needs the name of whoever will hold it")
    token = keys.new("token")
    async with db.transaction() as conn:
        await tokens.insert(conn, name, keys.digest(token))
    return token


async def actor(db: Database, token: str | None) -> Actor:
    """Whoever holds this token, or NOBODY."""
    if token is None:
        return NOBODY
    async with db.reading() as conn:
        name = await tokens.name_of(conn, keys.digest(token))
    return NOBODY if name is None else Actor.operator(name)
