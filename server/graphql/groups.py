"""Who follows the same is told the same: each event is executed once for all of them, and its bytes are shared.

Executing, encoding and sending for each subscriber took 120 to 200 us of the one thread there is; sending alone takes some 10.

Of those who ask the same and may see the same (document, variables, permissions, stream) a group is made. What it executes is given those
permissions and nothing else of anybody, so there is nothing in its answers that one of them might not see.
"""

import asyncio
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import aclosing, closing, suppress
from dataclasses import replace
from typing import Any

from graphql import GraphQLError
from strawberry.types import ExecutionResult

from domain.actors import Actor
from domain.events import Cursor
from resolvers.context import AWAY, Context
from resolvers.feed import Feed
from resolvers.fleet import now
from resolvers.streams import Latest, Replayed, Told
from schema.budget import charge, payer
from schema.session import Session
from schema.subscribed import Subscribed
from server.graphql.answers import shared_reason
from server.graphql.answers import told as encoded
from server.graphql.channels import Answer, Channel
from server.graphql.members import CutOff, Member
from server.graphql.shared import SECONDS, Shared

# Seconds for which they are told before anybody else has a turn.
TURN = 0.003
# Of what waits to be told so much is told at once, so that whoever reads slowly is told in fewer pieces.
TOGETHER = 64
# The same in bytes, but for the last of them: answers of 10 MB are told one by one.
BYTES = 1_000_000
# Of what was published lately so much is held for one who reads it slowly, while it is forgotten elsewhere.
PAGE = 500
# Between two attempts to read something while the database is away.
PAUSE = 0.2
# So often something is executed while the database does answer, but not to that: then it is told with what is missing. A statement that
# always takes too long would else keep everybody for ever from what comes after it.
ATTEMPTS = 5


class Groups:
    """Those of one process, for as long as somebody is in them."""

    def __init__(self) -> None:
        self._groups: dict[Hashable, Group] = {}

    def __len__(self) -> int:
        return len(self._groups)

    async def tell(self, subscribed: Subscribed, session: Session, channel: Channel) -> None:
        """Tell somebody what he subscribed to until all is said; raises what else ended it."""
        key = (subscribed.selection, session.ctx.actor.permissions, subscribed.following.stream.key)
        group = self._groups.get(key)
        if group is None or group.is_over:
            group = self._groups[key] = _group(subscribed, session.ctx)
        member = group.join(session, channel, subscribed)
        try:
            await member.live(group.tell(member))
        finally:
            group.leave(member)
            if group.is_over and self._groups.get(key) is group:
                del self._groups[key]


def _group(subscribed: Subscribed, ctx: Context) -> "Group":
    # Whoever comes first is not the one whose rights or budget count.
    shared = replace(ctx, actor=Actor("a subscriber", ctx.actor.permissions), request_id=secrets.token_hex(8))
    match subscribed.following.stream.read_by(shared):
        case Replayed() as stream:
            return ReplayedGroup(subscribed, shared, stream)
        case Latest() as stream:
            return LatestGroup(subscribed, shared, stream)
        case unknown:
            raise TypeError(f"{unknown} is no stream")


class Group(ABC):
    """Those who follow the same, as long as there is one."""

    def __init__(self, subscribed: Subscribed, ctx: Context) -> None:
        self.members: set[Member] = set()
        self.is_over = False
        """Whether it tells nobody anything any more."""
        self._payers: dict[str, set[Member]] = {}
        self._execution = subscribed.execution()
        self._points = subscribed.points
        self._ctx = ctx
        self._request = ctx.request_id or ""
        self.load = ctx.load
        self._task = asyncio.create_task(self._run(), name="subscription group")

    def join(self, session: Session, channel: Channel, subscribed: Subscribed) -> Member:
        """Somebody new, who is still to be told."""
        member = self.member(session, channel, subscribed)
        self.members.add(member)
        self.load.subscribers += 1
        self._payers.setdefault(_payer(member), set()).add(member)
        return member

    @abstractmethod
    def member(self, session: Session, channel: Channel, subscribed: Subscribed) -> Member:
        """How somebody is told."""

    @abstractmethod
    async def tell(self, member: Member) -> None:
        """Tell a member until all is said."""

    @abstractmethod
    async def follow(self) -> None:
        """Tell all members who are live until all is said."""

    def leave(self, member: Member) -> None:
        """Tell a member nothing more; whoever is the last one turns out the light."""
        member.is_live = False
        member.forget()
        self.members.discard(member)
        self.load.subscribers -= 1
        payers = self._payers[_payer(member)]
        payers.discard(member)
        if not payers:
            del self._payers[_payer(member)]
        if not self.members:
            self.is_over = True
            self._task.cancel()

    async def _run(self) -> None:
        self.load.groups += 1
        try:
            await self.follow()
        except Exception as error:
            self._end(shared_reason(error, self._request))
        else:
            self._finish()
        finally:
            self.load.groups -= 1

    def _finish(self) -> None:
        """All is said, unless they were ended: then there is more to say, elsewhere."""
        if not self.is_over:
            self.is_over = True
            for member in self.members:
                member.finish()

    def _end(self, why: Exception) -> None:
        self.is_over = True
        for member in self.members:
            member.end(why)

    async def answer(self, told: Told[Any]) -> Answer:
        """What a thing that the stream tells is answered with. While the database is away it is not told with holes: it waits."""
        for _ in range(ATTEMPTS):
            result = await self._execution.execute(told.value, Session(self._ctx))
            if not _is_away(result):
                break
            await self._until_it_answers()
        # A copy: orjson's own bytes take 4 kB, however few they are, and thousands of answers may be held for a while.
        return Answer(told.cursor, bytes(memoryview(encoded(result, self._request))), str(told.cursor).encode())

    async def _until_it_answers(self) -> None:
        """Wait until the database says anything at all."""
        while True:
            await asyncio.sleep(PAUSE)
            with suppress(*AWAY):
                await now(self._ctx)
                return

    def charge(self) -> None:
        """Have each token pay for an event once, for all its members who are live; those of one who cannot are told so, and no more."""
        for members in list(self._payers.values()):
            live = (member for member in members if member.is_live)
            if (one := next(live, None)) and (refused := self.refusal(one)):
                for member in (one, *live):
                    member.end(refused)

    def refusal(self, member: Member) -> GraphQLError | None:
        """Have a member pay for an event; why he cannot."""
        if member.is_paid_ahead:
            member.is_paid_ahead = False
            return None
        try:
            charge(member.session, self._points)
        except GraphQLError as limited:
            return limited
        return None

    async def hand_out(self, answers: Sequence[Answer]) -> None:
        """Tell everybody who is live, and does not know it yet."""
        turn = time.monotonic() + TURN
        for member in [member for member in self.members if member.is_live]:
            if member.is_live:
                member.offer(answers)
            if time.monotonic() > turn:
                await asyncio.sleep(0)
                turn = time.monotonic() + TURN


def _payer(member: Member) -> str:
    return payer(member.session.ctx.actor)


def _is_away(result: ExecutionResult) -> bool:
    return any((error.extensions or {}).get("code") == "UNAVAILABLE" for error in result.errors or ())


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


class LatestGroup(Group):
    """Those who are told how things are."""

    def __init__(self, subscribed: Subscribed, ctx: Context, stream: Latest[Any]) -> None:
        self._stream = stream
        self._told: Told[Any] | None = None
        self._newest: Answer | None = None
        """To what was told last, as it was executed last: at this time, by time.monotonic()."""
        self._at = 0.0
        self._refreshing = asyncio.Lock()
        super().__init__(subscribed, ctx)

    def member(self, session: Session, channel: Channel, subscribed: Subscribed) -> Member:
        """Somebody who knows nothing yet."""
        return Member(session, channel, Cursor(), newest_only=True)

    async def tell(self, member: Member) -> None:
        """Tell a member how things are, and on until all is said."""
        await self._refresh()
        member.is_live = True
        if self._newest is not None:
            member.is_paid_ahead = False
            member.offer([self._newest])
        await member.stay()

    async def _refresh(self) -> None:
        """Execute once more what was told last, if that is long ago: what is nested in it may have changed since."""
        async with self._refreshing:
            told = self._told
            if told is None or self._newest is None or self._at > time.monotonic() - SECONDS:
                return
            answer = await self.answer(told)
            if told is self._told:
                self._newest, self._at = answer, time.monotonic()

    async def follow(self) -> None:
        """Tell everybody how things are whenever that changed; ends them, as they are to come again, when it is not seen here any more."""
        while True:
            try:
                await self._tell()
                break
            except AWAY:
                await asyncio.sleep(PAUSE)
        if self._ctx.feed.is_closed:
            self._end(CutOff())

    async def _tell(self) -> None:
        """The same, as soon as the database says how they are."""
        async with aclosing(self._stream.values()) as values:
            async for told in values:
                self._told, self._at = told, time.monotonic()
                self._newest = await self.answer(told)
                self.charge()
                await self.hand_out([self._newest])
