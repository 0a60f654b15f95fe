"""Live events inside one process: the relay publishes what it read, subscriptions take it from bounded mailboxes."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from broadcaster import Broadcast

from domain.events import Cursor, Event
from domain.ids import RolloutId
from resolvers.bells import Bells


class Mailbox:
    """The last events that a subscriber has not taken yet. When it is full it forgets them and says so: the table has them all."""

    CAPACITY = 256

    def __init__(self) -> None:
        self._events: deque[Event] = deque()
        self._filled = asyncio.Event()
        self.overflowed = False
        self.closed = False

    def put(self, event: Event) -> None:
        """Add one, or give up on all of them when there is no room."""
        if len(self._events) >= self.CAPACITY:
            self._events.clear()
            self.overflowed = True
        if not self.overflowed:
            self._events.append(event)
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


class Feed:
    """Hands each event to the mailboxes of those who follow its rollout."""

    def __init__(self) -> None:
        # Of broadcaster's back ends the one without a race or a silent death; delivery is guaranteed by the events table.
        self._broadcast = Broadcast("memory://")
        self._mailboxes: set[Mailbox] = set()
        self.bells = Bells()
        self.position = Cursor()
        self.is_closed = False
        """Nothing more is told here; whoever follows something comes again, perhaps to another process."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Deliver while the block runs; at its end every subscription ends."""
        await self._broadcast.connect()
        try:
            yield
        finally:
            self.close()
            await self._broadcast.disconnect()

    def close(self) -> None:
        """End every subscription."""
        self.is_closed = True
        for mailbox in self._mailboxes:
            mailbox.close()
        self.bells.close()

    async def publish(self, event: Event) -> None:
        """Hand an event to whoever follows its rollout."""
        if event.rollout_id is not None:
            await self._broadcast.publish(_topic(event.rollout_id), event)
        self.bells.ring(event.rollout_id)

    @asynccontextmanager
    async def follow(self, rollout: RolloutId) -> AsyncIterator[Mailbox]:
        """A mailbox that fills with a rollout's events from now on."""
        mailbox = Mailbox()
        mailbox.closed = self.is_closed
        async with self._broadcast.subscribe(_topic(rollout)) as subscriber:
            # broadcaster's own queue has no bound, so it is emptied as fast as it fills, into one that has.
            pump = asyncio.create_task(_pump(subscriber, mailbox))
            self._mailboxes.add(mailbox)
            try:
                yield mailbox
            finally:
                self._mailboxes.discard(mailbox)
                pump.cancel()
                with suppress(asyncio.CancelledError):
                    await pump


async def _pump(subscriber: object, mailbox: Mailbox) -> None:
    async for published in subscriber:  # type: ignore[attr-defined]
        mailbox.put(published.message)


def _topic(rollout: RolloutId) -> str:
    return f"rollout:{rollout}"
