"""Who asks, and what their operations are given.

A token counts only where a program put it: in the Authorization header, or in the payload of connection_init. Browsers add neither by
themselves, as they would a cookie, so a page elsewhere can make them ask, but as nobody: there is nothing to forge (CSRF). Besides, that
header, and JSON as the content type, need a preflight, which only the origins that are set pass.
"""

from dataclasses import replace
from typing import Any

from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from domain.actors import Permission
from resolvers import tokens
from resolvers.context import Context
from schema.session import Session
from server.auth import bearer
from server.wiring import Wiring


async def of(request: HTTPConnection) -> Context:
    """Whose token the request carries; raises Unauthenticated if it is nobody's, before anything else of the request is read."""
    return await _holder(request, request.headers.get("authorization"))


async def introduced(socket: WebSocket, payload: dict[str, Any]) -> Context:
    """Who introduces himself with this; raises Unauthenticated. Browsers cannot set headers on a WebSocket, others may."""
    said = next((value for name, value in payload.items() if name.lower() == "authorization"), None)
    return await _holder(socket, said if isinstance(said, str) else socket.headers.get("authorization"))


def session(connection: HTTPConnection, ctx: Context, request: str) -> Session:
    """What one operation of this caller is given."""
    return Session(replace(ctx, request_id=request), Wiring.of(connection).budget)


async def _holder(connection: HTTPConnection, authorization: str | None) -> Context:
    wiring = Wiring.of(connection)
    actor = await tokens.actor(wiring.db, bearer(authorization))
    actor.must(Permission.READ)
    return wiring.context(actor)
