"""Keys and tokens: random, long, shown once, kept as hashes."""

import hashlib
import secrets


def new(kind: str) -> str:
    """A fresh key of 256 random bits; the prefix tells people, and secret scanners, what they are looking at."""
    return f"rollwave_{kind}_{secrets.token_urlsafe(32)}"


def digest(key: str) -> bytes:
    """What is stored. Not a password hash: a key of 256 random bits cannot be guessed, so there is nothing to slow down."""
    return hashlib.sha256(key.encode()).digest()
