"""Registries that may be asked, since an operator named them, and what they answered."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a registry, or the one who hands out its tokens, wants to hear."""

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.username!r}, …)"


@dataclass(frozen=True, slots=True)
class Registry:
    """A registry that may be asked, and how."""

    host: str
    """As it stands in image names, with its port: docker.io, ghcr.io, registry.acme.example:5000."""
    credentials: Credentials | None = None
    plain_http: bool = False
    """Whether it is asked over HTTP, for want of TLS."""
    set_at: datetime | None = None
    """When an operator said so. What it answered before does not count: not that it wanted to be left alone, either."""
    version: int = 1


class Unanswered(Exception):
    """A registry could not be asked, or gave no answer that tells; the message is a sentence for the operator."""

    def __init__(self, why: str, retry_after: timedelta | None = None) -> None:
        super().__init__(why)
        self.retry_after = retry_after
        """When it wants to be asked again, if it said so."""
