"""What the subscriptions of Rollwave are compared with, each in a process of its own under the uvicorn of the real server.

Both are told of the same events by the same relay, from the same table of a PostgreSQL. `stock` is Strawberry's endpoint with a resolver
on broadcaster, as their documentation shows them. `raw` pushes the same bytes without GraphQL: nothing behind this uvicorn is faster
that writes to one connection after the other.
"""

import argparse
import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, Self, cast
from uuid import UUID

import orjson
import strawberry
import uvicorn
import uvloop
from broadcaster import Broadcast
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from strawberry.asgi import GraphQL
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL

from domain import events as domain
from monitor.relay import Relay
from resolvers.feed import Feed
from server.process import served
from server.settings import Settings
from storage.database import Database

Publish = Callable[[domain.Event], Awaitable[None]]
# The memory back end, which is the fastest: what is published goes from hand to hand.
BROADCAST = Broadcast("memory://")
CHANNEL = "events"


@strawberry.type
class Event:
    """The fields of ours that clients ask for here."""

    cursor: str
    at: datetime
    name: str
    revision: int | None
    device_uuid: UUID | None

    @classmethod
    def of(cls, event: domain.Event) -> Self:
        """One as a client sees it."""
        device = None if event.device_uuid is None else UUID(event.device_uuid)
        return cls(cursor=str(event.cursor), at=event.at, name=event.type, revision=event.revision, device_uuid=device)


@strawberry.type
class Query:
    """A schema must have one."""

    version: str = "1"


@strawberry.type
class Subscription:
    """What is followed."""

    @strawberry.subscription
    async def rollout_events(self, id: strawberry.ID, after: str | None = None) -> AsyncGenerator[Event, None]:  # noqa: A002
        """What happens from now on."""
        async with BROADCAST.subscribe(channel=CHANNEL) as subscriber:
            async for published in cast("AsyncIterable[Any]", subscriber):
                yield Event.of(published.message)


def stock(settings: Settings) -> Starlette:
    """Strawberry and broadcaster."""
    schema = strawberry.Schema(Query, subscription=Subscription)
    endpoint = GraphQL[object, None](schema, subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL))

    async def publish(event: domain.Event) -> None:
        await BROADCAST.publish(CHANNEL, event)

    return _fed(settings, publish, [Route("/graphql", endpoint), WebSocketRoute("/graphql", endpoint)])


def raw(settings: Settings) -> Starlette:
    """A loop over connections, which are sent the same text as a subscription's."""
    followers: dict[WebSocket, str] = {}

    async def follow(socket: WebSocket) -> None:
        await socket.accept(GRAPHQL_TRANSPORT_WS_PROTOCOL)
        await socket.receive_text()
        await socket.send_text('{"type":"connection_ack"}')
        followers[socket] = f'{{"id":"{orjson.loads(await socket.receive_text())["id"]}",'
        with suppress(WebSocketDisconnect):
            await socket.receive_text()
        del followers[socket]

    async def publish(event: domain.Event) -> None:
        text = _next(event)
        for socket, head in followers.items():
            await socket.send({"type": "websocket.send", "text": head + text})

    return _fed(settings, publish, [WebSocketRoute("/graphql", follow)])


def _next(event: domain.Event) -> str:
    """The message without the id of an operation, which is each client's own."""
    shown = Event.of(event)
    fields = {"cursor": shown.cursor, "at": shown.at, "name": shown.name, "revision": shown.revision, "deviceUuid": shown.device_uuid}
    return orjson.dumps({"type": "next", "payload": {"data": {"rolloutEvents": fields}}}).decode()[1:]


class _Straight(Feed):
    """Hands events on one by one, and keeps none."""

    def __init__(self, publish: Publish) -> None:
        super().__init__()
        self._publish = publish

    async def publish(self, events: Sequence[domain.Event]) -> None:
        self.position = events[-1].cursor.past
        for event in events:
            await self._publish(event)


def _fed(settings: Settings, publish: Publish, routes: list[BaseRoute]) -> Starlette:
    """An application that publishes what the events table is written."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        assert settings.database_url is not None
        async with BROADCAST, Database.connect(settings.database_url) as db:
            relay = asyncio.create_task((await Relay.beginning(db, _Straight(publish), lambda: None)).run())
            yield
            relay.cancel()

    return Starlette(routes=routes, lifespan=lifespan)


def main() -> None:
    """Serve one of them on ROLLWAVE_PORT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("stock", "raw"))
    settings = Settings.read()
    app = {"stock": stock, "raw": raw}[parser.parse_args().name](settings)
    uvloop.run(uvicorn.Server(served(app, settings)).serve())


if __name__ == "__main__":
    main()
