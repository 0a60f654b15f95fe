"""What agents in the field speak from day to day: poll, report. Their shapes and paths are the original's, and stay."""

import hashlib

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.devices import Report, as_map
from domain.errors import BadInput
from domain.targets import Target
from resolvers import devices
from server import auth
from server.bodies import read_json

# GraphQL's Int; a version rises by one a change.
HIGHEST_VERSION = 2**31 - 1


async def poll(request: Request) -> Response:
    """GET /api/v1/device/{uuid}/state: what the device should run, or 304 if it knows."""
    uuid, ctx = request.path_params["uuid"], auth.anybody(request)
    device = await auth.device(request, uuid)
    body, tag = _answer(uuid, await devices.poll(ctx, device))
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if _knows(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


async def report(request: Request) -> Response:
    """PATCH /api/v1/device/state: what the device runs. It speaks for itself only."""
    ctx, body = auth.anybody(request), await read_json(request)
    if not isinstance(body, dict) or len(body) != 1:
        raise BadInput("the body must be an object with one key, the device's uuid")
    uuid, said = next(iter(body.items()))
    device = await auth.device(request, uuid)
    await devices.report(ctx, device, devices.checked_uuid(uuid), _report(said))
    return JSONResponse({"status": "ok"})


def _report(said: object) -> Report:
    if not isinstance(said, dict):
        raise BadInput("what the device says must be an object")
    apps, version = said.get("apps"), said.get("version")
    if version is not None and (isinstance(version, bool) or not isinstance(version, int) or not 0 <= version <= HIGHEST_VERSION):
        raise BadInput(f"version must be a whole number from 0 to {HIGHEST_VERSION}")
    info = {name: value for name, value in said.items() if name not in ("apps", "version")}
    return Report(None if apps is None else as_map(apps), version, info)


def _answer(uuid: str, target: Target) -> tuple[bytes, str]:
    """The body and its entity tag, which changes with the version and with anything the body says.

    Its one key is the uuid as the agent wrote it: agents ignore an answer that is not keyed by their own.
    """
    state = {
        "apps": target.apps,
        "config": target.config,
        "version": target.version,
        "needs_deployment": False,
        "last_deployed_at": None,
    }
    body = orjson.dumps({uuid: state}, option=orjson.OPT_SORT_KEYS)
    return body, f'"{target.version}-{hashlib.sha256(body).hexdigest()[:32]}"'


def _knows(if_none_match: str, tag: str) -> bool:
    """Whether the client holds this tag: quoted, unquoted, weak, or in a list, since agents in the field send it in all these ways."""
    held = {part.strip().removeprefix("W/").strip('"') for part in if_none_match.split(",")}
    return tag.strip('"') in held or "*" in held


routes = [
    Route("/api/v1/device/{uuid}/state", poll, methods=["GET"]),
    Route("/api/v1/device/state", report, methods=["PATCH"]),
]
