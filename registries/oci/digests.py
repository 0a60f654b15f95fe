"""What a digest looks like, and whether bytes are the ones it names."""

import hashlib
import re

_HEX_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
_DIGEST = re.compile("|".join(f"{algorithm}:[0-9a-f]{{{length}}}" for algorithm, length in _HEX_DIGITS.items()))


def is_digest(text: str) -> bool:
    """Whether this can be a digest that we could check."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """The digest of these bytes."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def names(digest: str, content: bytes) -> bool:
    """Whether the digest is the digest of these bytes."""
    return is_digest(digest) and digest_of(content, digest.partition(":")[0]) == digest
