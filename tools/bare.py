"""What the poll path is compared with, each in a process of its own under the uvicorn of the real server.

`not_modified` and `full_answer` do nothing but answer: nothing in Python behind this uvicorn is faster. `route_with_queries` is the
route that Rollwave had before it answered polls from memory.
"""

import argparse
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta

import orjson
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.ids import DeviceId
from domain.targets import Target
from server.process import served
from server.settings import Settings
from storage import targets
from storage.database import Database
from tools.processes import Process, living

ETAG = b'"14-0123456789abcdef0123456789abcdef"'
BODY = orjson.dumps({"00000000-0000-4000-8000-000000000000": {"apps": {}, "config": {"padding": "x" * 470}, "version": 14}})
SEEN_EVERY = timedelta(seconds=30)


async def not_modified(scope: Scope, receive: Receive, send: Send) -> None:
    """Always 304."""
    await send({"type": "http.response.start", "status": 304, "headers": [(b"etag", ETAG), (b"cache-control", b"private, no-cache")]})
    await send({"type": "http.response.body", "body": b""})


async def full_answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Always 200 with the same six hundred bytes."""
    length = (b"content-length", str(len(BODY)).encode())
    headers = [(b"content-type", b"application/json"), length, (b"etag", ETAG), (b"cache-control", b"private, no-cache")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": BODY})


def route_with_queries(settings: Settings) -> Starlette:
    """A route that asks the database for the key and for the target, and notes that the device was seen."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        assert settings.database_url is not None
        async with Database.connect(settings.database_url) as app.state.db:
            yield

    return Starlette(routes=[Route("/api/v1/device/{uuid}/state", _poll, methods=["GET"])], lifespan=lifespan)


def serving(name: str, database_url: str | None = None) -> AbstractAsyncContextManager[str]:
    """The address of one of these, which runs as long as the block."""
    return _serving(name, {} if database_url is None else {"DATABASE_URL": database_url})


@asynccontextmanager
async def _serving(name: str, environment: dict[str, str]) -> AsyncIterator[str]:
    async with living(Process("tools.bare", name, **environment)) as process:
        yield process.url


async def _poll(request: Request) -> Response:
    uuid, db = request.path_params["uuid"], request.app.state.db
    device = await _authenticated(db, uuid, request.headers.get("x-device-api-key", ""))
    if device is None:
        return Response(status_code=401)
    body, tag = _answer(uuid, await _target(db, device))
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if _knows(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


async def _authenticated(db: Database, uuid: str, key: str) -> DeviceId | None:
    async with db.reading() as conn:
        row = await conn.fetchrow("select id, key_hash from devices where uuid = $1", uuid)
    digest = hashlib.sha256(key.encode()).digest()
    return DeviceId(row["id"]) if row is not None and hmac.compare_digest(digest, row["key_hash"]) else None


async def _target(db: Database, device: DeviceId) -> Target:
    """What the device should run. That it takes what it is offered is left out: who knows the answer has taken it."""
    async with db.transaction() as conn:
        now = await db.now(conn)
        await conn.execute(
            """
            update devices set last_seen_at = $2
             where id = $1 and (last_seen_at is null or last_seen_at < $2::timestamptz - $3::interval)
            """,
            device, now, SEEN_EVERY,
        )  # fmt: skip
        return await targets.target(conn, device)


def _answer(uuid: str, target: Target) -> tuple[bytes, str]:
    state = {"apps": target.apps, "config": target.config, "version": target.version, "needs_deployment": False, "last_deployed_at": None}
    body = orjson.dumps({uuid: state}, option=orjson.OPT_SORT_KEYS)
    return body, f'"{target.version}-{hashlib.sha256(body).hexdigest()[:32]}"'


def _knows(if_none_match: str, tag: str) -> bool:
    held = {part.strip().removeprefix("W/").strip('"') for part in if_none_match.split(",")}
    return tag.strip('"') in held or "*" in held


def main() -> None:
    """Serve one of them on ROLLWAVE_PORT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("not_modified", "full_answer", "route_with_queries"))
    name, settings = parser.parse_args().name, Settings.read()
    apps: dict[str, ASGIApp] = {"not_modified": not_modified, "full_answer": full_answer}
    uvloop.run(uvicorn.Server(served(apps.get(name) or route_with_queries(settings), settings)).serve())


if __name__ == "__main__":
    main()
