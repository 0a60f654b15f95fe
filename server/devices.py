"""What agents in the field speak from day to day: poll, report. Their shapes and paths are the original's, and stay."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.devices import Report, as_map
from domain.errors import BadInput
from resolvers import devices
from resolvers.answers import etag
from resolvers.polls import parsed
from resolvers.reports import Said
from server import auth
from server.bodies import read_json
from server.wiring import Wiring

# GraphQL's Int; a version rises by one a change.
HIGHEST_VERSION = 2**31 - 1


async def poll(request: Request) -> Response:
    """GET /api/v1/device/{uuid}/state: what the device should run, or 304 if it knows. What memory answers does not come here."""
    uuid, polls = request.path_params["uuid"], Wiring.of(request).polls
    claim = auth.claim(request, uuid)
    with auth.watched(request, uuid, claim):
        body = await polls.tell(uuid, claim)
    tag = etag(body.version, body.digest)
    headers = {"etag": tag, "cache-control": "private, no-cache"}
    if knows(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(body.to(uuid, parsed(uuid), polls.pace), media_type="application/json", headers=headers)


async def report(request: Request) -> Response:
    """PATCH /api/v1/device/state: what the device runs. It speaks for itself only."""
    wiring, body = Wiring.of(request), await read_json(request)
    if not isinstance(body, dict) or len(body) != 1:
        raise BadInput("the body must be an object with one key, the device's uuid")
    uuid, said = next(iter(body.items()))
    claim = auth.claim(request, uuid)
    with auth.watched(request, uuid, claim):
        device = await wiring.polls.identify(uuid, claim)
    await wiring.reports.keep(Said.by(device, devices.checked_uuid(uuid), _report(said)))
    return JSONResponse({"status": "ok"})


def _report(said: object) -> Report:
    if not isinstance(said, dict):
        raise BadInput("what the device says must be an object")
    apps, version = said.get("apps"), said.get("version")
    if version is not None and (isinstance(version, bool) or not isinstance(version, int) or not 0 <= version <= HIGHEST_VERSION):
        raise BadInput(f"version must be a whole number from 0 to {HIGHEST_VERSION}")
    info = {name: value for name, value in said.items() if name not in ("apps", "version")}
    return Report(None if apps is None else as_map(apps), version, info)


def knows(if_none_match: str, tag: str) -> bool:
    """Whether the client holds this tag: quoted, unquoted, weak, or in a list, since agents in the field send it in all these ways."""
    held = {part.strip().removeprefix("W/").strip('"') for part in if_none_match.split(",")}
    return tag.strip('"') in held or "*" in held


routes = [
    Route("/api/v1/device/{uuid}/state", poll, methods=["GET"]),
    Route("/api/v1/device/state", report, methods=["PATCH"]),
]
