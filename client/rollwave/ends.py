"""What the command ends with. CI relies on these numbers: they do not change."""

from enum import IntEnum

from rollwave.api.enums import RolloutStatus


class End(IntEnum):
    """An exit code."""

    GOOD = 0
    """Done; of a rollout that was waited for: completed."""
    ROLLED_BACK = 1
    """It was rolled back, or was being rolled back when the time was over."""
    REFUSED = 2
    """The command makes no sense, or the server refused."""
    STOPPED = 3
    """It was cancelled, or a newer rollout took over."""
    LATE = 4
    """The time was over first; the rollout goes on."""
    UNREACHABLE = 5
    """The server cannot be reached, is too busy, or does not answer as Rollwave does."""
    MISTAKE = 70
    """A mistake in this program."""
    INTERRUPTED = 130
    """By Ctrl-C; the rollout goes on."""


OF_ROLLOUT = {
    RolloutStatus.COMPLETED: End.GOOD,
    RolloutStatus.ROLLED_BACK: End.ROLLED_BACK,
    RolloutStatus.CANCELLED: End.STOPPED,
    RolloutStatus.SUPERSEDED: End.STOPPED,
}


def when_time_is_over(status: RolloutStatus | None) -> End:
    """A rollout on its way back is bad news already, however long it takes."""
    return End.ROLLED_BACK if status is RolloutStatus.ROLLING_BACK else End.LATE
