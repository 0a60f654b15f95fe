"""Wires everything together, once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import Route, WebSocketRoute

from monitor.tasks import monitoring
from resolvers.feed import Feed
from server import devices, health, webhooks
from server.bodies import MOST_SENT
from server.errors import HANDLERS
from server.graphql import Endpoint
from server.settings import Settings
from server.wiring import Wiring
from storage.database import Database


def create_app(settings: Settings, db: Database) -> Starlette:
    """The application on a database that is up to date; its tasks run for as long as the application does."""
    wiring = Wiring(settings, db, Feed())

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with wiring.feed.running(), monitoring(db, wiring.feed, settings.check_networks):
            yield

    graphql = Endpoint(graphiql=settings.graphiql)
    app = Starlette(
        routes=[
            *devices.routes,
            *webhooks.routes,
            *health.routes,
            Route("/graphql", graphql),
            WebSocketRoute("/graphql", graphql),
        ],
        exception_handlers=HANDLERS,
        max_body_size=MOST_SENT,
        lifespan=lifespan,
    )
    app.state.wiring = wiring
    return app
