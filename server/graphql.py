"""/graphql: queries and mutations over HTTP, subscriptions over WebSocket (graphql-transport-ws)."""

from dataclasses import replace
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.unset import UnsetType

from domain.actors import NOBODY
from resolvers import tokens
from schema.build import schema
from schema.session import Session
from server.auth import bearer, operator
from server.wiring import Wiring


class Endpoint(GraphQL[Session, None]):
    """Strawberry's endpoint with our callers in it."""

    def __init__(self, *, graphiql: bool) -> None:
        super().__init__(
            schema,
            graphql_ide="graphiql" if graphiql else None,
            # A query in an address ends in logs and caches.
            allow_queries_via_get=False,
            subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL],
            connection_init_wait_timeout=timedelta(seconds=10),
            max_subscriptions_per_connection=50,
        )

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Session:
        """Who asks: by the request's header, or for a WebSocket, until it has introduced itself, nobody."""
        wiring = Wiring.of(request)
        return Session(wiring.context(await operator(wiring.db, request)))

    async def on_ws_connect(self, context: Session) -> UnsetType | dict[str, object] | None:
        """Browsers cannot set headers on a WebSocket: the token comes with connection_init, as `Authorization`."""
        given = (context.connection_params or {}).get("Authorization")
        if isinstance(given, str):
            context.ctx = replace(context.ctx, actor=await tokens.actor(context.ctx.db, bearer(given)))
        if context.ctx.actor is NOBODY:
            raise ConnectionRejectionError({"reason": 'send {"Authorization": "Bearer …"} with connection_init'})
        return await super().on_ws_connect(context)
