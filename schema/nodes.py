"""What every object that can be asked for again has: an id of its own among all objects."""

import base64
import binascii

import strawberry

from domain.errors import BadInput


@strawberry.interface(description="Whatever can be asked for again by its id.")
class Node:
    id: strawberry.ID = strawberry.field(description="Its name among all objects. Take it as it is: nothing in it is for reading.")


def node_id(kind: str, key: object) -> strawberry.ID:
    """The id of the object of a kind, such as “Rollout”, with this key."""
    return strawberry.ID(base64.urlsafe_b64encode(f"{kind}:{key}".encode()).decode().rstrip("="))


def parts(id: str, field: str = "id") -> tuple[str, str]:  # noqa: A002 – GraphQL's word
    """The kind and the key of an id that was handed out here; raises BadInput for any other text."""
    try:
        padded = id + "=" * (-len(id) % 4)  # exactly as much as is needed: more is as wrong as less
        kind, colon, key = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode().partition(":")
    except (ValueError, binascii.Error) as bad:
        raise BadInput(f"{field}: “{id[:64]}” is not an id that was handed out here") from bad
    if not colon or "\0" in key or len(key) > 512:
        raise BadInput(f"{field}: “{id[:64]}” is not an id that was handed out here")
    return kind, key


def key_of(id: str, kind: str, field: str = "id") -> str:  # noqa: A002 – GraphQL's word
    """The key behind an id of this kind; raises BadInput."""
    found, key = parts(id, field)
    if found != kind:
        raise BadInput(f"{field}: this is the id of a {found}, not of a {kind}")
    return key


def number_of(id: str, kind: str, field: str = "id") -> int:  # noqa: A002 – GraphQL's word
    """The same for those that are numbered."""
    if id.isascii() and id.isdigit():
        raise BadInput(f"{field}: “{id[:64]}” is a number, and not an id: ask for the {kind} by its number, and of it for its id")
    key = key_of(id, kind, field)
    if not (key.isascii() and key.isdigit() and len(key) <= 18):
        raise BadInput(f"{field}: “{id[:64]}” is not an id that was handed out here")
    return int(key)


def number_asked(kind: str, id: str | None, number: int | None) -> int:  # noqa: A002 – GraphQL's word
    """Of the id and the number of what is asked for one is given; raises BadInput."""
    if (id is None) == (number is None):
        raise BadInput("give one of id and number")
    return number_of(id, kind) if id is not None else number or 0
