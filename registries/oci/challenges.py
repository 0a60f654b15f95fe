"""What a registry wants to be shown: the grammar of WWW-Authenticate (RFC 9110, 11.6.1)."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_END = r"[ \t]*(?=,|$)"
_SCHEME = re.compile(rf"[ \t,]*({_WORD})(?:[ \t]+|(?=,)|$)")
_PARAMETER = re.compile(rf'[ \t,]*({_WORD})[ \t]*=[ \t]*(?:({_WORD})|"((?:[^"\\]|\\.)*)"){_END}')
_TOKEN68 = re.compile(rf"[A-Za-z0-9._~+/-]+=*{_END}")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way in that a registry offers."""

    scheme: str
    """In lower case: bearer, basic."""
    realm: str | None = None
    """Of bearer: the URL that hands out tokens."""
    service: str | None = None
    scope: str | None = None


def challenges(header: str) -> list[Challenge]:
    """The challenges of a WWW-Authenticate header, up to where it cannot be read."""
    return list(_read(header))


def preferred(offered: Iterable[Challenge]) -> Challenge | None:
    """The challenge to answer: a token before a password, and None if there is neither."""
    known = [challenge for challenge in offered if challenge.scheme == "basic" or (challenge.scheme == "bearer" and challenge.realm)]
    return max(known, key=lambda challenge: challenge.scheme == "bearer", default=None)


def _read(header: str) -> Iterator[Challenge]:
    position = 0
    while found := _SCHEME.match(header, position):
        parameters, position = _parameters(header, found.end())
        yield Challenge(found[1].lower(), *(parameters.get(name) for name in ("realm", "service", "scope")))


def _parameters(header: str, position: int) -> tuple[dict[str, str], int]:
    """The parameters that begin here, and where they end; some schemes have a token68 instead, which tells us nothing."""
    if opaque := _TOKEN68.match(header, position):
        return {}, opaque.end()
    parameters: dict[str, str] = {}
    while found := _PARAMETER.match(header, position):
        parameters.setdefault(found[1].lower(), found[2] or _ESCAPED.sub(r"\1", found[3] or ""))
        position = found.end()
    return parameters, position
