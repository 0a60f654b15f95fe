"""Who asks, from what an HTTP request says."""

from starlette.requests import HTTPConnection

from domain.actors import Actor
from resolvers import tokens
from resolvers.context import Context
from server.wiring import Wiring
from storage.database import Database


def bearer(authorization: str | None) -> str | None:
    """The token of an “Authorization: Bearer …” header."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


async def operator(db: Database, request: HTTPConnection) -> Actor:
    """The operator whose token the request carries, or NOBODY."""
    return await tokens.actor(db, bearer(request.headers.get("authorization")))


def device_key(request: HTTPConnection) -> str | None:
    """The key a device sends, in either of the two headers that agents use."""
    return request.headers.get("x-device-api-key") or bearer(request.headers.get("authorization"))


def anybody(request: HTTPConnection) -> Context:
    """What a use case is given while nobody has proved who asks: devices do that themselves."""
    return Wiring.of(request).context(Actor("device"))
