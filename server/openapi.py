"""GET /api/v1/openapi.json: what the REST routes take and answer, as OpenAPI 3.1. GraphQL describes itself.

Written by hand, since the agents' shapes are older than we are; `tests/test_openapi.py` holds the server to every word of it.
"""

from functools import cache
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.endpoints import Sender
from domain.identity import KEY
from server.bodies import MOST_INFLATED, MOST_SENT
from server.devices import HIGHEST_VERSION

Json = dict[str, Any]

# With its four hyphens or with none.
UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$|^[0-9a-fA-F]{32}$"
_WHY = {
    400: "What makes no sense: no JSON, a wrong shape, a value that cannot be kept, no uuid. The sentence names the field.",
    401: "The key, token or secret is missing or wrong.",
    403: "Known, and not allowed to.",
    404: "There is no such thing here.",
    409: "Somebody else has it.",
    413: f"The body is larger than {MOST_SENT} bytes, or inflates to more than {MOST_INFLATED}.",
    415: "The body is encoded in another way than gzip.",
    429: "Too many at once; wait.",
    503: "The server cannot just now; wait, and send the same again.",
}
_BODY = (400, 413, 415)
# What agents that sign look for in the answer, and Rollwave has none of.
_ABSENT = ("tenantId", "mqtt", "api", "vpn")
_DEVICE = (401, 403, 404, 429, 503)


async def openapi(_: Request) -> Response:
    """The document; it is the same for everybody."""
    return Response(_written(), media_type="application/json", headers={"cache-control": "public, max-age=300"})


@cache
def _written() -> bytes:
    return orjson.dumps(document())


def document() -> Json:
    """The whole document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Rollwave",
            "version": "1",
            "summary": "What devices and registries say, and hear.",
            "description": "Operators and frontends use GraphQL at /graphql, which describes itself. Every refusal is a sentence in JSON.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": "devices"}, {"name": "webhooks"}, {"name": "server"}],
        "paths": {**_devices(), **_webhooks(), **_server()},
        "components": {"schemas": _schemas(), "responses": _responses(), "securitySchemes": _proofs(), "headers": _headers()},
    }


def _devices() -> Json:
    return {
        "/api/v1/device/register": {"post": _register("registerDevice")},
        "/api/v1/agent/register": {"post": _register("registerAgent")},
        "/api/v1/device/{uuid}/key-exchange": {"parameters": [_uuid()], "post": _exchange_key("exchangeKey")},
        "/api/v1/agent/{uuid}/key-exchange": {"parameters": [_uuid()], "post": _exchange_key("exchangeAgentKey")},
        "/api/v1/device/{uuid}/state": {"parameters": [_uuid()], "get": _poll(), "head": _ask()},
        "/api/v1/device/state": {"patch": _report()},
    }


def _register(name: str) -> Json:
    return {
        **_about(name, "devices", "Introduce a device, which made its uuid and its key; the same again is answered alike."),
        "security": [{"provisioningKey": []}, {"provisioningHeader": []}],
        "parameters": [_encoding()],
        "requestBody": _takes("Registration"),
        "responses": {"200": _gives("The device as it is known here.", "Registered"), **_refusals(*_BODY, 401, 403, 409, 429, 503)},
    }


def _exchange_key(name: str) -> Json:
    return {
        **_about(name, "devices", "Ask whether the device is known here; bring another key, or the signature over the challenge."),
        "security": _as_device(),
        "parameters": [_encoding()],
        "requestBody": {**_takes("Exchange"), "required": False},
        "responses": {"200": _gives("It is, by the key it brought from now on.", "KeyExchange"), **_refusals(*_BODY, *_DEVICE, 409)},
    }


def _poll() -> Json:
    return {
        **_about("poll", "devices", "What the device is to run. Asking is taking: from now on it is expected to run what it was told."),
        "security": _as_device(),
        "parameters": [_if_none_match()],
        "responses": {
            "200": _gives("One key, the uuid as it stands in the path.", "State", "ETag", "Cache-Control"),
            "304": {"description": "The device knows it already.", "headers": _named("ETag", "Cache-Control")},
            **_refusals(400, *_DEVICE),
        },
    }


def _ask() -> Json:
    """As a poll, without the bodies."""
    answers = dict.fromkeys(("200", "304", "400", "401", "403", "404", "429", "503"), "A poll would be answered so.")
    return {
        **_about("pollHead", "devices", "The same as a poll, without the body."),
        "security": _as_device(),
        "parameters": [_if_none_match()],
        "responses": {status: {"description": description} for status, description in answers.items()},
    }


def _report() -> Json:
    return {
        **_about("report", "devices", "What the device runs; it speaks for itself only. An old report, sent again, is ignored."),
        "security": _as_device(),
        "parameters": [_encoding()],
        "requestBody": _takes("Report"),
        "responses": {"200": _gives("It is kept.", "Ok"), **_refusals(*_BODY, *_DEVICE)},
    }


def _webhooks() -> Json:
    sender, endpoint, secret = _in_path("sender", {"enum": [one.value for one in Sender]}), _in_path("endpoint"), _in_path("secret")
    shared, own = "/api/v1/webhooks/docker-registry", "/api/v1/webhooks/{sender}/{endpoint}"
    return {
        shared: {"post": _webhook("pushed", "At the address all senders share, signed", signed=True)},
        f"{shared}/{{secret}}": {"parameters": [secret], "post": _webhook("pushedWithSecret", "At the address all senders share")},
        own: {"parameters": [sender, endpoint], "post": _webhook("pushedToEndpoint", "At one sender's address, proven", signed=True)},
        f"{own}/{{secret}}": {
            "parameters": [sender, endpoint, secret],
            "post": _webhook("pushedToEndpointWithSecret", "At one sender's address"),
        },
    }


def _webhook(name: str, where: str, *, signed: bool = False) -> Json:
    proven: list[Json] = [{"signature": []}, {"bearer": []}, {"basic": []}]
    return {
        **_about(name, "webhooks", f"{where}{'' if signed else ', with the secret in the path'}: a registry tells of images."),
        "security": proven if signed else [],
        "parameters": [_encoding()],
        "requestBody": _takes("Webhook"),
        "responses": {
            "200": _gives("It tells of no image that was pushed.", "Message"),
            "202": _gives("It is kept, and decided afterwards.", "Receipt"),
            **_refusals(*_BODY, 401, 403, 404, 429, 503),
        },
    }


def _server() -> Json:
    return {
        "/healthz": {
            "get": {
                **_about("health", "server", "Whether this process can do its work."),
                "security": [],
                "responses": {"200": _gives("It can.", "Health"), "503": _gives("The database does not answer.", "Health")},
            }
        },
        "/metrics": {
            "get": {
                **_about("metrics", "server", "What this process has to tell, to how many, and what holds it up, for Prometheus."),
                "security": [{"token": []}],
                "responses": {"200": _text("The figures, each described."), **_refusals(401, 503)},
            }
        },
        "/api/v1/openapi.json": {
            "get": {
                **_about("openapi", "server", "This document."),
                "security": [],
                "responses": {"200": {"description": "It.", "content": {"application/json": {"schema": {"type": "object"}}}}},
            }
        },
    }


def _schemas() -> Json:
    return {
        "Error": _object({"error": {"type": "string", "minLength": 1, "description": "Why, in a sentence."}}, closed=True),
        "Registration": _registration(),
        "Registered": _registered(),
        "Exchange": _exchange(),
        "KeyExchange": _object({"status": {"const": "ok"}, "message": {"type": "string"}, "device": _object(_known())}),
        "State": _by_uuid({"$ref": "#/components/schemas/Target"}),
        "Target": _target(),
        "Report": _by_uuid({"$ref": "#/components/schemas/Said"}),
        "Said": _said(),
        "Ok": _object({"status": {"const": "ok"}}, closed=True),
        "Webhook": {"type": "object", "description": "As the sender writes it. From anybody: image, and perhaps tag and digest."},
        "Message": _object({"message": {"type": "string"}}, closed=True),
        "Receipt": _receipt(),
        "Health": _object({"status": {"type": "string"}}, closed=True),
    }


def _registration() -> Json:
    text = {"type": "string", "minLength": 1, "maxLength": 255}
    required = {
        "uuid": _uuid_text(),
        "deviceName": text,
        "deviceType": text,
        "deviceApiKey": {"type": "string", "pattern": KEY, "description": "Made by the device; 64 hex digits are usual."},
    }
    signs = {"type": ["string", "null"], "description": "Ed25519, of an agent that signs: PEM, or 32 bytes in base64 or hex."}
    return _object(required, {"applicationId": {"description": "Told again in the answer."}, "devicePublicKey": signs})


def _exchange() -> Json:
    key = {"type": ["string", "null"], "pattern": KEY}
    return _object(
        {},
        {
            "uuid": {"type": ["string", "null"], "description": "As in the path."},
            "deviceApiKey": {**key, "description": "The device's key from now on; the one it came with opens for a day more."},
            "signature": {"type": ["string", "null"], "description": "Over the challenge, by the device's Ed25519 key: base64 or hex."},
        },
    )


def _registered() -> Json:
    return _object(
        {
            **_known(),
            "deviceType": {"type": "string"},
            "applicationId": {},
            "fleetId": {"type": ["string", "null"], "description": "The fleet of the provisioning key."},
            "createdAt": {"type": "string", "format": "date-time"},
        },
        {"challenge": {"type": ["string", "null"], "description": "For agents that sign."}} | {key: {"type": "null"} for key in _ABSENT},
    )


def _known() -> Json:
    return {"id": {"type": "integer"}, "uuid": _uuid_text(), "deviceName": {"type": "string"}}


def _target() -> Json:
    return _object(
        {
            "apps": {"type": "object", "additionalProperties": _app(_target_service()), "description": "By app id."},
            "config": _config(),
            "version": {**_version("integer"), "description": "Rises by one at every change, and never falls."},
            "needs_deployment": {"const": False},
            "last_deployed_at": {"type": "null"},
        }
    )


def _target_service() -> Json:
    """`imageName` and `config.image` are always equal, which JSON Schema cannot say."""
    image = {"type": "string", "minLength": 1}
    return _object({"imageName": image, "config": _object({"image": image})})


def _config() -> Json:
    often = {"type": "integer", "minimum": 1}
    intervals = dict.fromkeys(("targetStatePollIntervalMs", "reportIntervalMs", "metricsIntervalMs"), often)
    return _object({}, {"intervals": {**_object({}, intervals), "description": "How often to poll and to report, in milliseconds."}})


def _said() -> Json:
    app = _app({"type": "object"})
    number = {"type": ["integer", "string", "boolean"], "minimum": -(2**63), "maximum": 2**64 - 1}
    numbered = {**app, "required": ["appId"], "properties": {**app["properties"], "appId": number}}
    by_id = {"type": "object", "additionalProperties": app}
    apps = {"anyOf": [by_id, {"type": "array", "items": numbered}, {"type": "null"}], "description": "None, or null, is unchanged."}
    return _object({}, {"apps": apps, "version": {**_version("integer", "null"), "description": "The last one polled; no proof."}})


def _app(service: Json) -> Json:
    return _object({}, {"services": {"type": "array", "items": service}})


def _receipt() -> Json:
    told = {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 100}
    return _object({"message": {"enum": ["accepted", "known already"]}, "delivery_id": {"type": "string"}, "images": told}, closed=True)


def _responses() -> Json:
    """The refusals, by their status."""
    more = {401: "WWW-Authenticate", 429: "Retry-After", 503: "Retry-After"}
    headers = {status: {"headers": _named(name)} for status, name in more.items()}
    return {f"Refused{status}": {**_gives(why, "Error"), **headers.get(status, {})} for status, why in _WHY.items()}


def _proofs() -> Json:
    return {
        "deviceKey": {"type": "apiKey", "in": "header", "name": "X-Device-API-Key", "description": "The key the device made."},
        "agentKey": {"type": "apiKey", "in": "header", "name": "X-Agent-Key", "description": "The same key."},
        "deviceBearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
        "provisioningKey": {"type": "http", "scheme": "bearer", "description": "A key that lets devices in: createProvisioningKey."},
        "provisioningHeader": {"type": "apiKey", "in": "header", "name": "X-Provisioning-Key", "description": "The same key."},
        "token": {"type": "http", "scheme": "bearer", "description": "Of anybody who may read, as for GraphQL."},
        "signature": {"type": "apiKey", "in": "header", "name": "X-Hub-Signature-256", "description": "sha256=<HMAC of the raw body>"},
        "bearer": {"type": "http", "scheme": "bearer", "description": "The secret, for senders that do not sign."},
        "basic": {"type": "http", "scheme": "basic", "description": "The secret as a password, for senders that do not sign."},
    }


def _headers() -> Json:
    return {
        "ETag": {"required": True, "description": "Strong, and quoted.", "schema": {"type": "string", "pattern": '^"[!#-~]+"$'}},
        "Cache-Control": {"required": True, "schema": {"type": "string"}},
        "WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}},
        "Retry-After": {"description": "In seconds.", "schema": {"type": "integer", "minimum": 0}},
    }


def _about(name: str, tag: str, summary: str) -> Json:
    return {"operationId": name, "tags": [tag], "summary": summary}


def _takes(schema: str) -> Json:
    return {"required": True, "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}}


def _gives(description: str, schema: str, *headers: str) -> Json:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"description": description, "content": content, **({"headers": _named(*headers)} if headers else {})}


def _text(description: str) -> Json:
    return {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}


def _named(*headers: str) -> Json:
    return {header: {"$ref": f"#/components/headers/{header}"} for header in headers}


def _refusals(*statuses: int) -> Json:
    return {str(status): {"$ref": f"#/components/responses/Refused{status}"} for status in sorted(statuses)}


def _as_device() -> list[Json]:
    return [{"deviceKey": []}, {"agentKey": []}, {"deviceBearer": []}]


def _uuid() -> Json:
    return {**_in_path("uuid"), "description": "The device's; it is told again as it is written here.", "schema": _uuid_text()}


def _uuid_text() -> Json:
    return {"type": "string", "pattern": UUID}


def _in_path(name: str, schema: Json | None = None) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", **(schema or {})}}


def _encoding() -> Json:
    schema = {"type": "string", "pattern": "^([gG][zZ][iI][pP]|[iI][dD][eE][nN][tT][iI][tT][yY])?$"}
    return {"name": "Content-Encoding", "in": "header", "required": False, "description": "gzip or none.", "schema": schema}


def _if_none_match() -> Json:
    description = "What the device holds: quoted, bare, weak, in a list, or *."
    return {"name": "If-None-Match", "in": "header", "required": False, "description": description, "schema": {"type": "string"}}


def _by_uuid(value: Json) -> Json:
    """An object whose one key is the uuid of the device."""
    return {"type": "object", "minProperties": 1, "maxProperties": 1, "propertyNames": _uuid_text(), "additionalProperties": value}


def _version(*types: str) -> Json:
    return {"type": types[0] if len(types) == 1 else list(types), "minimum": 0, "maximum": HIGHEST_VERSION}


def _object(required: Json, optional: Json | None = None, *, closed: bool = False) -> Json:
    found: Json = {"type": "object", "properties": {**required, **(optional or {})}}
    return found | ({"required": list(required)} if required else {}) | ({"additionalProperties": False} if closed else {})


routes = [Route("/api/v1/openapi.json", openapi, methods=["GET"])]
