"""Repositories that something is known of, and the tags that were heard of in them."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class HeardTag:
    """A tag that somebody said was pushed, as long as that is remembered."""

    repository: str
    tag: str
    digest: str | None
    """What it last stood for; None where nobody could tell."""
    first_at: datetime
    heard_at: datetime
    """When it was last told."""
