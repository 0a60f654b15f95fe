"""What arrived: headers, a body, and the one thing its endpoint knows that neither may say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.errors import BadInput

MOST_IMAGES = 1000
"""In one webhook. Senders tell of one or a few; ten thousand would hold up everybody else."""


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
