"""Which JSON can be kept: PostgreSQL takes no null characters, and orjson writes nothing that is nested too deeply or counts too far."""

import re

import orjson

from domain.errors import BadInput

# An escape, not what follows an escaped backslash: \\u0000 is six harmless characters.
_NULL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def check(document: object, what: str) -> None:
    """Raise BadInput for a document that could not be kept and read again."""
    try:
        text = orjson.dumps(document)
    except orjson.JSONEncodeError as bad:
        raise BadInput(f"{what} cannot be kept: {str(bad).lower()}") from bad
    if _NULL.search(text):
        raise BadInput(f"{what} holds a null character")
