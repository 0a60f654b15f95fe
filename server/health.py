"""GET /healthz: whether this process can do its work."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from server.wiring import Wiring


async def healthz(request: Request) -> Response:
    """200 when the database answers, 503 when it does not."""
    db = Wiring.of(request).db
    try:
        async with db.reading() as conn:
            await db.now(conn)
    except (OSError, TimeoutError, *db.errors):
        return JSONResponse({"status": "the database does not answer"}, 503)
    return JSONResponse({"status": "ok"})


routes = [Route("/healthz", healthz, methods=["GET"])]
