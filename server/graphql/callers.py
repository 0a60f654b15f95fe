"""Who asks, and what their operations are given.

A token counts only where a program put it: in the Authorization header, or in the payload of connection_init. Browsers add neither by
themselves, as they would a cookie, so a page elsewhere can make them ask, but as nobody: there is nothing to forge (CSRF). Besides, that
header, and JSON as the content type, need a preflight, which only the origins that are set pass.
"""

from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket

from domain.actors import NOBODY
from resolvers import tokens
from resolvers.context import Context
from schema.session import Session
from server.auth import bearer, operator
from server.graphql.messages import Closing, Code
from server.wiring import Wiring


async def of(request: HTTPConnection) -> Context:
    """Whose token the request carries; raises 401 if it is nobody's, before anything else of the request is read."""
    wiring = Wiring.of(request)
    if (actor := await operator(wiring.db, request)) is NOBODY:
        raise HTTPException(401, "a token is required: send it as “Authorization: Bearer …”", {"www-authenticate": "Bearer"})
    return wiring.context(actor)


async def introduced(socket: WebSocket, payload: dict[str, Any]) -> Context:
    """Who introduces himself with this; raises Closing if it is nobody. Browsers cannot set headers on a WebSocket, others may."""
    wiring = Wiring.of(socket)
    said = next((value for name, value in payload.items() if name.lower() == "authorization"), None)
    given = said if isinstance(said, str) else socket.headers.get("authorization")
    if (actor := await tokens.actor(wiring.db, bearer(given))) is NOBODY:
        raise Closing(Code.FORBIDDEN, 'send {"Authorization": "Bearer …"} with connection_init')
    return wiring.context(actor)


def session(ctx: Context, request: str) -> Session:
    """What one operation is given."""
    return Session(ctx, request_id=request)
