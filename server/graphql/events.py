"""An operation whose results come as server-sent events: graphql-sse, in its mode of a connection for each operation."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from starlette.types import Message, Receive, Scope, Send
from strawberry.types.execution import PreExecutionError

from server.graphql.answers import reason, told
from server.graphql.channels import Answer, Channel
from server.graphql.connections import Connection, Stopping
from server.graphql.members import CutOff, TooSlow

# Proxies close what is silent for a minute.
QUIET = 15.0
_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would keep events until it has some kB of them
}


class Events:
    """A response that lasts as long as there is something to tell, or the client."""

    def __init__(self, tell: Callable[[Channel], Awaitable[None]], connection: Connection, request: str) -> None:
        self._tell_through = tell
        self._connection = connection
        self._request = request

    async def __call__(self, _: Scope, receive: Receive, send: Send) -> None:
        """Not Starlette's StreamingResponse, which would go on where a client goes away while it is written to."""
        headers = [(name.encode(), value.encode()) for name, value in {**_HEADERS, "x-request-id": self._request}.items()]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        tasks = [asyncio.create_task(one) for one in (self._tell(_Stream(send)), _keep_alive(send), _gone(receive))]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _tell(self, stream: "_Stream") -> None:
        try:
            async with self._connection.lasting():
                await self._tell_through(stream)
        except (CutOff, TooSlow, Stopping):
            await stream.end(b"")  # without the word “complete”, by which clients know to come again
            return
        except Exception as error:
            await stream.say(told(PreExecutionError(None, [reason(error, self._request)]), self._request))
        await stream.end(_event(b"complete", b""))  # a browser's EventSource drops an event without data


class _Stream:
    """What an operation is told through."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def push(self, answers: Sequence[Answer]) -> bool:
        """Send at once, all or nothing: to wake a task for each client takes 26 us of the thread, this 17.

        uvicorn waits before it writes anything, so where it would wait nothing was sent.
        """
        sending = self._send(_part(_events(answers))).__await__()
        try:
            next(sending)
        except StopIteration:
            return True
        sending.close()
        return False

    async def write(self, answers: Sequence[Answer]) -> None:
        """Send, and wait until more can be sent."""
        await self._body(_events(answers))

    async def say(self, payload: bytes) -> None:
        """Send something that has no place among events."""
        await self._body(_event(b"next", payload))

    async def end(self, last: bytes) -> None:
        await self._send({"type": "http.response.body", "body": last, "more_body": False})

    async def _body(self, body: bytes) -> None:
        await self._send(_part(body))
        await asyncio.sleep(0)  # to a client that is gone uvicorn sends without waiting, and nobody else would have a turn


async def _keep_alive(send: Send) -> None:
    while True:
        await asyncio.sleep(QUIET)
        await send(_part(b":\n\n"))


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _part(body: bytes) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": True}


def _events(answers: Sequence[Answer]) -> bytes:
    """Events with ids, cursors by which those who come again say where they were (Last-Event-ID)."""
    return b"".join([b"event: next\nid: %s\ndata: %s\n\n" % (answer.place, answer.payload) for answer in answers])


def _event(event: bytes, data: bytes) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (event, data)
