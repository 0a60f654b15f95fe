"""What a REST caller is told of an error: a status, and the sentence."""

import logging
import math
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from domain.errors import BadInput, Conflict, Forbidden, NotFound, Refused, Unauthenticated, Unavailable
from domain.registries import Unanswered
from storage.database import Database

STATUS: dict[type[Refused], int] = {BadInput: 400, Unauthenticated: 401, Forbidden: 403, NotFound: 404, Conflict: 409}
log = logging.getLogger(__name__)


async def refused(_: Request, error: Exception) -> Response:
    """Somebody asked for what cannot be."""
    status = next(status for kind, status in STATUS.items() if isinstance(error, kind))
    # RFC 9110, 11.6.1: a 401 names a scheme.
    return JSONResponse({"error": str(error)}, status, headers={"www-authenticate": "Bearer"} if status == 401 else None)


async def to_be_mended(_: Request, error: Exception) -> Response:
    """Whoever runs the server reads why in its log; whoever asked need only try again, and not soon."""
    log.error("%s", error)
    return JSONResponse({"error": str(error)}, 503, headers={"retry-after": "60"})


async def http_error(_: Request, error: Exception) -> Response:
    """Starlette's own refusals: no such path, wrong method, body too large."""
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, headers=error.headers)


async def cut_off(_: Request, __: Exception) -> Response:
    """The client hung up in the middle of its request: nobody will read this, and nothing is wrong here."""
    return JSONResponse({"error": "the request was cut off"}, 400)


async def unavailable(_: Request, error: Exception) -> Response:
    """The database is away or too busy: agents try again by themselves."""
    log.warning("the database does not answer: %s", error)
    return JSONResponse({"error": "the database does not answer; try again"}, 503, headers={"retry-after": "5"})


async def unanswered(_: Request, error: Exception) -> Response:
    """Somebody else whom we have to ask does not answer."""
    assert isinstance(error, Unanswered)
    seconds = 30 if error.retry_after is None else math.ceil(error.retry_after.total_seconds())
    return JSONResponse({"error": str(error)}, 503, headers={"retry-after": str(seconds)})


async def internal(_: Request, error: Exception) -> Response:
    """A bug of ours: logged whole by the server, told in two words."""
    return JSONResponse({"error": "internal error"}, 500)


HANDLERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    Refused: refused,
    Unavailable: to_be_mended,
    HTTPException: http_error,
    ClientDisconnect: cut_off,
    Unanswered: unanswered,
    **dict.fromkeys(Database.unavailable, unavailable),
    Exception: internal,
}
