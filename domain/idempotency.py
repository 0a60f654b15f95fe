"""Asking twice for the same thing, as who has not heard the answer does, and getting one."""

import hashlib
import json

from pydantic_core import to_jsonable_python

from domain.errors import BadInput

LONGEST_KEY = 255


def check_key(key: str) -> None:
    """Raise BadInput for a key that could not be kept."""
    if not (0 < len(key) <= LONGEST_KEY and key.isprintable()):
        raise BadInput(f"idempotencyKey: 1 to {LONGEST_KEY} characters that can be shown")


def fingerprint(request: object) -> bytes:
    """What tells a request from another one: the same for the same values, in whatever order its fields came."""
    return hashlib.sha256(json.dumps(to_jsonable_python(request), sort_keys=True).encode()).digest()
