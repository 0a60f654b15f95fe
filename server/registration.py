"""How agents in the field introduce themselves: register, key exchange. Their shapes and paths are the original's, and stay."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.errors import BadInput
from resolvers import devices, identity
from resolvers.identity import Registration
from server.auth import anybody, bearer, device_key
from server.bodies import read_json

# Agents in the field make keys of 64 hex digits; anything much shorter could be guessed.
SHORTEST_KEY = 32


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
    device = await identity.register(
        anybody(request),
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
    uuid, ctx = request.path_params["uuid"], anybody(request)
    device = await identity.itself(ctx, await identity.authenticate(ctx, uuid, device_key(request)))
    told = {"id": device.id, "uuid": device.uuid, "deviceName": device.name}
    return JSONResponse({"status": "ok", "message": "Key exchange successful", "device": told})


routes = [
    Route("/api/v1/device/register", register, methods=["POST"]),
    Route("/api/v1/device/{uuid}/key-exchange", exchange_key, methods=["POST"]),
]
