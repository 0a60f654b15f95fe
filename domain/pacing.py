"""How fast a stage is filled: devices a minute, a ramp, and at most so many at once."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import floor

MINUTE = timedelta(minutes=1)
# A tick is a second apart; what a slow one missed is made up for this long, and no idle time is saved up beyond it.
BURST = timedelta(seconds=5)
# After 400 steps even a factor of 1.1 has passed 10^16 a minute, and one of 5 is still a float.
STEEPEST = 400


class Counts(StrEnum):
    """What makes a ramp climb."""

    OFFERED = "offered"
    SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True)
class Ramp:
    """Faster with every so many devices: `min(most, base * factor ** (devices // every))`.

    The exponential rate of AWS IoT Jobs: developer guide, “Job rollout configurations”.
    """

    base: float
    """Devices a minute at first."""
    factor: float
    every: int
    counts: Counts = Counts.OFFERED


@dataclass(frozen=True, slots=True)
class LabelCap:
    """At most so many devices at once that share a value of a label: an uplink, a pair that must never be down together."""

    label: str
    devices: int


@dataclass(frozen=True, slots=True)
class Pace:
    """Every limit is optional; they hold together."""

    per_minute: float | None = None
    """The most devices a minute, also for a ramp."""
    ramp: Ramp | None = None
    in_flight: int | None = None
    """How many may be on their way at once: offered the image, and neither proven good nor failed nor silent."""
    per_label: LabelCap | None = None

    @property
    def is_capped(self) -> bool:
        """Only so many may be on their way at once."""
        return self.in_flight is not None or self.per_label is not None


def rate(pace: Pace, offered: int, succeeded: int) -> float | None:
    """Devices a minute, once so many were offered the image and so many of them run it well; None is no limit."""
    if pace.ramp is None:
        return pace.per_minute
    ramp = pace.ramp
    climbed = (offered if ramp.counts is Counts.OFFERED else succeeded) // ramp.every
    reached = ramp.base * ramp.factor ** min(climbed, STEEPEST)
    return reached if pace.per_minute is None else min(pace.per_minute, reached)


def allowance(per_minute: float, since: datetime, now: datetime) -> tuple[int, datetime]:
    """How many devices the time since then allows for, and the time up to which that has been used."""
    each = MINUTE / per_minute
    # On top of one that is almost due, or slow rates would lose the time between being due and the next tick.
    since = max(since, now - each - BURST)
    count = floor((now - since) / each)
    return count, since + count * each
