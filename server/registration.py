"""How agents in the field introduce themselves: register, key exchange. Their shapes and paths are the original's, and stay."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.devices import Device
from domain.errors import BadInput
from domain.identity import LONGEST_KEY
from resolvers import ed25519, identity
from resolvers.devices import checked_uuid
from resolvers.identity import Registration
from server import auth
from server.bodies import read_json
from server.wiring import Wiring

Body = TypeVar("Body", bound=BaseModel)


class _Registration(BaseModel):
    model_config = ConfigDict(str_max_length=255)

    uuid: str
    deviceName: str = Field(min_length=1)  # noqa: N815 – the agents' word
    deviceType: str = Field(min_length=1)  # noqa: N815
    deviceApiKey: str  # noqa: N815
    devicePublicKey: str | None = None  # noqa: N815
    applicationId: Any = None  # noqa: N815


class _Exchange(BaseModel):
    model_config = ConfigDict(str_max_length=LONGEST_KEY)

    uuid: str | None = None
    deviceApiKey: str | None = None  # noqa: N815 – the agents' word
    signature: str | None = None


async def register(request: Request) -> Response:
    """POST …/register with a provisioning key."""
    asked = _read(_Registration, await read_json(request))
    public_key = None if asked.devicePublicKey is None else ed25519.public_key(asked.devicePublicKey)
    wanted = Registration(checked_uuid(asked.uuid), asked.deviceName, asked.deviceType, asked.deviceApiKey, public_key)
    with Wiring.of(request).limits.provisioning_guesses.watched(auth.address(request)):
        device, challenge = await identity.register(auth.anybody(request), auth.provisioning_key(request) or "", wanted)
    told = _told(device) | {"applicationId": asked.applicationId}
    # What agents that sign look for; of tunnels and brokers there are none.
    more = {"tenantId": None, "mqtt": None, "api": None, "vpn": None, "challenge": challenge and challenge.hex()}
    return JSONResponse(told if public_key is None else told | more)


async def exchange_key(request: Request) -> Response:
    """POST …/{uuid}/key-exchange: the agent asks whether it is known here, signs its challenge, or brings another key."""
    uuid, asked = request.path_params["uuid"], _read(_Exchange, await read_json(request) if await request.body() else {})
    if asked.uuid is not None and checked_uuid(asked.uuid) != checked_uuid(uuid):
        raise BadInput("uuid: it is not the one in the address")
    claim = auth.claim(request, uuid)
    with auth.watched(request, uuid, claim):
        device = await identity.exchange(auth.anybody(request), uuid, claim, asked.deviceApiKey, asked.signature)
    told = {"id": device.id, "uuid": device.uuid, "deviceName": device.name}
    return JSONResponse({"status": "ok", "message": "Key exchange successful", "device": told})


def _told(device: Device) -> dict[str, Any]:
    return {
        "id": device.id,
        "uuid": device.uuid,
        "deviceName": device.name,
        "deviceType": device.type,
        "fleetId": device.fleet,
        "createdAt": device.created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }


def _read(shape: type[Body], said: object) -> Body:
    if not isinstance(said, dict):
        raise BadInput("the body must be an object")
    try:
        return shape.model_validate(said)
    except ValidationError as invalid:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in invalid.errors())
        raise BadInput(wrong) from invalid


routes = [
    Route(f"/api/v1/{word}{path}", endpoint, methods=["POST"])
    for word in ("device", "agent")
    for path, endpoint in (("/register", register), ("/{uuid}/key-exchange", exchange_key))
]
