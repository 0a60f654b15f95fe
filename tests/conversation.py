"""One operation after the other on one WebSocket."""

from collections.abc import AsyncIterator
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
