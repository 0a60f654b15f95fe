"""/graphql: queries and mutations over HTTP, subscriptions over WebSocket (graphql-transport-ws)."""

from dataclasses import replace
from datetime import timedelta
from json import JSONDecodeError
from typing import Any

from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.types.unset import UnsetType

from domain.errors import BadInput
from resolvers import tokens
from schema.build import schema
from schema.session import Session
from server.auth import bearer, operator
from server.bodies import parse_json
from server.wiring import Wiring


class _Socket(BaseGraphQLTransportWSHandler[Session, None]):
    """Strawberry's side of graphql-transport-ws, for messages that are shaped as the protocol says."""

    async def handle_message(self, message: Any) -> None:
        """Any other shape would be an exception and a dropped connection, where the protocol wants a 4400."""
        if not _is_message(message):
            await self.handle_invalid_message("this is no message of graphql-transport-ws")
        else:
            # An absent payload may be written as null.
            await super().handle_message({field: value for field, value in message.items() if value is not None})  # type: ignore[arg-type]


def _is_message(message: Any) -> bool:
    if not isinstance(message, dict) or not isinstance(message.get("type"), str) or not isinstance(message.get("id"), str | None):
        return False
    payload = message.get("payload")
    if message["type"] != "subscribe":
        return isinstance(payload, dict | None)
    return (
        isinstance(payload, dict)
        and isinstance(payload.get("query"), str)
        and isinstance(payload.get("variables"), dict | None)
        and isinstance(payload.get("operationName"), str | None)
    )


class Endpoint(GraphQL[Session, None]):
    """Strawberry's endpoint with our callers in it."""

    graphql_transport_ws_handler_class = _Socket

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

    async def run(self, *args: Any, **kwargs: Any) -> Any:
        """Answer; what Strawberry would refuse in plain text is refused as clients of GraphQL expect it."""
        try:
            return await super().run(*args, **kwargs)
        except HTTPException as refused:
            error = {"message": refused.reason, "extensions": {"code": "BAD_USER_INPUT"}}
            return JSONResponse({"errors": [error]}, refused.status_code)

    def parse_json(self, data: str | bytes) -> Any:
        """The body of a request."""
        try:
            body = parse_json(data)
        except BadInput as bad:
            raise HTTPException(400, str(bad)) from bad
        if not isinstance(body, dict):
            raise HTTPException(400, "the body must be an object with a query")
        return body

    def decode_json(self, data: str | bytes) -> object:
        """A message on a WebSocket."""
        try:
            return parse_json(data)
        except BadInput as bad:
            raise JSONDecodeError(str(bad), "", 0) from bad

    async def get_context(self, request: Request | WebSocket, response: Response | WebSocket) -> Session:
        """Who asks: by the request's header, or for a WebSocket, until it has introduced itself, nobody."""
        wiring = Wiring.of(request)
        return Session(wiring.context(await operator(wiring.db, request)))

    async def on_ws_connect(self, context: Session) -> UnsetType | dict[str, object] | None:
        """Browsers cannot set headers on a WebSocket: the token comes with connection_init, as `Authorization`."""
        given = (context.connection_params or {}).get("Authorization")
        if isinstance(given, str):
            context.ctx = replace(context.ctx, actor=await tokens.actor(context.ctx.db, bearer(given)))
        if not context.ctx.actor.is_known:
            raise ConnectionRejectionError({"reason": 'send {"Authorization": "Bearer …"} with connection_init'})
        return await super().on_ws_connect(context)
