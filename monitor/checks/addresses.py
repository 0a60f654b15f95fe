"""Where checks may go: nowhere, until the operator of the server says which networks. It is asked for every socket before there is one."""

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

from aiohttp import AddrInfoType
from aiohttp.abc import AbstractResolver, ResolveResult

Address = IPv4Address | IPv6Address

# An IPv4 address in the last 32 bits (RFC 6052); 64:ff9b:1::/48 (RFC 8215) has it where only the translator knows, so it is never reached.
_NAT64 = IPv6Network("64:ff9b::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
# “This host”: Linux connects all of 0.0.0.0 and :: to itself, whatever the ranges say about 127.0.0.1.
_THIS_HOST = (IPv4Network("0.0.0.0/8"), IPv6Network("::/128"))
_BROADCAST = IPv4Address("255.255.255.255")


class NotAllowed(PermissionError):
    """An address is outside the ranges that the operator of the server allowed."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """The networks that checks may reach; none allows no check at all. What is not listed is refused."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read “10.8.0.0/16, fd00::/8”; raises ValueError for what is no network, and for one with bits set beyond its prefix."""
        return cls(tuple(ip_network(part.strip()) for part in text.split(",") if part.strip()))

    def check(self, address: str) -> None:
        """Do nothing for an address that may be reached; raise NotAllowed for any other, and for what is no address."""
        if not self.networks:
            raise NotAllowed("this server may not make checks: no address ranges are allowed")
        try:
            covered = self._covers(ip_address(address))
        except ValueError as bad:
            raise NotAllowed(f"“{address}” is no IP address") from bad
        if not covered:
            raise NotAllowed(f"{address} is outside the address ranges that checks may reach")

    def socket(self, info: AddrInfoType) -> socket.socket:
        """A socket to connect to exactly this address; raises NotAllowed. aiohttp asks this for literals too, which it resolves itself."""
        family, kind, proto, _, address = info
        self.check(str(address[0]))
        return socket.socket(family, kind, proto)

    def _covers(self, address: Address) -> bool:
        """An address that carries others is covered only if they are."""
        if isinstance(address, IPv6Address):
            if address.ipv4_mapped is not None:  # the kernel connects by IPv4
                return self._covers(address.ipv4_mapped)
            if address.scope_id is not None or not all(self._covers(inner) for inner in _carried(address)):
                return False
        return not _is_never_reached(address) and any(address in network for network in self.networks)


def _carried(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses at which NAT64, 6to4 and Teredo end."""
    nat64 = [IPv4Address(int(address) & 0xFFFF_FFFF)] if address in _NAT64 else []
    sixtofour = [address.sixtofour] if address.sixtofour is not None else []
    return [*nat64, *sixtofour, *(address.teredo or ())]


def _is_never_reached(address: Address) -> bool:
    return address.is_multicast or address == _BROADCAST or any(address in network for network in (*_THIS_HOST, _LOCAL_NAT64))


class Guarded(AbstractResolver):
    """Looks a name up and keeps the addresses that may be reached; whoever asked connects to one of these, and never looks again."""

    def __init__(self, allowed: Allowed, resolver: AbstractResolver) -> None:
        self.allowed = allowed
        self._resolver = resolver

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        """The addresses of a name or a literal that may be reached: one at least; raises NotAllowed, or OSError when nobody knows it."""
        if not self.allowed.networks:  # not even a name server is asked
            self.allowed.check(host)
        found = await self._resolver.resolve(host, port, family)
        reachable = [place for place in found if self._is_reachable(place["host"])]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "it has no address")
        if not reachable:
            raise NotAllowed(f"{host} is at {found[0]['host']}, outside the address ranges that checks may reach")
        return reachable

    async def close(self) -> None:
        """Nothing is held open but by the resolver inside."""
        await self._resolver.close()

    def _is_reachable(self, address: str) -> bool:
        try:
            self.allowed.check(address)
        except NotAllowed:
            return False
        return True
