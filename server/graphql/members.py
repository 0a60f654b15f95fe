"""One subscriber of a group: how far he is, and what waits for him."""

import asyncio
import time
from collections.abc import Awaitable, Sequence

from domain.events import Cursor
from schema.session import Session
from server.graphql.channels import Answer, Channel

# Answers that wait for one subscriber: 256 references to bytes that all of the group share, and 4 MB of those, unless one alone is larger.
ROOM, BYTES = 256, 4_000_000
# So often within so many seconds somebody may have missed that much; then he is not kept up with by reading it for him again and again.
MOST_MISSED, SECONDS = 4, 60.0


class TooSlow(Exception):
    """A subscriber does not read as fast as things happen."""


class CutOff(Exception):
    """Nothing more is told here, though there is more to come: whoever follows comes again, perhaps to another process."""


class Member:
    """A subscription of somebody, and what he is told through."""

    def __init__(self, session: Session, channel: Channel, after: Cursor, *, newest_only: bool) -> None:
        self.session = session
        self.load = session.ctx.load
        self.last = after
        """He has, or does not ask for, everything up to here."""
        self.is_live = False
        """Whether he is told what happens as it happens; else he is reading, or about to read, what he has missed."""
        self.is_paid_ahead = True
        """Who subscribes pays for the first event, which may be long in coming."""
        self._channel = channel
        self._newest_only = newest_only
        # No deques, nor an asyncio.Event, which has one: 0.8 kB each.
        self._waiting: list[Answer] = []
        self._bytes = 0
        self._is_writing = False
        self._woken = asyncio.get_running_loop().create_future()
        self._is_over = False
        self._life: asyncio.Timeout | None = None
        self._why: Exception | None = None
        self._missed: list[float] = []

    def offer(self, answers: Sequence[Answer]) -> None:
        """Tell him what he does not know yet, at once or as soon as he reads; if there is no room for it, he has to read on by himself."""
        if not self._newest_only and answers[0].cursor <= self.last:
            answers = [answer for answer in answers if answer.cursor > self.last]
        if answers and not self._is_writing and self._push(answers):
            self.last = answers[-1].cursor
        elif answers:
            self._keep(answers)

    def _push(self, answers: Sequence[Answer]) -> bool:
        try:
            return self._channel.push(answers)
        except Exception as error:  # whatever it is, the others are told
            self.end(error)
            return True

    def _keep(self, answers: Sequence[Answer]) -> None:
        size = sum(len(answer.payload) for answer in answers)
        if self._newest_only:
            self.forget()
        elif self._waiting and (len(self._waiting) + len(answers) > ROOM or self._bytes + size > BYTES):
            self.forget()
            self.is_live = False
            self._wake()
            return
        self._waiting += answers
        self._bytes += size
        self.load.waiting += len(answers)
        self._is_writing = True
        self._wake()

    def forget(self) -> None:
        """What waits for him is not told."""
        self.load.waiting -= len(self._waiting)
        self._waiting = []
        self._bytes = 0

    async def write(self, answer: Answer) -> None:
        """Tell him something that he had missed."""
        await self._channel.write([answer])
        self.last = answer.cursor
        await asyncio.sleep(0)  # what all have read and a connection takes at once is waited for nowhere: nobody else would have a turn

    async def stay(self) -> bool:
        """Tell him what waits for him, whenever something does; returns whether all is said, or else he has missed something."""
        while True:
            await self._woken
            self._woken = asyncio.get_running_loop().create_future()
            while self._waiting:
                await self._tell_what_waits()
            self._is_writing = False
            if self._why is None and (self._is_over or not self.is_live):
                return self.is_live

    async def _tell_what_waits(self) -> None:
        taken = self._waiting
        self.forget()
        await self._channel.write(taken)
        self.last = taken[-1].cursor

    def has_missed(self) -> None:
        """Count that there was no room for something; raises TooSlow if that was too often."""
        self.load.overflows += 1
        now = time.monotonic()
        if len(self._missed) == MOST_MISSED and now - self._missed[0] < SECONDS:
            raise TooSlow
        self._missed = [*self._missed, now][-MOST_MISSED:]

    def _wake(self) -> None:
        if not self._woken.done():
            self._woken.set_result(None)

    def finish(self) -> None:
        """All is said, but for what waits for him."""
        self._is_over = True
        self._wake()

    def end(self, why: Exception) -> None:
        """Stop telling him anything, wherever that is."""
        if self._life is not None and self._why is None:
            self._why = why
            self.is_live = False
            self._life.reschedule(asyncio.get_running_loop().time())

    async def live(self, telling: Awaitable[None]) -> None:
        """Await what tells him, until it is done or he is ended; raises why."""
        try:
            async with asyncio.timeout(None) as self._life:
                await telling
        except TimeoutError as ended:
            raise (self._why or ended).with_traceback(None) from None  # of a reason that many share it would grow with each of them
        finally:
            self._life = None
