"""Where a check goes: URLs and hosts in which a device's own words may stand, without ever changing what is reached but for that."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Self
from urllib.parse import quote, unquote

from domain.errors import BadInput

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_URL = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[^:/?\[\]@]+)(?::(\d{1,5}))?(/[^?]*)?(?:\?(.*))?", re.ASCII | re.IGNORECASE)
# Each piece between placeholders on its own, so that no “%2{name}” waits for a value to become another character.
_LITERAL = re.compile(r"(?:[A-Za-z0-9._~:/?\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# A name whose last label is a number is an address in disguise (WHATWG URL, “ends in a number”): 2130706433, 0x7f.1, 0177.0.0.1.
_DISGUISED = re.compile(r"(?:.*\.)?(?:\d+|0[xX][0-9A-Fa-f]*)")
_IN_A_LABEL = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Subject:
    """A device, as far as a check may name it: {uuid}, {name}, {fleet}, {address}. What a device said itself is not to be trusted."""

    uuid: str
    name: str
    fleet: str | None
    address: str | None
    """One IP address or host name, as the device reported it."""

    def value(self, placeholder: str) -> str:
        """What stands for a placeholder; raises ValueError when the device has no such thing."""
        known = {"uuid": self.uuid, "name": self.name, "fleet": self.fleet, "address": self.address}
        value = known[placeholder]
        if not value:
            raise ValueError(f"the device has no {placeholder}")
        return value


_SAMPLE = Subject("x", "x", "x", "x")


def checked_host(text: str) -> str:
    """An IP address without a zone, spelt as everybody spells it, or a name; raises ValueError for anything else."""
    try:
        address = ip_address(text)
    except ValueError:
        if len(text) > 253 or not _NAME.fullmatch(text) or _DISGUISED.fullmatch(text):
            raise ValueError(f"“{text}” is neither an IP address nor a host name") from None
        return text
    if "%" in text:
        raise ValueError(f"“{text}” names a zone, which means something on one machine only")
    return str(address)


def checked_host_template(text: str) -> str:
    """A host that may hold placeholders; raises ValueError."""
    _pieces(text)
    _host(text, _SAMPLE)
    return text


def host_for(template: str, subject: Subject) -> str:
    """The host to connect to for a device; raises BadInput when the device's words do not make one."""
    try:
        return _host(template, subject)
    except ValueError as bad:
        raise BadInput(str(bad)) from bad


@dataclass(frozen=True, slots=True)
class Url:
    """An http or https URL with placeholders in its host, path or query."""

    scheme: str
    host: str
    port: int | None
    path: str
    query: str | None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a URL; raises ValueError for what is none, and for a user, a password, a fragment or an unknown placeholder in it."""
        well_spelt = all(_LITERAL.fullmatch(piece) for piece in _pieces(text))
        found = _URL.fullmatch(text) if well_spelt else None
        if found is None:
            raise ValueError("a URL must be http(s)://host[:port][/path][?query], percent-encoded, without user, password or fragment")
        port = int(found[3]) if found[3] else None
        if port is not None and not 0 < port < 65536:
            raise ValueError(f"{port} is no port")
        url = cls(found[1].lower(), found[2].strip("[]"), port, found[4] or "/", found[5])
        url._filled(_SAMPLE)
        return url

    @property
    def has_placeholders(self) -> bool:
        """Whether it is another URL for another device."""
        return any("{" in part for part in (self.host, self.path, self.query or ""))

    def filled(self, subject: Subject) -> str:
        """The URL for a device, percent-encoded; raises BadInput when the device's words would lead elsewhere."""
        try:
            return self._filled(subject)
        except ValueError as bad:
            raise BadInput(str(bad)) from bad

    def _filled(self, subject: Subject) -> str:
        host = _host(self.host, subject)
        host = f"[{host}]" if ":" in host else host
        port = "" if self.port is None else f":{self.port}"
        query = "" if self.query is None else f"?{_quoted(self.query, subject)}"
        return f"{self.scheme}://{host}{port}{_path(self.path, subject)}{query}"


def _pieces(template: str) -> list[str]:
    """What stands between the placeholders; raises ValueError for a placeholder nobody knows."""
    first, *rest = _PLACEHOLDER.split(template)
    for name in rest[::2]:
        if name not in Subject.__slots__:
            raise ValueError(f"the placeholder “{{{name}}}” is unknown; there are {{uuid}}, {{name}}, {{fleet}} and {{address}}")
    return [first, *rest[1::2]]


def _host(template: str, subject: Subject) -> str:
    """A placeholder that is the whole host may be any host; beside other characters it is a part of one label, and never has a dot."""
    if whole := _PLACEHOLDER.fullmatch(template):
        return checked_host(subject.value(whole[1]))
    return checked_host(_PLACEHOLDER.sub(lambda found: _in_a_label(subject.value(found[1])), template))


def _in_a_label(value: str) -> str:
    if not _IN_A_LABEL.fullmatch(value):
        raise ValueError(f"“{value}” cannot be a part of a host name")
    return value


def _path(template: str, subject: Subject) -> str:
    path = _quoted(template, subject)
    if any(unquote(segment) in (".", "..") for segment in path.split("/")):
        raise ValueError(f"“{path}” has a segment that means another one")
    return path


def _quoted(template: str, subject: Subject) -> str:
    return _PLACEHOLDER.sub(lambda found: _quote(subject.value(found[1])), template)


def _quote(value: str) -> str:
    # Some servers read “/..;x/” as “/../”, so these two are refused whatever stands beside them.
    if value in (".", ".."):
        raise ValueError(f"“{value}” would change the path")
    return quote(value, safe="")
