"""Which server, and with which token: from the environment, or as `rollwave login` kept it."""

import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs
from pydantic import BaseModel, ValidationError

from rollwave.connection import server
from rollwave.errors import Refused


class Access(BaseModel, frozen=True):
    """An address and a token that opens it."""

    url: str
    token: str


def place() -> Path:
    """The file in which it is kept."""
    return platformdirs.user_config_path("rollwave") / "login.json"


def keep(access: Access) -> Path:
    """Keep it where nobody else can read it; returns where."""
    path = place()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    # Made with its mode: a file that is closed to others only afterwards was open for a moment.
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(access.model_dump_json())
    fresh.replace(path)
    return path


def forget() -> bool:
    """Keep it no more; whether there was anything."""
    try:
        place().unlink()
    except FileNotFoundError:
        return False
    return True


def kept() -> Access | None:
    """What was kept."""
    try:
        return Access.model_validate_json(place().read_text())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise Refused("UNAUTHENTICATED", f"{place()} cannot be read: `rollwave login` writes it anew") from None


def current(environment: Mapping[str, str] = os.environ) -> Access:
    """What counts now: ROLLWAVE_URL and ROLLWAVE_TOKEN, else what was kept. Raises Refused where something is missing."""
    url, token = environment.get("ROLLWAVE_URL"), environment.get("ROLLWAVE_TOKEN")
    if url and token:
        return Access(url=url, token=token)
    login = kept()
    if login is None:
        raise Refused("UNAUTHENTICATED", "no server is known: `rollwave login`, or set ROLLWAVE_URL and ROLLWAVE_TOKEN")
    if url and server(url) != server(login.url):
        # A token is shown to the server that it is for, and to no other.
        raise Refused("UNAUTHENTICATED", f"the token that is kept is for {login.url}: set ROLLWAVE_TOKEN beside ROLLWAVE_URL")
    return Access(url=login.url, token=token or login.token)
