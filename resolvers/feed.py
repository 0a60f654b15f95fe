"""Live events inside one process: the relay publishes what it read, those who follow it take it from bounded mailboxes."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from broadcaster import Broadcast

from domain.events import Cursor, Event
from domain.ids import RolloutId
from resolvers.batches import Batches
from resolvers.bells import Bells
from resolvers.mailboxes import Mailbox
from resolvers.ring import Ring

_NOT_YET = Cursor(2**63)
"""Before nothing: what is not being relayed is in the table alone."""


class Feed:
    """Hands each event to the mailboxes of those who follow its rollout, or everything."""

    def __init__(self) -> None:
        # Of broadcaster's back ends the one without a race or a silent death; delivery is guaranteed by the events table.
        self._broadcast = Broadcast("memory://")
        self._mailboxes: set[Mailbox] = set()
        self.bells = Bells()
        self.batches = Batches()
        self._ring = Ring(_NOT_YET)
        self.position = Cursor()
        """Everything up to here was published; whoever follows something from now on is given all that comes after it."""
        self.replays = asyncio.Semaphore(8)
        """Held while reading a page of the table: ten thousand who come back at once leave two of ten connections to everybody else."""
        self.lag: float | None = None
        """Seconds between the newest event and when it was read here; None before the first."""
        self.is_closed = False
        """Nothing more is told here; whoever follows something comes again, perhaps to another process."""

    def begin(self, position: Cursor) -> None:
        """What is published from now on comes after this."""
        self.position = position
        self._ring = Ring(position)

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

    async def publish(self, events: Sequence[Event]) -> None:
        """Hand settled events, the next in their order, to whoever follows their rollouts or everything."""
        if not events:
            return
        # With a memory back end nothing here waits, so nobody sees a position whose events are not on their way to all who follow them.
        self._ring.add(events)
        self.position = events[-1].cursor.past
        for topic, some in _by_topic(events).items():
            await self._broadcast.publish(topic, some)
        self.bells.ring({event.rollout_id for event in events})

    def since(self, after: Cursor) -> list[Event] | None:
        """What was published of which something lies after a cursor; None where only the table reaches so far back."""
        return self._ring.since(after)

    @asynccontextmanager
    async def follow(self, rollout: RolloutId | None) -> AsyncIterator[Mailbox]:
        """A mailbox that fills with a rollout's events, or with everybody's, from the feed's position on."""
        async with self._broadcast.subscribe(_topic(rollout)) as subscriber:
            mailbox = Mailbox(self.position)
            mailbox.closed = self.is_closed
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


def _by_topic(events: Sequence[Event]) -> dict[str, Sequence[Event]]:
    of_rollouts = defaultdict[RolloutId, list[Event]](list)
    for event in events:
        if event.rollout_id is not None:
            of_rollouts[event.rollout_id].append(event)
    return {_topic(None): events, **{_topic(rollout): some for rollout, some in of_rollouts.items()}}


def _topic(rollout: RolloutId | None) -> str:
    return "everything" if rollout is None else f"rollout:{rollout}"
