"""The name of a request, by which its lines in the log are found."""

import re
import secrets

from starlette.requests import HTTPConnection

_SANE = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")


def name(request: HTTPConnection) -> str:
    """As a proxy or the client named it, unless that would make a mess of the log; else a new one."""
    given = request.headers.get("x-request-id", "")
    return given if _SANE.fullmatch(given) else secrets.token_hex(8)
