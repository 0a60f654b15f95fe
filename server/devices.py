"""What agents in the field speak: register, key exchange, poll, report. Their shapes and paths are the original's, and stay."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.actors import Actor
from domain.devices import Report, as_map
from domain.errors import BadInput
from resolvers import devices
from resolvers.answers import etag
from resolvers.context import Context
from resolvers.devices import Registration
from resolvers.polls import parsed
from resolvers.reports import Said
from server.auth import bearer, device_key
from server.bodies import read_json
from server.wiring import Wiring

# Agents in the field make keys of 64 hex digits; anything much shorter could be guessed.
SHORTEST_KEY = 32
# GraphQL's Int; a version rises by one a change.
HIGHEST_VERSION = 2**31 - 1


class _Registration(BaseModel):
    model_config = ConfigDict(str_max_length=255)

    uuid: str
    deviceName: str = Field(min_length=1)  # noqa: N815 – the agents' word
    deviceType: str = Field(min_length=1)  # noqa: N815
    deviceApiKey: str = Field(min_length=SHORTEST_KEY)  # noqa: N815
    applicationId: Any = None  # noqa: N815


async def register(request: Request) -> Response:
    """POST /api/v1/device/register with a provisioning key."""
    try:
        asked = _Registration.model_validate(await read_json(request))
    except ValidationError as invalid:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc'])) or 'body'}: {error['msg']}" for error in invalid.errors())
        raise BadInput(wrong) from invalid
    device = await devices.register(
        _anybody(request),
        bearer(request.headers.get("authorization")) or "",
        Registration(devices.checked_uuid(asked.uuid), asked.deviceName, asked.deviceType, asked.deviceApiKey),
    )
    return JSONResponse(
        {
            "id": device.id,
            "uuid": device.uuid,
            "deviceName": device.name,
            "deviceType": device.type,
            "applicationId": asked.applicationId,
            "fleetId": device.fleet,
            "createdAt": device.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }
    )


async def exchange_key(request: Request) -> Response:
    """POST /api/v1/device/{uuid}/key-exchange: the agent asks whether its key is known here."""
    uuid, ctx = request.path_params["uuid"], _anybody(request)
    device = await devices.itself(ctx, await devices.authenticate(ctx, uuid, device_key(request)))
    told = {"id": device.id, "uuid": device.uuid, "deviceName": device.name}
    return JSONResponse({"status": "ok", "message": "Key exchange successful", "device": told})


async def poll(request: Request) -> Response:
    """GET /api/v1/device/{uuid}/state: what the device should run, or 304 if it knows. What memory answers does not come here."""
    uuid, polls = request.path_params["uuid"], Wiring.of(request).polls
    body = await polls.tell(uuid, device_key(request))
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
    device = await wiring.polls.identify(uuid, device_key(request))
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


def _anybody(request: Request) -> Context:
    return Wiring.of(request).context(Actor("device"))


routes = [
    Route("/api/v1/device/register", register, methods=["POST"]),
    Route("/api/v1/device/{uuid}/key-exchange", exchange_key, methods=["POST"]),
    Route("/api/v1/device/{uuid}/state", poll, methods=["GET"]),
    Route("/api/v1/device/state", report, methods=["PATCH"]),
]
