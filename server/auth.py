"""Who asks, from what an HTTP request says."""

from contextlib import AbstractContextManager, nullcontext

from starlette.requests import HTTPConnection

from domain.actors import Actor
from resolvers.context import Context
from resolvers.devices import canonical
from resolvers.identity import Claim
from server.wiring import Wiring


def bearer(authorization: str | None) -> str | None:
    """The token of an “Authorization: Bearer …” header."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def anybody(request: HTTPConnection) -> Context:
    """What a use case is given while nobody has proved who asks: devices do that themselves."""
    return Wiring.of(request).context(Actor("device"))


def device_key(request: HTTPConnection) -> str | None:
    """The key a device sends, in any of the three headers that agents use."""
    headers = request.headers
    return headers.get("x-device-api-key") or headers.get("x-agent-key") or bearer(headers.get("authorization"))


def provisioning_key(request: HTTPConnection) -> str | None:
    """The key that a device registers with, in either of the two headers that agents use."""
    return request.headers.get("x-provisioning-key") or bearer(request.headers.get("authorization"))


def address(request: HTTPConnection) -> str:
    """Where a request comes from: as proxies that are trusted say, else the other end of the connection."""
    return request.client.host if request.client else ""


def claim(request: HTTPConnection, uuid: str) -> Claim:
    """What a request shows to be taken for this device."""
    certified = Wiring.of(request).proxies.certified(request.scope)
    return Claim(device_key(request), certified is not None and certified == canonical(uuid))


def watched(request: HTTPConnection, uuid: str, claim: Claim) -> AbstractContextManager[None]:
    """Counts wrong keys for a device, and refuses whoever has sent too many; a certificate is not guessed."""
    return nullcontext() if claim.is_certified else Wiring.of(request).limits.guesses.watched(address(request), uuid)
