"""What a client asks: the parameters of an operation, of the right shape, whichever way they came."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from starlette.exceptions import HTTPException
from starlette.requests import Request

from domain.errors import BadInput
from server.bodies import inflated, parse_json

_SHAPES: dict[str, tuple[type, str]] = {
    "query": (str, "a string"),
    "documentId": (str, "a string"),
    "operationName": (str, "a string"),
    "variables": (dict, "an object"),
    "extensions": (dict, "an object"),
}
_CHARSET = re.compile(r";\s*charset\s*=\s*\"?([^\s;\"]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Asked:
    """One operation that is to be executed."""

    query: str | None
    """The document itself, unless only its id is given."""
    document: str | None = None
    """The id of a trusted document."""
    operation: str | None = None
    variables: dict[str, Any] | None = None
    extensions: dict[str, Any] | None = None

    @classmethod
    def of(cls, parameters: object) -> Self:
        """What these parameters say; raises BadInput for those of another shape. A list would be a batch, which nobody counts."""
        if not isinstance(parameters, dict):
            raise BadInput("an operation is an object with a query")
        for name, (kind, words) in _SHAPES.items():
            if not isinstance(parameters.get(name), kind | None):
                raise BadInput(f"{name} must be {words}")
        asked = cls(
            parameters.get("query") or None,
            parameters.get("documentId") or _hash(parameters.get("extensions") or {}),
            parameters.get("operationName"),
            parameters.get("variables"),
            parameters.get("extensions"),
        )
        if asked.query is None and asked.document is None:
            raise BadInput("a query is missing, or a documentId")
        return asked


def in_address(request: Request) -> Asked:
    """What the parameters of a GET ask."""
    given: Mapping[str, str] = request.query_params
    parameters: dict[str, Any] = {name: value for name in _SHAPES if (value := given.get(name))}
    for name in ("variables", "extensions"):
        if name in parameters:
            parameters[name] = parse_json(parameters[name])
    return Asked.of(parameters)


async def in_body(request: Request) -> Asked:
    """What the body of a POST asks."""
    headers = request.headers
    _must_be_json(headers.get("content-type", ""))
    return Asked.of(parse_json(inflated(await request.body(), headers.get("content-encoding", ""))))


def _must_be_json(content_type: str) -> None:
    """Forms and plain text are what a page elsewhere may post without a preflight, so nothing is ever read from them."""
    media = content_type.partition(";")[0].strip().lower()
    charset = _CHARSET.search(content_type)
    if media != "application/json" or (charset and charset[1].lower() not in ("utf-8", "utf8")):
        raise HTTPException(415, "the body must be application/json in UTF-8", {"accept-post": "application/json"})


def _hash(extensions: dict[str, Any]) -> str | None:
    """The id as Apollo's clients send it."""
    persisted = extensions.get("persistedQuery")
    if persisted is None:
        return None
    if not isinstance(persisted, dict) or not isinstance(hashed := persisted.get("sha256Hash"), str):
        raise BadInput("extensions.persistedQuery must be an object with a sha256Hash")
    return hashed
