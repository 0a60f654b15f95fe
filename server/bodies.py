"""Request bodies: whole, inflated where the agent compressed them, and never larger than allowed."""

import zlib
from typing import Any

import orjson
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import BadInput
from resolvers import documents

MOST_SENT = 1_000_000
# Inflated and read before anybody is known: 10 MB, which the original's server took, held up everybody else for 0.4 s.
MOST_INFLATED = 2_000_000


class Bounded:
    """An application that is sent no body larger than MOST_SENT: reading on raises 413, which is answered like any other refusal."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, _bounded(receive, _told_length(scope)) if scope["type"] == "http" else receive, send)


def _bounded(receive: Receive, told: int) -> Receive:
    """Receive, up to the limit; a length that is told beforehand counts before the first byte."""
    arrived = 0

    async def bounded() -> Message:
        nonlocal arrived
        message = await receive() if told <= MOST_SENT else {}
        arrived += len(message.get("body", b""))
        if max(told, arrived) > MOST_SENT:
            raise HTTPException(413, f"the body is larger than {MOST_SENT} bytes")
        return message

    return bounded


def _told_length(scope: Scope) -> int:
    told = Headers(scope=scope).get("content-length", "")
    return int(told) if told.isascii() and told.isdigit() else 0


async def read_json(request: Request) -> Any:
    """A body as JSON; raises BadInput for what is none."""
    return parse_json(inflated(await request.body(), request.headers.get("content-encoding", "")))


def inflated(body: bytes, encoding: str) -> bytes:
    """Undo gzip; a small body that would become a huge one is refused before it does."""
    if encoding.lower() in ("", "identity"):
        return body
    if encoding.lower() not in ("gzip", "x-gzip"):  # the same, says RFC 9110, 8.4.1.3
        raise HTTPException(415, f"the content encoding “{encoding[:32]}” is not understood; send gzip or none")
    inflater = zlib.decompressobj(wbits=31)
    try:
        whole = inflater.decompress(body, MOST_INFLATED + 1)
    except zlib.error as bad:
        raise BadInput("the body says it is gzip and is not") from bad
    if len(whole) > MOST_INFLATED:
        raise HTTPException(413, f"the body inflates to more than {MOST_INFLATED} bytes")
    if not inflater.eof:
        raise BadInput("the gzip body is cut off")
    return whole


def parse_json(body: bytes | str) -> Any:
    """JSON that can be kept; raises BadInput for any other, and for what is no JSON."""
    try:
        said = orjson.loads(body)
    except orjson.JSONDecodeError as bad:
        raise BadInput(f"the body is not JSON: {bad}") from bad
    documents.check(said, "the body")
    return said
