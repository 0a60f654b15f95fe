"""Proxies that are trusted: with the address a request came from, and with the client certificate they saw.

Whoever else sends such headers is not heard: uvicorn by itself would believe everything on this machine.
"""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any

from cryptography.x509 import Name
from cryptography.x509.oid import NameOID
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from resolvers.devices import canonical

PEER = "rollwave.peer"
# OpenSSL's name for what RFC 4514 has none for; without it a subject that has one could not be read.
_NAMES = {"emailAddress": NameOID.EMAIL_ADDRESS}


@dataclass(frozen=True, slots=True)
class Proxies:
    """Who may speak for others, and how they name whose certificate they saw."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    header: str | None = None
    """Its value is the subject of the certificate: a uuid, or a distinguished name (RFC 4514) whose CN is one."""

    def around(self, app: ASGIApp) -> ASGIApp:
        """The application, told where requests really come from; as it is where nobody is trusted."""
        if not self.networks:
            return app
        inner: Any = ProxyHeadersMiddleware(app, [str(network) for network in self.networks])  # type: ignore[arg-type]

        async def behind(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "lifespan":
                scope[PEER] = _host(scope)
            await inner(scope, receive, send)

        return behind

    def certified(self, scope: Scope) -> str | None:
        """The uuid in the certificate of whoever asks, in its usual form, if a proxy that is trusted saw one."""
        if self.header is None or not self._is_trusted(scope.get(PEER) or _host(scope)):
            return None
        name = self.header.lower().encode()
        said = [value for header, value in scope["headers"] if header == name]
        # Two of them: one may be the client's own, which the proxy let through.
        return _subject(said[0].decode("latin-1")) if len(said) == 1 else None

    def _is_trusted(self, host: str) -> bool:
        try:
            address = ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self.networks)


def _host(scope: Scope) -> str:
    """The other end of the connection; none for a socket of Unix."""
    client = scope.get("client")
    return str(client[0]) if client else ""


@lru_cache(maxsize=65_536)
def _subject(text: str) -> str | None:
    """The uuid that a subject names; None if it names none, or more than one."""
    if "=" not in text:
        return canonical(text.strip())
    try:
        names = Name.from_rfc4514_string(text, _NAMES).get_attributes_for_oid(NameOID.COMMON_NAME)
    except ValueError:
        return None
    return canonical(str(names[0].value)) if len(names) == 1 else None
