"""How far a rollout has got, in the few numbers that decide what each of its members is told."""

from dataclasses import dataclass

from domain.ids import RolloutId
from domain.statuses import Status

UNDER_WAY = (Status.IN_PROGRESS, Status.PAUSED, Status.ROLLING_BACK)


@dataclass(frozen=True, slots=True)
class Reach:
    """A rollout's row, as far as polls depend on it."""

    rollout_id: RolloutId
    frontier: int
    reached: int
    revision: int
    is_under_way: bool
    """It has not ended, so its devices are to poll more often."""
    is_over: bool = False
    """It has ended, and reaches nobody more."""


@dataclass(frozen=True, slots=True)
class Place:
    """A device's place in a rollout, and what an answer to it took for granted of that rollout."""

    rollout_id: RolloutId
    rank: int
    standing: int
    revision: int | None = None
    """What was taken for granted is everything, since the device waits for the window of its time zone; None: only its standing."""


def standing(rank: int, reach: Reach) -> int:
    """Where a rank stands: 0 not reached, 1 reached and taken back, 2 below the frontier; 4 more while a rollout that reached it goes on.

    As long as this number stays, moves of the rollout change nothing that the member is told.
    """
    if rank >= reach.reached:
        return 0
    return 1 + (rank < reach.frontier) + 4 * reach.is_under_way
