"""Wires everything together, once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from starlette.applications import Starlette
from starlette.middleware import Middleware

from domain.actors import NOBODY
from monitor.remembering import remembering
from monitor.tasks import monitoring
from registries.oci.session import client
from registries.oidc import GOOGLE_KEYS, Keys
from resolvers.budget import Budget
from resolvers.context import Context
from resolvers.feed import Feed
from resolvers.polls import Polls
from resolvers.reports import Reports
from resolvers.vault import Vault
from server import devices, health, metrics, openapi, registration, webhooks
from server.bodies import Bounded
from server.errors import HANDLERS
from server.graphql import endpoint as graphql
from server.graphql.connections import Connections
from server.limits import Limits
from server.settings import Settings
from server.wiring import Wiring
from storage.database import Database


def create_app(settings: Settings, db: Database, *, google_keys: str = GOOGLE_KEYS) -> Starlette:
    """The application on a database that is up to date; its tasks run for as long as the application does.

    `google_keys`, where the keys of Google's tokens are, is replaced only by tests.
    """
    feed, limits, polls, reports = Feed(), Limits(), Polls(db, settings.pace), Reports(db)
    budget = Budget(settings.graphql_points)
    connections = Connections(settings.streams_per_address, settings.streams_per_token)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with feed.running(), client() as registries, aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            base = Context(db, feed, NOBODY, Vault(settings.encryption_keys), registries, Keys(session, google_keys))
            app.state.wiring = Wiring(settings, limits, settings.proxies, base, polls, reports, budget, connections)
            async with (
                polls.running(),
                reports.running(),
                remembering(polls),
                connections.running(db),
                monitoring(base, settings.check_networks),
            ):
                yield

    app = Starlette(
        routes=[
            *graphql.routes(settings),  # looked for first: they are asked most, but for polls, which are not looked for here
            *registration.routes,
            *devices.routes,
            *webhooks.routes,
            *health.routes,
            *metrics.routes,
            *openapi.routes,
        ],
        exception_handlers=HANDLERS,
        middleware=[Middleware(Bounded)],
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a redirect would repeat a webhook's secret
    app.state.polls, app.state.limits, app.state.connections = polls, limits, connections
    return app
