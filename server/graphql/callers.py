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


class Caller:
    """The holder of a token, for as long as it lets him in."""

    def __init__(self, wiring: Wiring, authorization: str | None) -> None:
        self._wiring = wiring
        self._token = bearer(authorization)

    async def context(self) -> Context:
        """What his use cases are given; raises Unauthenticated if the token is nobody's any more."""
        actor = await tokens.actor(self._wiring.db, self._token)
        actor.must(Permission.READ)
        return self._wiring.context(actor)

    async def session(self, request: str) -> Session:
        """What one operation of his is given; a token that was revoked begins none."""
        return Session(replace(await self.context(), request_id=request), self._wiring.budget)


def of(request: HTTPConnection) -> Caller:
    """Whose token a request carries."""
    return Caller(Wiring.of(request), request.headers.get("authorization"))


def introduced(socket: WebSocket, payload: dict[str, Any]) -> Caller:
    """Who introduces himself with this. Browsers cannot set headers on a WebSocket, others may."""
    said = next((value for name, value in payload.items() if name.lower() == "authorization"), None)
    return Caller(Wiring.of(socket), said if isinstance(said, str) else socket.headers.get("authorization"))
