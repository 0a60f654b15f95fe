"""Whether a webhook comes from somebody who knows the secret."""

import hashlib
import hmac
from collections.abc import Mapping

# GitHub and Gitea sign in the first; our generic body may be signed in any of them.
_HEADERS = ("x-hub-signature-256", "x-signature-256", "x-signature")


def is_signed(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether a header (keys in lower case) carries `sha256=` and the HMAC-SHA256 of the body, byte for byte as it arrived."""
    proof = "sha256=" + hmac.new(_bytes(secret), body, hashlib.sha256).hexdigest()
    return any(is_secret(proof, headers[name].lower()) for name in _HEADERS if name in headers) and secret != ""


def is_secret(secret: str, given: str) -> bool:
    """Whether `given` is the secret. Takes as long for a near miss as for a far one; an empty secret is nobody's."""
    return hmac.compare_digest(_bytes(secret), _bytes(given)) and secret != ""


def _bytes(text: str) -> bytes:
    # compare_digest refuses text beyond ASCII, and a header may hold anything.
    return text.encode("utf-8", "surrogatepass")
