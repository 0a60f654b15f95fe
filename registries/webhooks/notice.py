"""What arrived: headers, a body, and the one thing its endpoint knows that neither may say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json

from domain.errors import BadInput

MOST_IMAGES = 1000
"""In one webhook. Senders tell of one or a few; ten thousand would hold up everybody else."""
_MOST_PARTS = 50_000  # a megabyte of nested lists would take a third of a second to read, a thousand events take 25,000 parts


@dataclass(frozen=True, slots=True)
class Notice:
    """A webhook whose sender is known."""

    headers: Mapping[str, str]
    """Names in lower case."""
    body: Mapping[str, Any]
    default_host: str | None = None
    """The registry of images that the sender keeps to itself."""

    def text(self, *path: str) -> str | None:
        """What the body says in this place, if it says it in words."""
        value: Any = self.body
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        return value if isinstance(value, str) and value else None

    def host(self, said: str | None, field: str) -> str:
        """The registry the sender named in `field`, or else the endpoint's own."""
        host = said or self.default_host
        if not host:
            raise BadInput(f"{field} is missing, so nobody can tell which registry holds the image; set the endpoint's default host to it")
        return host

    def cloud_event_id(self) -> str | None:
        """A CloudEvent's id, which its source makes unique."""
        return source_and_id(self.text("source"), self.text("id"))


def parsed(said: bytes) -> Any:
    """What these bytes say in JSON; raises ValueError for what is none, or is more than a webhook can have to say."""
    if sum(map(said.count, (b"[", b"{", b","))) > _MOST_PARTS:
        raise ValueError(f"at most {_MOST_PARTS} brackets and commas are read")
    return from_json(said, allow_inf_nan=False)


def source_and_id(source: str | None, event: str | None) -> str | None:
    """An id that nobody else gives, for one that is its source's only."""
    return f"{source or ''} {event}".lstrip() if event else None


def located(url: str) -> tuple[str, str]:
    """The host, with its port, and the path of a URL with or without a scheme."""
    _, is_whole, rest = url.partition("://")
    host, _, path = (rest if is_whole else url).partition("/")
    return host.rpartition("@")[2], path


def host_of(url: str | None) -> str | None:
    """The host of a URL, if there is one."""
    return located(url)[0] if url else None


def is_name(tag: str | None) -> bool:
    """Whether it is a tag: for a manifest without one, which only an index refers to, some senders put the digest in its place."""
    return bool(tag) and not str(tag).startswith(("sha256:", "sha256__"))
