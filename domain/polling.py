"""Repositories whose registries are asked for new tags."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Polled:
    """A repository that is asked for new tags again and again."""

    repository: str
    due_at: datetime
    failures: int
    problem: str | None
    """Why it did not answer last time."""
    asked_at: datetime | None
    """When it last answered."""
    seen: dict[str, str]
    """The digests that tags had then, of those that were looked at."""
