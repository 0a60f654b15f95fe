"""/graphql: which transport a request wants, and who may use it."""

from contextlib import ExitStack

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.http.websocket_origin import is_same_origin, normalize_origin

from server.graphql import answers, callers, graphiql, http, requests
from server.graphql.callers import Caller
from server.graphql.negotiation import Accept
from server.graphql.operations import Operations
from server.graphql.socket import Socket
from server.settings import Settings

METHODS = ("GET", "HEAD", "POST", "OPTIONS")
ALLOW = {"allow": ", ".join(METHODS)}


def routes(settings: Settings) -> list[BaseRoute]:
    """What answers at /graphql, and GraphiQL's files if it is to be shown."""
    endpoint = Endpoint(settings)
    files = graphiql.routes if settings.graphiql else []
    return [Route("/graphql", _shared(endpoint, settings)), WebSocketRoute("/graphql", endpoint), *files]


def _shared(endpoint: ASGIApp, settings: Settings) -> ASGIApp:
    """The endpoint, which pages of the origins that are set may read."""
    if not settings.allowed_origins:
        return endpoint
    return CORSMiddleware(
        endpoint,
        allow_origins=settings.allowed_origins,
        allow_methods=METHODS,
        allow_headers=["authorization", "content-type", "last-event-id", "x-request-id"],
        expose_headers=["x-request-id", "retry-after"],
    )


class Endpoint:
    """An ASGI application for HTTP and WebSocket."""

    def __init__(self, settings: Settings) -> None:
        self.operations = Operations(settings.documents)
        self._origins = settings.allowed_origins
        self._graphiql = settings.graphiql

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._socket(WebSocket(scope, receive, send))
        else:
            with ExitStack() as held:
                response = await self._response(Request(scope, receive), held)
                await response(scope, receive, send)

    def caller(self, request: Request) -> Caller:
        """Who asks over HTTP."""
        return callers.of(request)

    async def _socket(self, socket: WebSocket) -> None:
        if _is_from_here(socket.headers) or normalize_origin(socket.headers["origin"]) in self._origins:
            await Socket(socket, self.operations).serve()
        else:
            await socket.close()  # before it is accepted: 403

    async def _response(self, request: Request, held: ExitStack) -> ASGIApp:
        name, accept = requests.name(request), Accept(request.headers.get("accept", ""))
        try:
            return await self._answer(request, accept, name, held)
        except ClientDisconnect:
            raise  # nobody is left to be answered
        except Exception as error:
            return answers.refusal(error, accept.answer().media, name)

    async def _answer(self, request: Request, accept: Accept, name: str, held: ExitStack) -> ASGIApp:
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=ALLOW)
        if request.method not in METHODS:
            raise HTTPException(405, f"{request.method} is not for GraphQL", ALLOW)
        if self._graphiql and request.method != "POST" and accept.page():
            return graphiql.page()
        return await http.execute(request, self.operations, accept.answer(), self.caller(request), name, held)


def _is_from_here(headers: Headers) -> bool:
    """Whether no page of elsewhere opens this WebSocket: browsers let every page do that, and always say which."""
    origin = headers.get("origin")
    return origin is None or headers.get("sec-fetch-site") == "same-origin" or is_same_origin(origin, headers.get("host"))
