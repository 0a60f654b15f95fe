"""Polls that memory answers: “nothing new”, said before any router or middleware is reached.

Everything else goes on to the route: what memory does not know, a device that asks for more than that, a key that does not fit.
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


class FromMemory:
    """An ASGI application in front of another."""

    def __init__(self, app: ASGIApp, polls: Polls, limits: Limits, proxies: Proxies) -> None:
        self._app = app
        self._polls = polls
        self._guesses = limits.guesses
        self._proxies = proxies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a poll that is to be told nothing new, or let the application behind do it."""
        tag = self._unchanged(scope) if scope["type"] == "http" and scope["method"] == "GET" else None
        if tag is None:
            await self._app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", tag), (b"cache-control", b"private, no-cache")]})
        await send({"type": "http.response.body"})

    def _unchanged(self, scope: Scope) -> bytes | None:
        """The entity tag that the device holds, if that is certain to be what it would be told."""
        path = _POLL(scope["path"])
        if path is None:
            return None
        key, held = _sent(scope["headers"])
        if held is None or (scope["client"] and self._guesses.locked(scope["client"][0], path[1])):
            return None
        entry = self._polls.recall(bytes.fromhex(path[1].replace("-", "")), Claim(key, self._is_certified(scope, path[1])))
        if entry is None:
            return None
        tag = etag(entry.version, entry.digest).encode()
        return tag if held in (tag, tag[1:-1], b"W/" + tag) else None

    def _is_certified(self, scope: Scope, uuid: str) -> bool:
        return self._proxies.header is not None and self._proxies.certified(scope) == canonical(uuid)


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
