"""Ed25519 as agents write it: keys as PEM, base64 or hex; signatures as base64 or hex."""

from base64 import b64decode

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from domain.errors import BadInput

_RAW = 32


def public_key(text: str) -> bytes:
    """The 32 bytes of a public key; raises BadInput for what is none."""
    try:
        return _loaded(text.strip()).public_bytes_raw()
    except (ValueError, UnsupportedAlgorithm) as bad:
        raise BadInput("devicePublicKey: an Ed25519 key, as PEM, or its 32 bytes in base64 or hex") from bad


def is_signed(key: bytes, challenge: bytes, signature: str) -> bool:
    """Whether this is a signature over the challenge: over its bytes, or over the hex in which it is told."""
    try:
        signed = _bytes(signature)
    except ValueError:
        return False
    return any(_verifies(key, signed, message) for message in (challenge.hex().encode(), challenge))


def _loaded(text: str) -> Ed25519PublicKey:
    if text.startswith("-----BEGIN"):
        loaded = load_pem_public_key(text.encode())
    elif len(raw := _bytes(text)) == _RAW:
        loaded = Ed25519PublicKey.from_public_bytes(raw)
    else:  # as Node exports it
        loaded = load_der_public_key(raw)
    if not isinstance(loaded, Ed25519PublicKey):
        raise ValueError("another algorithm")
    return loaded


def _verifies(key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _bytes(text: str) -> bytes:
    """What is written as hex or, in either alphabet, as base64; raises ValueError."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b64decode(text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4), validate=True)
