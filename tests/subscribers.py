"""Those who subscribe, without sockets: each has a channel that keeps what it is told, and may take nothing for a while."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from strawberry.types import ExecutionResult

from domain.events import Cursor, EventType
from domain.ids import RolloutId
from monitor.relay import Relay
from resolvers.budget import Budget
from resolvers.context import AWAY, Context
from schema.nodes import node_id
from schema.session import Session
from schema.subscribed import Subscribed
from server.graphql.asked import Asked
from server.graphql.channels import Answer
from server.graphql.documents import Documents
from server.graphql.operations import Operations
from storage import events
from tests.api import eventually

ROLLOUT = node_id("Rollout", 1)
EVENTS = "subscription ($id: ID!, $after: String) { rolloutEvents(id: $id, after: $after) { cursor name deviceUuid } }"


class Ear:
    """A channel that keeps what it is told."""

    def __init__(self, *, pushes: bool = True) -> None:
        self.answers: list[Answer] = []
        self.said: list[bytes] = []
        self.is_open = asyncio.Event()
        """Cleared, nothing more is taken: whoever writes waits."""
        self.is_open.set()
        self._pushes = pushes
        self._more = asyncio.Event()

    def push(self, answers: Sequence[Answer]) -> bool:
        if not (self._pushes and self.is_open.is_set()):
            return False
        self._take(answers)
        return True

    async def write(self, answers: Sequence[Answer]) -> None:
        for answer in answers:
            await self.is_open.wait()
            self._take([answer])

    async def say(self, payload: bytes) -> None:
        self.said.append(payload)

    def _take(self, answers: Sequence[Answer]) -> None:
        self.answers += answers
        self._more.set()

    async def until(self, check: Callable[[], object], seconds: float = 20) -> None:
        """Wait until what was told is enough."""
        async with asyncio.timeout(seconds):
            while not check():
                self._more.clear()
                await self._more.wait()


class Subscriber:
    """One who follows something until he leaves."""

    def __init__(self, ear: Ear, telling: "asyncio.Task[None]") -> None:
        self.ear = ear
        self.telling = telling

    @property
    def cursors(self) -> list[Cursor]:
        """The places of what he was told."""
        return [answer.cursor for answer in self.ear.answers]

    @property
    def told(self) -> list[Any]:
        """The data of all answers, without the name of the one root field."""
        return [next(iter(orjson.loads(answer.payload)["data"].values())) for answer in self.ear.answers]

    async def has(self, count: int) -> None:
        """Wait until he was told so many things."""
        await self.ear.until(lambda: len(self.ear.answers) >= count)

    async def leave(self) -> None:
        """He is told nothing more."""
        self.telling.cancel()
        await asyncio.wait([self.telling])

    async def end(self, seconds: float = 20) -> BaseException | None:
        """Wait until all is said; returns what else ended it."""
        await asyncio.wait([self.telling], timeout=seconds)
        return self.telling.exception()


class Audience:
    """All who subscribe to something of one process."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx
        self.operations = Operations(Documents())
        self._subscribers: list[Subscriber] = []

    async def subscribe(
        self, query: str = EVENTS, ear: Ear | None = None, ctx: Context | None = None, budget: Budget | None = None, **variables: Any
    ) -> Subscriber:
        """Somebody who may follow this; told that the database is away, he asks again."""
        session = Session(ctx or self.ctx, budget)
        begun = await self._begun(Asked(query, variables=variables), session)
        assert isinstance(begun, Subscribed), begun.errors
        ear = ear or Ear()
        subscriber = Subscriber(ear, asyncio.create_task(self.operations.tell(begun, session, ear), name="subscriber"))
        self._subscribers.append(subscriber)
        return subscriber

    async def _begun(self, asked: Asked, session: Session) -> Subscribed | ExecutionResult:
        while True:
            with suppress(*AWAY):
                return await self.operations.begin(asked, session)

    async def follow(self, after: Cursor | None = None, ear: Ear | None = None, **more: Any) -> Subscriber:
        """Somebody who follows the events of the rollout."""
        return await self.subscribe(ear=ear, id=ROLLOUT, after=None if after is None else str(after), **more)

    async def leave(self) -> None:
        """Everybody does."""
        for subscriber in self._subscribers:
            await subscriber.leave()

    async def gone(self) -> None:
        """Wait until nothing is left of those who left."""
        load = self.ctx.load
        assert (load.subscribers, load.waiting, len(self.operations.groups)) == (0, 0, 0)
        await eventually(_running, set(), 1)
        assert load.groups == 0


async def _running() -> set[str]:
    return {task.get_name() for task in asyncio.all_tasks()} & {"subscription group", "shared answer", "subscriber"}


@asynccontextmanager
async def an_audience(ctx: Context) -> AsyncIterator[Audience]:
    """Of a process that hears of what is committed; at the end everybody leaves, and nothing is left of them."""
    await settled(ctx)
    relay = await Relay.beginning(ctx.db, ctx.feed, ctx.feed.bells.ring)
    audience = Audience(ctx)
    async with ctx.feed.running():
        relaying = asyncio.create_task(relay.run())
        try:
            yield audience
        finally:
            await audience.leave()
            relaying.cancel()
            await asyncio.wait([relaying])
            await audience.gone()


async def settled(ctx: Context) -> None:
    """Wait until readers see all that happened: who writes elsewhere in the cluster holds that up."""
    async with asyncio.timeout(10), ctx.db.reading() as conn:
        while await conn.fetchval("select (select count(*) from events) <> (select count(*) from settled_events)"):
            await asyncio.sleep(0.01)


async def happens(ctx: Context, times: int = 1, **data: Any) -> None:
    """Something is said of the rollout, so many times in one transaction."""
    async with ctx.db.transaction() as conn:
        now = await ctx.db.now(conn)
        for _ in range(times):
            await events.record(conn, EventType.DEVICE_UPDATED, now, rollout=RolloutId(1), **data)
