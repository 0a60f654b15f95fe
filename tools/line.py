"""One device's way to the server, which may be down for a while."""

import time
from dataclasses import dataclass

import aiohttp

# uvicorn ends a connection that is idle for 5 s; who ends it first does not write into one that is just being closed.
KEEP_ALIVE = 4.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said."""

    status: int
    body: bytes
    etag: str


class Line:
    """Asks the server in the name of one device."""

    def __init__(self, http: aiohttp.ClientSession, key: str) -> None:
        self._http = http
        self._key = key
        self._down_until = 0.0

    def cut(self, seconds: float) -> None:
        """Let nothing through for so long."""
        self._down_until = time.monotonic() + seconds

    async def ask(self, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Answer | None:
        """The answer, if there is one."""
        if time.monotonic() < self._down_until:
            return None
        try:
            async with self._http.request(method, path, data=body, headers={"X-Device-API-Key": self._key, **headers}) as answer:
                return Answer(answer.status, await answer.read(), answer.headers.get("ETag", ""))
        except (aiohttp.ClientError, TimeoutError):
            return None
