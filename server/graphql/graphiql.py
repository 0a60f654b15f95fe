"""GraphiQL, from files of ours: the page reaches nobody else, and nobody else may frame it or run anything in it."""

from pathlib import Path

from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FILES = Path(__file__).parent.parent / "graphiql"
_NOSNIFF = {"x-content-type-options": "nosniff"}
_HEADERS = {
    **_NOSNIFF,
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
    "vary": "accept",
}


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(_NOSNIFF)
        return response


def page() -> Response:
    """The page. It holds no secrets: whoever uses it brings a token."""
    return FileResponse(FILES / "index.html", headers=_HEADERS)


routes: list[BaseRoute] = [Mount("/graphiql", _Files(directory=FILES))]
