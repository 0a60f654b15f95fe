"""Those who are told how things are: the newest, and nothing in between."""

import asyncio
import time
from contextlib import aclosing
from typing import Any

from domain.events import Cursor
from resolvers.context import AWAY, Context
from resolvers.streams import Latest, Told
from schema.session import Session
from schema.subscribed import Subscribed
from server.graphql.channels import Answer, Channel
from server.graphql.group import PAUSE, Group
from server.graphql.members import CutOff, Member
from server.graphql.shared import SECONDS


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
