"""What was published lately in one process."""

from bisect import bisect_right
from collections.abc import Sequence

from domain.events import Cursor, Event


class Ring:
    """The last events that were published: whoever was away for a moment reads them here and not in the table."""

    CAPACITY = 10_000

    def __init__(self, begin: Cursor) -> None:
        self._events: list[Event] = []
        self._begin = begin
        """Everything that was published after this is here."""

    def add(self, events: Sequence[Event]) -> None:
        """Keep these too, and the oldest no longer."""
        self._events += events
        if (over := len(self._events) - self.CAPACITY) > 0:
            self._begin = self._events[over - 1].cursor.past
            del self._events[:over]

    def since(self, after: Cursor) -> list[Event] | None:
        """Those of which something lies after a cursor; None where that reaches further back."""
        if after < self._begin:
            return None
        return self._events[bisect_right(self._events, (after.xid, after.seq, after.part), key=_end) :]


def _end(event: Event) -> tuple[int, int, int]:
    return event.cursor.xid, event.cursor.seq, Cursor.END
