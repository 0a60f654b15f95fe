"""Polls that memory answers, before any router or middleware is reached.

Everything else goes on to the route: what memory does not know, a key that does not fit, headers as few agents send them.
"""

import re
from collections.abc import Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from resolvers.answers import etag
from resolvers.devices import canonical
from resolvers.identity import Claim
from resolvers.polls import Polls
from server.limits import Limits
from server.proxies import Proxies

_POLL = re.compile(r"/api/v1/device/([0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12})/state").fullmatch
_OURS = re.compile(rb'(?:W/)?"?\d+-[0-9a-f]{32}"?').fullmatch
_CACHED = (b"cache-control", b"private, no-cache")


class FromMemory:
    """An ASGI application in front of another."""

    def __init__(self, app: ASGIApp, polls: Polls, limits: Limits, proxies: Proxies) -> None:
        self._app = app
        self._polls = polls
        self._guesses = limits.guesses
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a poll, or let the application behind do it."""
        path = _POLL(scope["path"]) if scope["type"] == "http" and scope["method"] == "GET" else None
        if path is None or not await self._answered(scope, path[1], send):
            await self._app(scope, receive, send)

    async def _answered(self, scope: Scope, uuid: str, send: Send) -> bool:
        """Whether memory had an answer, and it was sent."""
        key, held = _sent(scope["headers"])
        if scope["client"] and self._guesses.locked(scope["client"][0], uuid):
            return False
        raw, claim = bytes.fromhex(uuid.replace("-", "")), Claim(key, self._is_certified(scope, uuid))
        entry = self._polls.recall(raw, claim)
        if entry is None:
            return False
        if held is not None and held in _forms(tag := etag(entry.version, entry.digest).encode()):
            await _not_modified(send, tag)
            return True
        body = await self._polls.whole(raw, entry) if held is None or _OURS(held) else None
        if body is not None:
            await _whole(send, etag(body.version, body.digest).encode(), body.to(uuid, raw, self._polls.pace))
        return body is not None

    def _is_certified(self, scope: Scope, uuid: str) -> bool:
        return self._proxies.header is not None and self._proxies.certified(scope) == canonical(uuid)


def _forms(tag: bytes) -> tuple[bytes, ...]:
    """A tag as agents send it, alone: some without quotes, some as a weak one."""
    return tag, tag[1:-1], b"W/" + tag, b"W/" + tag[1:-1]


async def _not_modified(send: Send, tag: bytes) -> None:
    await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", tag), _CACHED]})
    await send({"type": "http.response.body"})


async def _whole(send: Send, tag: bytes, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)), (b"etag", tag), _CACHED]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _sent(headers: Iterable[tuple[bytes, bytes]]) -> tuple[str | None, bytes | None]:
    """The key, where it is sent under its own name, and the entity tag. Who sends either otherwise is answered by the route."""
    key = held = None
    for name, value in headers:
        if name == b"x-device-api-key":
            key = value.decode("latin-1")
        elif name == b"if-none-match":
            held = value
        elif name == b"authorization" and key is None and value[:7].lower() == b"bearer ":
            key = value[7:].decode("latin-1").strip()
    return key, held
