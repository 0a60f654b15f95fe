"""One operation after the other on one WebSocket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self

import orjson
from websockets.asyncio.client import ClientConnection, connect

from tools.lines import PROTOCOL


class Conversation:
    """Of somebody whose token is good."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._begun = 0

    @classmethod
    @asynccontextmanager
    async def on(cls, url: str, token: str, **more: Any) -> AsyncIterator[Self]:
        """Begin it; it is closed when the block ends."""
        address = f"{url.replace('http', 'ws', 1)}/graphql"
        async with connect(address, subprotocols=[PROTOCOL], proxy=None, compression=None, ping_interval=None, **more) as socket:
            conversation = cls(socket)
            await conversation.say({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}})
            assert (await conversation.hear())["type"] == "connection_ack"
            yield conversation

    async def say(self, message: dict[str, Any]) -> None:
        await self.socket.send(orjson.dumps(message).decode())

    async def hear(self) -> Any:
        return orjson.loads(await self.socket.recv())

    async def asked(self, query: str, **variables: Any) -> Any:
        """The answer to a query."""
        [answer] = await self._heard(await self.begin(query, **variables), 1)
        return answer

    async def told(self, subscription: str, count: int, **variables: Any) -> list[Any]:
        """The first that a subscription tells; then it is left."""
        id_ = await self.begin(subscription, **variables)
        told = await self._heard(id_, count)
        await self.say({"type": "complete", "id": id_})
        return told

    async def begin(self, query: str, **variables: Any) -> str:
        """Ask for something; its id."""
        self._begun += 1
        await self.say({"type": "subscribe", "id": str(self._begun), "payload": {"query": query, "variables": variables}})
        return str(self._begun)

    async def _heard(self, id_: str, count: int) -> list[Any]:
        """What is said of one operation; others have been left, but may have more to say."""
        told: list[Any] = []
        while len(told) < count:
            if (message := await self.hear())["id"] == id_:
                assert message["type"] == "next", message
                assert "errors" not in message["payload"], message
                told.append(message["payload"]["data"])
        return told


Leave = Callable[[Conversation, list[str]], Awaitable[None]]


async def come_and_go(url: str, token: str, queries: Sequence[str], **variables: Any) -> None:
    """A thousand subscriptions, fifty on a connection; each is told something, and is then left in one of three ways."""
    leave = (_abort, _complete, _say_nothing)
    await asyncio.gather(*(_one(url, token, queries, leave[number % 3], **variables) for number in range(20)))


async def _one(url: str, token: str, queries: Sequence[str], leave: Leave, **variables: Any) -> None:
    async with Conversation.on(url, token) as conversation:
        ids = [await conversation.begin(queries[number % len(queries)], **variables) for number in range(50)]
        untold = set(ids)
        while untold:
            untold.discard((await conversation.hear())["id"])
        await leave(conversation, ids)


async def _abort(conversation: Conversation, _: list[str]) -> None:
    conversation.socket.transport.abort()


async def _complete(conversation: Conversation, ids: list[str]) -> None:
    for id_ in ids:
        await conversation.say({"type": "complete", "id": id_})


async def _say_nothing(_: Conversation, __: list[str]) -> None:
    pass
