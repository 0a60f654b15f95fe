"""Whether a webhook comes from somebody who knows the secret."""

import binascii
import hmac
from base64 import b64decode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Signature:
    """Where a sender puts the HMAC of a body, and how it writes it."""

    header: str
    """In lower case."""
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    prefix: str = ""

    def is_on(self, secret: str, headers: Mapping[str, str], body: bytes) -> bool:
        """Whether it was made with the secret, of the body byte for byte as it arrived. Header names are lower case."""
        given = headers.get(self.header)
        return given is not None and secret != "" and is_secret(self._of(secret, body), given.lower())

    def _of(self, secret: str, body: bytes) -> str:
        return self.prefix + hmac.new(_bytes(secret), body, self.algorithm).hexdigest()


def is_secret(secret: str, given: str) -> bool:
    """Whether `given` is the secret. Takes as long for a near miss as for a far one; an empty secret is nobody's."""
    return hmac.compare_digest(_bytes(secret), _bytes(given)) and secret != ""


def is_carried(secret: str, headers: Mapping[str, str], names: Iterable[str]) -> bool:
    """Whether one of these headers is the secret: as it is, or, after the word for it, as a bearer token or a password."""
    return any(is_secret(secret, said) for name in names if name in headers for said in _readings(headers[name]))


def _readings(value: str) -> tuple[str, ...]:
    word, _, rest = value.partition(" ")
    match word.lower():
        case "bearer":
            return value, rest.strip()
        case "basic":
            return value, _password(rest)
        case _:
            return (value,)


def _password(credentials: str) -> str:
    """What follows the user's name, which may be anybody's; nothing when it cannot be read."""
    try:
        return b64decode(credentials.strip(), validate=True).decode().partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _bytes(text: str) -> bytes:
    # compare_digest refuses text beyond ASCII, and a header may hold anything.
    return text.encode("utf-8", "surrogatepass")
