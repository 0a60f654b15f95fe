"""How a rollout goes about it: shares, delays, limits. A policy makes a plan; a rollout keeps the one it started with."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rollout was told when it was created; later changes of the policy do not touch it."""

    shares: tuple[int, ...]
    """Percent of the fleet that has been offered the image once each stage is open; cumulative, the last is 100."""
    delay: timedelta
    """From the moment a batch has proved itself until the next one opens."""
    soak: timedelta
    """How long a device must run the image, healthy, before that counts."""
    pickup: timedelta
    """How long a batch waits for an offered device to poll; a device silent for longer is replaced by the next in rank."""
    deadline: timedelta
    """How long a device that took the image may stay inconclusive before it counts as failed."""
    max_failure_rate: float
    """Failed / (running + failed) above this stops the rollout; 0 to 1."""
    min_outcomes: int
    """How many outcomes it takes to stop while others are still expected."""
    health_check_enabled: bool
    auto_rollback_enabled: bool
    starts_by_itself: bool


def shares(batches: int) -> tuple[int, ...]:
    """Cumulative percent for so many batches: a tenth first, then even steps in whole tenths; 3 gives 10, 50, 100.

    More than ten batches are equal ones.
    """
    if batches == 1:
        return (100,)
    if batches > 10:
        return tuple(100 * (number + 1) // batches for number in range(batches))
    return tuple((10 + 90 * number // (batches - 1)) // 10 * 10 for number in range(batches))


def stages(percents: tuple[int, ...], size: int) -> tuple[int, ...]:
    """How many of `size` members have been offered the image once each stage is open: rising, the last is `size`.

    At least one member a stage, so a 10 % stage of five devices still tests something; stages that would be empty are left out.
    """
    counts: list[int] = []
    for percent in percents:
        before = counts[-1] if counts else 0
        if before < size:
            counts.append(max(before + 1, size * percent // 100))
    return tuple(counts)
