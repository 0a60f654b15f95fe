"""The messages of graphql-transport-ws: https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md."""

import logging
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

from domain.errors import BadInput, Forbidden, Limited, Unauthenticated
from server.bodies import parse_json
from server.graphql.connections import Stopping
from storage.database import Database

log = logging.getLogger(__name__)
PROTOCOL = "graphql-transport-ws"
# It is kept with each operation, and sent with all that it is told; clients take a number or a UUID.
LONGEST_ID = 128
# RFC 6455, 5.5: a control frame carries 125 bytes, two of them the code.
MOST_OF_A_REASON = 123


class Code(IntEnum):
    """Why a connection is closed."""

    TOO_MANY_MESSAGES = 1008
    SERVICE_RESTART = 1012
    """Clients connect again by themselves."""
    TRY_AGAIN_LATER = 1013
    """Clients connect again by themselves."""
    BAD_REQUEST = 4400
    UNAUTHORIZED = 4401
    FORBIDDEN = 4403
    SUBPROTOCOL_NOT_ACCEPTABLE = 4406
    INITIALISATION_TIMEOUT = 4408
    SUBSCRIBER_EXISTS = 4409
    TOO_MANY_INITIALISATIONS = 4429
    INTERNAL = 4500


class Closing(Exception):
    """The connection has to end."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason.encode()[:MOST_OF_A_REASON].decode(errors="ignore")


@dataclass(frozen=True, slots=True)
class Message:
    """What a client says."""

    kind: str
    id: str
    payload: dict[str, Any] | None

    @classmethod
    def read(cls, text: str | None) -> Self:
        """Raises Closing for a binary frame, and BadInput for what is no message."""
        if text is None:
            raise Closing(Code.BAD_REQUEST, "messages are text, not binary")
        return cls._of(parse_json(text))

    @classmethod
    def _of(cls, said: object) -> Self:
        if not isinstance(said, dict):
            raise BadInput("a message is an object with a type")
        kind, id_, payload = said.get("type"), said.get("id"), said.get("payload")
        if not isinstance(kind, str):
            raise BadInput("the type of a message must be a string")
        if kind in ("subscribe", "complete") and not (isinstance(id_, str) and 0 < len(id_) <= LONGEST_ID):
            raise BadInput(f"{kind} must have an id that is a string of 1 to {LONGEST_ID} characters")
        if not isinstance(payload, dict | None):
            raise BadInput(f"the payload of {kind} must be an object")
        return cls(kind, id_ if isinstance(id_, str) else "", payload)


def closing(error: Exception, request: str) -> Closing:
    """With which code a connection ends on which something went wrong; what nobody foresaw is logged whole."""
    if isinstance(error, Closing):
        return error
    if isinstance(error, BadInput):
        return Closing(Code.BAD_REQUEST, str(error))
    if isinstance(error, Unauthenticated | Forbidden):
        return Closing(Code.FORBIDDEN, str(error))
    if isinstance(error, Stopping):
        return Closing(Code.SERVICE_RESTART, str(error))
    if isinstance(error, Limited):
        return Closing(Code.TRY_AGAIN_LATER, str(error))
    if isinstance(error, Database.unavailable):
        log.warning("the database does not answer: %s (request %s)", error, request)
        return Closing(Code.TRY_AGAIN_LATER, "the database does not answer; try again")
    log.error("a connection could not go on (request %s)", request, exc_info=error)
    return Closing(Code.INTERNAL, "internal error")
