"""Some who follow the same: who they are, what each event is answered with, and who pays for it."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from graphql import GraphQLError
from strawberry.types import ExecutionResult

from resolvers.context import AWAY, Context
from resolvers.fleet import now
from resolvers.streams import Told
from schema.budget import charge, payer
from schema.session import Session
from schema.subscribed import Subscribed
from server.graphql.answers import shared_reason
from server.graphql.answers import told as encoded
from server.graphql.channels import Answer, Channel
from server.graphql.members import Member

# Seconds for which they are told before anybody else has a turn.
TURN = 0.003
# Between two attempts to read something while the database is away.
PAUSE = 0.2
# So often something is executed while the database does answer, but not to that: then it is told with what is missing. A statement that
# always takes too long would else keep everybody for ever from what comes after it.
ATTEMPTS = 5


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
