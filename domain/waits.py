"""Why a rollout stays as it is, and what would make it move."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class On(StrEnum):
    """Who or what ends a wait."""

    DEVICES = "devices"
    """Polls and reports, or that the time for them is over."""
    TIME = "time"
    WINDOW = "window"
    """A maintenance window has to open."""
    CHECKS = "checks"
    """Health checks from outside, or a gate."""
    OPERATOR = "operator"
    APPROVAL = "approval"
    ENGINE = "engine"
    """The next second."""
    NOTHING = "nothing"
    """It is over."""


@dataclass(frozen=True, slots=True)
class Wait:
    """What the engine decides when it makes no move."""

    on: On
    sentence: str
    """For people: what is waited for."""
    until: datetime | None = None
    """When time alone ends it at the latest; None if time alone does not."""
