"""A connection to a Rollwave server: the generated client, with a token, whose errors are sentences."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from rollwave.api.client import Api
from rollwave.api.exceptions import GraphQLClientError, GraphQLClientGraphQLMultiError, Response
from rollwave.errors import Refused, RollwaveError, Unreachable
from rollwave.version import VERSION

# Longer than the server lets a statement run, so that it is the server who says what took too long.
SECONDS = 60
MAY_SUCCEED_LATER = ("UNAVAILABLE", "RATE_LIMITED")
# graphql-transport-ws: 4408 is a connection_init that came too late, 4429 too many of them. Any other 44xx comes again.
TOO_LATE, TOO_MANY = 4408, 4429


def server(address: str) -> str:
    """A server's address; many know it by the one of its GraphQL."""
    return address.rstrip("/").removesuffix("/graphql").rstrip("/")


class Rollwave(Api):
    """Every operation in documents/ as a method. It raises Refused and Unreachable; what a mutation refuses is in its answer."""

    def __init__(self, address: str, token: str) -> None:
        self.address = server(address)
        authorization = {"Authorization": f"Bearer {token}"}
        # The generated protocol for it is narrower than httpx, and so does not fit it.
        http: Any = httpx.AsyncClient(headers={**authorization, "User-Agent": f"rollwave/{VERSION}"}, timeout=SECONDS)
        super().__init__(
            url=f"{self.address}/graphql",
            http_client=http,
            ws_url=f"{self.address.replace('http', 'ws', 1)}/graphql",
            ws_connection_init_payload=authorization,
        )

    async def execute(self, *args: Any, **kwargs: Any) -> Any:
        """Ask over HTTP."""
        try:
            return await super().execute(*args, **kwargs)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._unreachable(error) from error

    def get_data(self, response: Response) -> dict[str, Any]:
        """The data of an answer without errors."""
        answer = self._answer(response)
        if errors := answer.get("errors"):
            raise _system_error(errors[0])
        data: dict[str, Any] = answer["data"]
        return data

    async def execute_ws(self, *args: Any, **kwargs: Any) -> AsyncIterator[dict[str, Any]]:
        """Ask over WebSocket, and hear answers until the server has no more."""
        try:
            async with aclosing(super().execute_ws(*args, **kwargs)) as answers:  # type: ignore[type-var]
                async for data in answers:
                    yield data
        except (GraphQLClientError, WebSocketException, OSError, EOFError) as error:
            raise self._lost(error) from error

    def _answer(self, response: Response) -> dict[str, Any]:
        try:
            answer = response.json()  # type: ignore[attr-defined]
        except ValueError:
            answer = None
        if isinstance(answer, dict) and ("data" in answer or "errors" in answer):
            return answer
        raise Unreachable(f"{self.address} answers {response.status_code}, and not as a Rollwave server does: is the address right?")

    def _lost(self, error: Exception) -> RollwaveError:
        match error:
            case GraphQLClientGraphQLMultiError(errors=[first, *_]):
                return _system_error({"message": first.message, "extensions": first.extensions})
            case ConnectionClosed(rcvd=close) if close and 4400 <= close.code < 4500 and close.code not in (TOO_LATE, TOO_MANY):
                return Refused("UNAUTHENTICATED" if close.code in (4401, 4403) else "BAD_USER_INPUT", close.reason or str(close.code))
            case InvalidStatus(response=response) if 400 <= response.status_code < 500 and response.status_code != 429:
                return Refused("FORBIDDEN", f"{self.address} answers {response.status_code} to a WebSocket")
        return self._unreachable(error)

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(f"{self.address} cannot be reached: {error or type(error).__name__}")


def _system_error(error: dict[str, Any]) -> RollwaveError:
    code = str((error.get("extensions") or {}).get("code", "INTERNAL"))
    return Unreachable(error["message"]) if code in MAY_SUCCEED_LATER else Refused(code, error["message"])
