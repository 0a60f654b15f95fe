"""Devices that are set aside: they join no rollout until somebody lets go of them, or for a while."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.errors import BadInput, Conflict
from domain.times import shown

LONGEST_REASON = 500
LONGEST_HOLD = timedelta(days=3653)


class AsideKind(StrEnum):
    """Why a device joins no rollout."""

    PINNED = "pinned"
    """An operator wants it to stay exactly as it is."""
    HELD = "held"
    """An operator wants no rollout to begin on it for a while."""
    QUARANTINED = "quarantined"
    """It failed in too many rollouts in a row."""


@dataclass(frozen=True, slots=True)
class Aside:
    """That a device is set aside."""

    kind: AsideKind
    until: datetime | None
    """None: until somebody releases it."""
    at: datetime
    by: str
    """An operator's name, or rollwave itself."""
    reason: str | None

    @property
    def sentence(self) -> str:
        """The same for people, without its subject."""
        end = "somebody releases it" if self.until is None else shown(self.until)
        return f"was {self.kind} by {self.by} at {shown(self.at)}, until {end}" + (f": {self.reason}" if self.reason else "")


def pinned(now: datetime, by: str, reason: str | None) -> Aside:
    """Set aside until somebody releases it; raises BadInput."""
    return Aside(AsideKind.PINNED, None, now, by, _checked(reason))


def held(before: Aside | None, until: datetime, now: datetime, by: str, reason: str | None) -> Aside:
    """Set aside for a while; raises BadInput, and Conflict for a device that is set aside for longer."""
    if until.tzinfo is None:
        raise BadInput("until: say of which time zone, as in 2030-01-31T06:00:00Z")
    if not now < until <= now + LONGEST_HOLD:
        raise BadInput("until: a moment to come, within ten years; to set a device aside for good, pin it")
    if before is not None and before.kind is not AsideKind.HELD:
        raise Conflict(f"the device is {before.kind}, which ends when it is released and not before: release it first")
    return Aside(AsideKind.HELD, until, now, by, _checked(reason))


def _checked(reason: str | None) -> str | None:
    if reason is not None and not 0 < len(reason.strip()) <= LONGEST_REASON:
        raise BadInput(f"reason: 1 to {LONGEST_REASON} characters, or none")
    return reason and reason.strip()
