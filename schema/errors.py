"""What a client is told of an error: the sentence and a code for what it caused, “internal error” for what it did not."""

import logging
import re
from collections.abc import Iterable

from graphql import GraphQLError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types import ExecutionResult

from domain.actors import Actor, Permission
from domain.errors import BadInput, Conflict, CursorExpired, Forbidden, Limited, NotFound, Refused, Unauthenticated, Unavailable
from resolvers.context import AWAY

CODES: dict[type[Refused], str] = {
    BadInput: "BAD_USER_INPUT",
    Unauthenticated: "UNAUTHENTICATED",
    Forbidden: "FORBIDDEN",
    NotFound: "NOT_FOUND",
    CursorExpired: "CURSOR_EXPIRED",
    Conflict: "CONFLICT",
    Unavailable: "UNAVAILABLE",
    Limited: "RATE_LIMITED",
}
LONGEST = 1000
# What graphql-core says, and no more, of too many tokens and of too many levels.
_ABORTED = "Parsing aborted."
_HINT = re.compile(r" Did you mean [^?]*\?")
# What Strawberry raises where a client asks for no operation of its document, or for one of a kind that is not told that way.
_THEIRS = (GraphQLError, CannotGetOperationTypeError, InvalidOperationTypeError)
log = logging.getLogger(__name__)


def translate(result: ExecutionResult, actor: Actor) -> ExecutionResult:
    """Give refusals their codes, and keep everything else to the log. As an extension it made 62 of 740 calls of a small query."""
    if result.errors:
        may_look = actor.may(Permission.OPERATE)
        result.errors = [shown(error) if may_look else _without_hints(shown(error)) for error in result.errors]
    return result


def shown(error: GraphQLError) -> GraphQLError:
    """The error as a client sees it; showing it again changes nothing."""
    cause = error.original_error
    if isinstance(cause, Refused):
        return _with_code(error, str(cause), _code(cause))
    if isinstance(cause, AWAY):
        return _with_code(error, "the database does not answer; try again", "UNAVAILABLE")
    if cause is not None and not isinstance(cause, _THEIRS):
        return _with_code(error, "internal error", "INTERNAL")
    return error if error.extensions else _with_code(error, error.message, "TOO_COMPLEX" if _ABORTED in error.message else "BAD_USER_INPUT")


def is_ours(error: GraphQLError) -> bool:
    """Whether this is a bug of ours rather than something the client caused."""
    return error.original_error is not None and not isinstance(error.original_error, (Refused, *_THEIRS, *AWAY))


def log_ours(errors: Iterable[GraphQLError], request: str) -> None:
    """Only our own mistakes are worth a line: a client that sends nonsense would otherwise fill the log."""
    for error in errors:
        if is_ours(error):
            log.error("%s (request %s)", error.message, request, exc_info=error.original_error)


def _without_hints(error: GraphQLError) -> GraphQLError:
    """Whoever may not ask what there is to ask for is not told by the way."""
    error.message = _HINT.sub("", error.message)
    return error


def _code(cause: Refused) -> str:
    return next(code for kind, code in CODES.items() if isinstance(cause, kind))


def _with_code(error: GraphQLError, message: str, code: str) -> GraphQLError:
    message = message if len(message) <= LONGEST else f"{message[:LONGEST]}…"  # what is quoted in it may be most of a document
    return GraphQLError(message, error.nodes, error.source, error.positions, error.path, None, {"code": code})
