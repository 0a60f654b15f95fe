"""One WebSocket that speaks graphql-transport-ws: what runs on it, and how it ends."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress

from graphql import GraphQLError
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.types.execution import ExecutionResult

from domain.errors import BadInput
from resolvers.context import AWAY
from schema.session import Session
from server.auth import address
from server.graphql import callers, requests
from server.graphql.answers import encoded, is_request_error, named, payload, reason
from server.graphql.asked import Asked
from server.graphql.callers import Caller
from server.graphql.channels import Answer
from server.graphql.connections import Connection, Transport
from server.graphql.members import CutOff, TooSlow
from server.graphql.messages import PROTOCOL, Closing, Code, Message, closing
from server.graphql.operations import Operations
from server.graphql.pace import Pace
from server.slow_readers import PUSH
from server.wiring import Wiring

log = logging.getLogger(__name__)
# Whoever connects and does not introduce himself holds a connection for nothing.
PATIENCE = 10.0
MOST_OPERATIONS = 50
# A page that follows 50 things at once and leaves them says 101 messages; after that, pings and little more.
AT_ONCE, PER_SECOND = 200, 20.0


class Socket:
    """A connection, from its handshake to the code it is closed with."""

    def __init__(self, socket: WebSocket, operations: Operations) -> None:
        self._socket = socket
        self._operations = operations
        self._request = requests.name(socket)
        self._push = socket.scope["extensions"][PUSH]
        self._pace = Pace(AT_ONCE, PER_SECOND)
        self._begun = 0
        self._running: dict[str, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        """What runs, and what was left and is still clearing up."""

    async def serve(self) -> None:
        """Answer until one side ends it; whatever goes wrong here has a code."""
        is_spoken = PROTOCOL in self._socket.scope["subprotocols"]
        await self._socket.accept(PROTOCOL if is_spoken else None)
        try:
            if not is_spoken:
                raise Closing(Code.SUBPROTOCOL_NOT_ACCEPTABLE, f"the subprotocol here is {PROTOCOL}")
            with Wiring.of(self._socket).connections.opened(address(self._socket), Transport.WEBSOCKET) as connection:
                async with connection.lasting():
                    await self._converse(connection)
        except WebSocketDisconnect:
            pass
        except Exception as error:
            await self._close(closing(error, self._request))
        finally:
            await self._stop()

    async def _converse(self, connection: Connection) -> None:
        caller = callers.introduced(self._socket, (await self._introduction()).payload or {})
        connection.belongs_to((await caller.context()).actor)
        await self._send({"type": "connection_ack"})
        while True:
            await self._heed(await self._message(), caller)

    async def _introduction(self) -> Message:
        try:
            async with asyncio.timeout(PATIENCE):
                while (message := await self._message()).kind != "connection_init":
                    await self._heed_stranger(message)
        except TimeoutError as late:
            raise Closing(Code.INITIALISATION_TIMEOUT, f"connection_init did not come within {PATIENCE:g} s") from late
        return message

    async def _heed_stranger(self, message: Message) -> None:
        if message.kind == "subscribe":
            raise Closing(Code.UNAUTHORIZED, "connection_init comes first")
        await self._heed_any(message)

    async def _heed(self, message: Message, caller: Caller) -> None:
        match message.kind:
            case "subscribe":
                await self._subscribe(message, caller)
            case "complete":
                self._leave(message.id)
            case "connection_init":
                raise Closing(Code.TOO_MANY_INITIALISATIONS, "connection_init came before")
            case _:
                await self._heed_any(message)

    async def _heed_any(self, message: Message) -> None:
        match message.kind:
            case "ping":
                await self._send({"type": "pong"} | ({"payload": message.payload} if message.payload else {}))
            case "pong" | "complete":
                pass
            case unknown:
                raise Closing(Code.BAD_REQUEST, f"clients send no “{unknown}”")

    async def _subscribe(self, message: Message, caller: Caller) -> None:
        if message.id in self._running:
            raise Closing(Code.SUBSCRIBER_EXISTS, f"Subscriber for {message.id} already exists")  # in the words of the protocol
        if message.payload is None:
            raise BadInput("the payload of subscribe must be an object")
        asked = Asked.of(message.payload)
        if len(self._tasks) >= MOST_OPERATIONS:
            await self._refuse(message.id)
        else:
            await self._begin(message.id, asked, caller)

    async def _begin(self, id_: str, asked: Asked, caller: Caller) -> None:
        self._begun += 1
        session = await caller.session(f"{self._request}.{self._begun}")
        self._running[id_] = task = asyncio.create_task(self._run(id_, asked, session))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _leave(self, id_: str) -> None:
        if task := self._running.pop(id_, None):
            task.cancel()

    async def _run(self, id_: str, asked: Asked, session: Session) -> None:
        try:
            last = await self._tell(id_, asked, session)
        except (WebSocketDisconnect, CutOff):
            return
        except TooSlow:
            await self._close(Closing(Code.TRY_AGAIN_LATER, "too slow: come again after the last cursor"))
            return
        except AWAY as away:
            await self._close(closing(away, session.request_id))
            return
        except Exception as error:
            last = {"type": "error", "payload": [named(reason(error, session.request_id), session.request_id)]}
        del self._running[id_]  # before the last message, after which the client may use the id again
        with suppress(WebSocketDisconnect):
            await self._send({"id": id_, **last})

    async def _tell(self, id_: str, asked: Asked, session: Session) -> dict[str, object]:
        """Say all there is to say, but for the last message."""
        begun = await self._operations.begin(asked, session)
        if isinstance(begun, ExecutionResult) and is_request_error(begun):
            return {"type": "error", "payload": payload(begun, session.request_id)["errors"]}
        await self._operations.tell(begun, session, _Frames(self, id_))
        return {"type": "complete"}

    async def _refuse(self, id_: str) -> None:
        error = GraphQLError(f"more than {MOST_OPERATIONS} operations at once on one connection", extensions={"code": "RATE_LIMITED"})
        await self._send({"id": id_, "type": "error", "payload": [error.formatted]})

    async def _message(self) -> Message:
        received = await self._socket.receive()
        if received["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(received["code"])
        if not self._pace.allows():
            raise Closing(Code.TOO_MANY_MESSAGES, f"more than {PER_SECOND:g} messages a second")
        return Message.read(received.get("text"))

    async def _send(self, message: dict[str, object]) -> None:
        await self.write(encoded(message))

    def push(self, messages: Sequence[bytes]) -> bool:
        """Send at once, all or nothing."""
        pushed: bool = self._push(messages)
        return pushed

    async def write(self, message: bytes) -> None:
        """Send, and wait until more can be sent; raises WebSocketDisconnect."""
        try:
            await self._socket.send_text(message.decode())  # clients do not look into binary frames
        except RuntimeError as closed:
            # uvicorn closed it in the meantime: a frame too large, a ping that was not answered.
            raise WebSocketDisconnect(1006) from closed

    async def _close(self, closing: Closing) -> None:
        for task in self._tasks - {asyncio.current_task()}:
            task.cancel()  # nobody may say anything after the end
        with suppress(WebSocketDisconnect, RuntimeError):
            await self._socket.close(closing.code, closing.reason)

    async def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._running.clear()  # a task that was cancelled remembers where, and so this


class _Frames:
    """What one operation is told through."""

    def __init__(self, socket: Socket, id_: str) -> None:
        self._socket = socket
        self._head = b'{"id":%s,"type":"next","payload":' % encoded(id_)

    def push(self, answers: Sequence[Answer]) -> bool:
        """Send at once, all or nothing."""
        return self._socket.push([b"%s%s}" % (self._head, answer.payload) for answer in answers])

    async def write(self, answers: Sequence[Answer]) -> None:
        """Send, and wait until more can be sent."""
        for answer in answers:
            await self.say(answer.payload)

    async def say(self, payload: bytes) -> None:
        """Send something that has no place among events."""
        await self._socket.write(b"%s%s}" % (self._head, payload))
