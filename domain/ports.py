"""The ports that a service publishes, as Docker reads them: 8080:80, 127.0.0.1:8080:80/tcp, 8000-8005:9000-9005."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Self

from domain.errors import BadInput

HIGHEST = 65535
# Whoever publishes more on one device means something else; and each of them is looked at.
MOST = 10_000
_PORTS = r"[0-9]{1,5}(?:-[0-9]{1,5})?"
_MAPPING = re.compile(rf"(?:(?:(?P<ip>\[[^\]]*\]|[^:\[\]]+):)?(?P<host>{_PORTS}):)?(?P<inside>{_PORTS})(?:/(?P<kind>tcp|udp|sctp))?")


@dataclass(frozen=True, slots=True)
class Mapping:
    """What one line publishes."""

    kind: str
    """tcp, udp or sctp."""
    ip: str | None
    """Of the device, where it listens; None is everywhere."""
    host: range
    """Ports of the device; empty where Docker chooses."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what Docker would; raises BadInput."""
        found = _MAPPING.fullmatch(text)
        if found is None:
            raise BadInput(f"“{text[:80]}” is not a port; write 8080:80, 127.0.0.1:8080:80/udp or 8000-8005:9000-9005")
        inside, host = _range(found["inside"]), _range(found["host"] or "")
        if host and len(host) != len(inside):
            raise BadInput(f"“{text[:80]}” has {len(host)} ports outside and {len(inside)} inside")
        return cls(found["kind"] or "tcp", _ip(found["ip"]), host)


@dataclass(slots=True)
class Published:
    """The ports of one device that are taken, and by what."""

    _by: dict[tuple[str, int], dict[str | None, str]] = field(default_factory=dict)
    _count: int = 0

    def add(self, mapping: Mapping, where: str) -> None:
        """Take what a line publishes; raises BadInput if another has it."""
        self._count += len(mapping.host)
        if self._count > MOST:
            raise BadInput(f"a device publishes at most {MOST} ports")
        for port in mapping.host:
            taken = self._by.setdefault((mapping.kind, port), {})
            for other in _in_the_way(taken, mapping.ip):
                raise BadInput(f"port {port}/{mapping.kind} of the device is taken by {other}")
            taken[mapping.ip] = where


def _in_the_way(taken: dict[str | None, str], ip: str | None) -> Iterator[str]:
    """Who listens there already: at the same address, or one of the two everywhere."""
    yield from taken.values() if ip is None else (taken[one] for one in (ip, None) if one in taken)


def _range(text: str) -> range:
    if not text:
        return range(0)
    first, _, last = text.partition("-")
    ports = range(int(first), int(last or first) + 1)
    if not ports or ports[0] < 1 or ports[-1] > HIGHEST:
        raise BadInput(f"“{text}”: ports are numbers from 1 to {HIGHEST}, and a range goes up")
    return ports


def _ip(text: str | None) -> str | None:
    if not text:
        return None
    try:
        address = ip_address(text.strip("[]"))
    except ValueError as bad:
        raise BadInput(f"“{text[:80]}” is not the address of a device; write 127.0.0.1 or [::1]") from bad
    return None if address.is_unspecified else str(address)
