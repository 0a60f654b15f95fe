"""Those who are told everything that happens, in order: live, or, where they missed something, as they read it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from typing import Any

from domain.events import Cursor
from resolvers.context import AWAY, Context
from resolvers.feed import Feed
from resolvers.streams import Replayed, Told
from schema.session import Session
from schema.subscribed import Subscribed
from server.graphql.channels import Answer, Channel
from server.graphql.group import PAUSE, Group
from server.graphql.members import CutOff, Member
from server.graphql.shared import Shared

# Of what waits to be told so much is told at once, so that whoever reads slowly is told in fewer pieces.
TOGETHER = 64
# The same in bytes, but for the last of them: answers of 10 MB are told one by one.
BYTES = 1_000_000
# Of what was published lately so much is held for one who reads it slowly, while it is forgotten elsewhere.
PAGE = 500


class ReplayedGroup(Group):
    """Those who are told everything. Each reads what he missed for himself, up to where the group is, and goes on with it."""

    def __init__(self, subscribed: Subscribed, ctx: Context, stream: Replayed[Any]) -> None:
        self._stream = stream
        self._feed: Feed = ctx.feed
        self._shared = Shared()
        self._position = Cursor()
        """Everything up to here has been told to those who are live."""
        self._begun = asyncio.Event()
        super().__init__(subscribed, ctx)

    def member(self, session: Session, channel: Channel, subscribed: Subscribed) -> Member:
        """Somebody who begins where he wants to."""
        stream = subscribed.following.stream
        assert isinstance(stream, Replayed), "by its key it is the same as the others'"
        return Member(session, channel, stream.after, newest_only=False)

    async def tell(self, member: Member) -> None:
        """Tell a member until all is said; raises TooSlow, and CursorExpired if what he missed is not there any more."""
        await self._begun.wait()
        while True:
            await self._catch_up(member)
            if await member.stay():
                return
            member.has_missed()

    async def _catch_up(self, member: Member) -> None:
        """Tell a member what he missed, until there is nothing more: then, at once, he is live."""
        while not member.is_live:
            try:
                here = await self._read_on(member)
            except AWAY:
                await asyncio.sleep(PAUSE)
            else:
                member.last = max(member.last, here)
                member.is_live = self._feed.position == here

    async def _read_on(self, member: Member) -> Cursor:
        """Tell a member what there is after what he has; returns up to where that was."""
        here, missed = self._missed(member.last)
        async with aclosing(missed):
            async for told in missed:
                if refused := self.refusal(member):
                    raise refused
                await member.write(await self._answer(told))
        return here

    def _missed(self, after: Cursor) -> tuple[Cursor, AsyncGenerator[Told[Any], None]]:
        """What there is after a cursor, from memory or from the table, and up to where that is."""
        here, recent = self._feed.position, self._feed.since(after)
        if recent is None:
            self.load.replays_from_table += 1
            return here, _until(here, self._stream.replay(after))
        self.load.replays_from_memory += bool(recent)
        if len(recent) > PAGE:
            recent = recent[:PAGE]
            here = recent[-1].cursor.past
        return here, self._stream.meant(recent, after)

    async def follow(self) -> None:
        """Tell everybody who is live what happens; ends them, as they are to come again, when nothing more will be heard here."""
        with closing(self._shared):
            await self._follow()
        self._end(CutOff())

    async def _follow(self) -> None:
        async with self._feed.follow(self._stream.rollout) as mailbox:
            self._position = self._feed.position
            self._begun.set()
            while not mailbox.closed:
                events = await mailbox.take()
                if mailbox.overflowed or (
                    events and not await self._tell(self._stream.meant(events, self._position), events[-1].cursor.past)
                ):
                    mailbox.overflowed = False
                    await self._tell_missed()
                if not mailbox.closed:
                    self.load.delivered(time.monotonic() - mailbox.since)

    async def _tell_missed(self) -> None:
        """Tell everybody who is live what is not in the mailbox any more, or could not be read while the database was away."""
        while self._position < self._feed.position:
            upto, missed = self._missed(self._position)
            if not await self._tell(missed, upto):
                await asyncio.sleep(PAUSE)

    async def _tell(self, happening: AsyncGenerator[Told[Any], None], upto: Cursor) -> bool:
        """Tell everybody who is live what there is up to somewhere; whether the database was there for all of it."""
        try:
            if any(member.is_live for member in self.members):  # the others read it for themselves, and pay for it
                await self._tell_together(happening)
        except AWAY:
            return False
        self._position = max(self._position, upto)
        return True

    async def _tell_together(self, happening: AsyncGenerator[Told[Any], None]) -> None:
        """The same, several things at once where there are several."""
        answers: list[Answer] = []
        size = 0
        async with aclosing(happening):
            async for told in happening:
                answers.append(answer := await self._answer(told))
                size += len(answer.payload)
                self.charge()
                if len(answers) == TOGETHER or size > BYTES:
                    await self._give(answers)
                    answers, size = [], 0
        if answers:
            await self._give(answers)

    async def _give(self, answers: list[Answer]) -> None:
        # Before anybody is told: whoever comes meanwhile reads up to here himself.
        self._position = answers[-1].cursor
        await self.hand_out(answers)

    async def _answer(self, told: Told[Any]) -> Answer:
        return await self._shared.get(told.cursor, lambda: self.answer(told))


async def _until(here: Cursor, happening: AsyncGenerator[Told[Any], None]) -> AsyncGenerator[Told[Any], None]:
    """What is told up to there. The table is ahead of what was published: a group that told more would be ahead of those who join it."""
    async with aclosing(happening):
        async for told in happening:
            if told.cursor > here:
                return
            yield told
