"""An operation whose results come as server-sent events: graphql-sse, in its mode of a connection for each operation."""

import asyncio
import logging
from contextlib import aclosing

from starlette.types import Receive, Scope, Send

from schema.session import Session
from server.graphql.answers import told
from server.graphql.operations import Results

log = logging.getLogger(__name__)
# Proxies close what is silent for a minute.
QUIET = 15.0
_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would keep events until it has some kB of them
}


class Events:
    """A response that lasts as long as the results, or the client."""

    def __init__(self, results: Results, session: Session) -> None:
        self._results = results
        self._request = session.request_id
        self._feed = session.ctx.feed

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Not Starlette's StreamingResponse: that leaves the results unclosed where a client goes away while it is written to."""
        headers = [(name.encode(), value.encode()) for name, value in {**_HEADERS, "x-request-id": self._request}.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        tasks = [asyncio.create_task(one) for one in (self._tell(send), _keep_alive(send), _gone(receive))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, send: Send) -> None:
        try:
            async with aclosing(self._results) as results:
                async for result in results:
                    await send(_chunk(b"next", told(result, self._request)))
                    await asyncio.sleep(0)  # to a client that is gone uvicorn sends without waiting, and nobody else would have a turn
        except Exception:
            log.exception("events could not be told (request %s)", self._request)
        # A stream that ends without that word was cut off, and clients come again. A browser's EventSource drops an event without data.
        last = {"type": "http.response.body"} if self._feed.is_closed else _chunk(b"complete", b"")
        await send({**last, "more_body": False})


async def _keep_alive(send: Send) -> None:
    while True:
        await asyncio.sleep(QUIET)
        await send({"type": "http.response.body", "body": b":\n\n", "more_body": True})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _chunk(event: bytes, data: bytes) -> dict[str, object]:
    return {"type": "http.response.body", "body": b"event: %s\ndata: %s\n\n" % (event, data), "more_body": True}
