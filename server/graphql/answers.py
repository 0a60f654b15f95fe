"""Results and refusals, in the words of the GraphQL specification."""

import json
import logging
from typing import Any

import orjson
from graphql import GraphQLError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from strawberry.types.execution import ExecutionResult, PreExecutionError

from domain.errors import Limited, Refused, Unauthenticated
from schema.errors import is_ours, shown
from server.graphql.negotiation import GRAPHQL, JSON
from storage.database import Database

log = logging.getLogger(__name__)
# Of an operation that was not executed, with the newer media type. The older one may as well be a proxy's, so its clients trust an answer
# only when it is a 200. The draft of August 2026 wants 422 here; the audits, and what clients know, 400.
REQUEST_ERROR = 400
STATUS = {
    "BAD_USER_INPUT": 400,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}
# A hundred devices that report 100 kB each.
MOST_TOLD = 10_000_000
CODES = {status: code for code, status in STATUS.items()}


def encoded(said: object) -> bytes:
    """JSON; with the standard library where an integer has more than 64 bits."""
    try:
        return orjson.dumps(said)
    except TypeError:
        return json.dumps(said, separators=(",", ":")).encode()


def payload(result: ExecutionResult, request: str) -> dict[str, Any]:
    """A result as clients read it; without `data` if nothing was executed."""
    said: dict[str, Any] = {"errors": [named(error, request) for error in result.errors]} if result.errors else {}
    if not is_request_error(result):
        said["data"] = result.data
    if result.extensions:
        said["extensions"] = result.extensions
    return said


def told(result: ExecutionResult, request: str) -> bytes:
    """The same as JSON; an error in its place where that is larger than anybody reads: a few such answers would fill the memory."""
    whole = encoded(payload(result, request))
    if len(whole) <= MOST_TOLD:
        return whole
    sentence = f"the answer has {len(whole):,} bytes; {MOST_TOLD:,} are the most: ask for fewer at once"
    return encoded({"errors": [{"message": sentence, "extensions": {"code": "TOO_COMPLEX"}}]})


def named(error: GraphQLError, request: str) -> Any:
    """An error as clients read it. One that is ours names the request, so that whoever reads the log finds it."""
    told: Any = shown(error).formatted
    if (extensions := told.get("extensions", {})).get("code") == "INTERNAL":
        told["extensions"] = {"requestId": request, **extensions}
    return told


def reason(error: Exception, request: str) -> GraphQLError:
    """Why nothing more is told of an operation; what nobody foresaw is logged whole."""
    told = error if isinstance(error, GraphQLError) else GraphQLError("", original_error=error)
    if is_ours(told):
        log.error("an operation could not be answered (request %s)", request, exc_info=told.original_error)
    return told


def shared_reason(error: Exception, request: str) -> GraphQLError:
    """The same for many at once: it is logged here, under a name that all of them are told, and not again for each."""
    told = named(reason(error, request), request)
    return GraphQLError(told["message"], extensions=told["extensions"])


def is_request_error(result: ExecutionResult) -> bool:
    """Whether the operation was not executed at all, or a subscription goes on no more; what failed while it was executed has a path."""
    if isinstance(result, PreExecutionError):
        return True
    return result.data is None and bool(result.errors) and all(error.path is None for error in result.errors or ())


def answer(result: ExecutionResult, media: str, request: str) -> Response:
    """A result over HTTP."""
    if not is_request_error(result):
        return _response(told(result, request), 200, media, request)
    said = payload(result, request)
    first = said["errors"][0].get("extensions", {})
    status = STATUS["RATE_LIMITED"] if first.get("code") == "RATE_LIMITED" else REQUEST_ERROR
    headers = {"retry-after": str(seconds)} if (seconds := first.get("retryAfterSeconds")) else {}
    return _response(encoded(said), status if media == GRAPHQL else 200, media, request, headers)


def refusal(error: Exception, media: str | None, request: str) -> Response:
    """Why a request is no operation that could be executed; what nobody foresaw is logged whole and told in two words."""
    status, message, headers = _reason(error, request)
    code = CODES.get(status, "BAD_USER_INPUT")  # 405, 406, 413, 415
    said = {"message": message, "extensions": {"code": code} | ({"requestId": request} if code == "INTERNAL" else {})}
    return _response(encoded({"errors": [said]}), status, media or JSON, request, headers)


def _reason(error: Exception, request: str) -> tuple[int, str, dict[str, str]]:
    if isinstance(error, HTTPException):
        return error.status_code, error.detail, dict(error.headers or {})
    if isinstance(error, Refused):
        status = STATUS[named(GraphQLError("", original_error=error), request)["extensions"]["code"]]
        return status, str(error), _headers(error)
    if isinstance(error, Database.unavailable):
        log.warning("the database does not answer: %s (request %s)", error, request)
        return 503, "the database does not answer; try again", {"retry-after": "5"}
    log.error("a request could not be answered (request %s)", request, exc_info=error)
    return 500, "internal error", {}


def _headers(error: Refused) -> dict[str, str]:
    if isinstance(error, Unauthenticated):
        return {"www-authenticate": "Bearer"}  # RFC 9110, 11.6.1: a 401 names a scheme
    return {"retry-after": str(error.retry_after)} if isinstance(error, Limited) else {}


def _response(body: bytes, status: int, media: str, request: str, headers: dict[str, str] | None = None) -> Response:
    head = {"content-type": f"{media}; charset=utf-8", "cache-control": "no-store", "x-request-id": request, **(headers or {})}
    return Response(body, status, head)
