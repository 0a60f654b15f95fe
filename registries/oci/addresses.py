"""Where a registry may send us: onto the public Internet, and nowhere into the network that we are in."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

# An IPv4 address in the last 32 bits (RFC 6052); of 64:ff9b:1::/48 (RFC 8215) only the translator knows where it is.
_NAT64 = IPv6Network("64:ff9b::/96")
# Global by Python's book: IPv4 addresses as they were once written in IPv6, and what private addresses were before fc00::/7.
_NOWHERE = (IPv6Network("64:ff9b:1::/48"), IPv6Network("::/96"), IPv6Network("fec0::/10"))


def is_public(address: str) -> bool:
    """Whether this is an address on the public Internet; one that carries others is as public as they are."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return _is_public(found)


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
        if address.scope_id is not None or any(address in network for network in _NOWHERE):
            return False
        if not all(_is_public(inner) for inner in _carried(address)):
            return False
    return address.is_global and not address.is_multicast


def _carried(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses at which NAT64 and 6to4 end; Teredo's relays are nobody's registry, so it is not global."""
    nat64 = [IPv4Address(int(address) & 0xFFFF_FFFF)] if address in _NAT64 else []
    return [*nat64, *([address.sixtofour] if address.sixtofour is not None else [])]
