"""What waits in one process for somebody who follows events, and how much of it may."""

import asyncio
from collections import deque
from collections.abc import Sequence
from time import monotonic

from domain.events import Cursor, Event


class Mailbox:
    """The last events that a subscriber has not taken yet. When it is full it forgets them and says so: the table has them all."""

    CAPACITY = 256

    def __init__(self, begin: Cursor) -> None:
        self._events: deque[Event] = deque()
        self._filled = asyncio.Event()
        self.position = begin
        """Of what is followed, everything after where this began and up to here has been put in."""
        self.overflowed = False
        self.closed = False
        self.since = 0.0
        """When what is in it began to wait, by time.monotonic()."""

    def put(self, events: Sequence[Event]) -> None:
        """Add some, or give up on all of them when there is no room."""
        if events[0].cursor < self.position:  # published before this was there, and handed round after
            events = [event for event in events if event.cursor > self.position]
        if not events:
            return
        if not self._filled.is_set():
            self.since = monotonic()
        if len(self._events) + len(events) > self.CAPACITY:
            self._events.clear()
            self.overflowed = True
        if not self.overflowed:
            self._events.extend(events)
        self.position = events[-1].cursor.past
        self._filled.set()

    def close(self) -> None:
        """Nothing will come any more."""
        self.closed = True
        self._filled.set()

    async def take(self) -> list[Event]:
        """Wait for something to happen, then everything there is; empty after an overflow, and when closed."""
        await self._filled.wait()
        events = list(self._events)
        self._events.clear()
        if not self.closed:
            self._filled.clear()
        return events
