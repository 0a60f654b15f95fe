"""How much this process has to tell, and to how many: counted where it happens, read by whoever watches."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from prometheus_client import Histogram

# Seconds. One event reaches a thousand clients within a few hundredths.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def seconds(name: str, meaning: str) -> Histogram:
    """How long something took, each time; kept with its process's other figures, and in no registry, of which there is one for all."""
    return Histogram(f"rollwave_{name}_seconds", meaning, registry=None, buckets=_BUCKETS)


def _delivery() -> Histogram:
    return seconds("delivery", "From being read of the table until the last subscriber's frame was written.")


@dataclass(slots=True)
class Load:
    """What one process does for those who follow something."""

    subscribers: int = 0
    groups: int = 0
    """Of those who follow the same."""
    waiting: int = 0
    """Answers in the mailboxes of all subscribers."""
    overflows: int = 0
    """Mailboxes that were full, so far."""
    replays_from_memory: int = 0
    """So far."""
    replays_from_table: int = 0
    replays_waiting: int = 0
    """For the table, behind others."""
    delivery: Histogram = field(default_factory=_delivery)

    def delivered(self, seconds: float) -> None:
        """An event reached everybody who follows it, so long after it was read: 1.2 us."""
        self.delivery.observe(seconds)

    @contextmanager
    def replay_waits(self) -> Iterator[None]:
        """While the block runs one more replay waits for the table."""
        self.replays_waiting += 1
        try:
            yield
        finally:
            self.replays_waiting -= 1
