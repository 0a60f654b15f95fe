"""Questions that come one by one and are answered in sets: while one set is under way the next one gathers.

So one who asks alone does not wait for others, and the more ask the larger the sets are and the less each costs.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from itertools import islice
from typing import Generic, TypeVar

Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")
PATIENCE = 10.0
"""Seconds for which one who asks waits."""
log = logging.getLogger(__name__)


class Gathering(Generic[Q, A]):
    """Asks `act` with up to `most` questions, in `at_once` tasks. What it leaves out of its answer is asked again."""

    def __init__(self, act: Callable[[list[Q]], Awaitable[Mapping[Q, A]]], *, most: int, room: int, at_once: int = 2) -> None:
        self._act = act
        self._most = most
        self._room = room
        self._at_once = at_once
        self._gathered: dict[Q, list[asyncio.Future[A]]] = {}
        """Who waits for each question that is not under way."""
        self._some = asyncio.Event()
        self._asking = 0

    async def ask(self, question: Q) -> A:
        """The answer, never one that was under way before this call; the same question gathered from several is answered once.

        Raises TimeoutError when there is no room, or no answer.
        """
        if self._asking >= self._room:
            raise TimeoutError("too many wait for the database")
        asked: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._gather(question, [asked])
        self._asking += 1
        try:
            async with asyncio.timeout(PATIENCE):
                return await asked
        finally:
            self._asking -= 1
            self._leave(question, asked)

    def _gather(self, question: Q, asked: list[asyncio.Future[A]]) -> None:
        self._gathered.setdefault(question, []).extend(asked)
        self._some.set()

    def _leave(self, question: Q, asked: asyncio.Future[A]) -> None:
        """Whoever waits no more is told nothing, and what nobody waits for is not asked: an old report must not follow a newer one."""
        waiting = self._gathered.get(question, [])
        if asked in waiting:
            waiting.remove(asked)
            if not waiting:
                del self._gathered[question]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer while the block runs; whoever still waits at its end is told to come again."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._keep_answering()) for _ in range(self._at_once)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                _refuse(self._gathered, TimeoutError("the server ends"))

    async def _keep_answering(self) -> None:
        while True:
            await self._some.wait()
            asked = {question: self._gathered.pop(question) for question in [*islice(self._gathered, self._most)]}
            if not self._gathered:
                self._some.clear()
            if asked:
                await self._answer(asked)

    async def _answer(self, asked: Mapping[Q, list[asyncio.Future[A]]]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):  # nobody waits for longer; on a connection that died unheard it would be a minute
                answers = await self._act([*asked])
        except asyncio.CancelledError:
            _refuse(asked, TimeoutError("the server ends"))
            raise
        except Exception as error:
            await self._failed(asked, error)
            return
        self._tell(asked, answers)
        if not answers:
            await asyncio.sleep(0.01)  # all of them wait for somebody else's transaction

    def _tell(self, asked: Mapping[Q, list[asyncio.Future[A]]], answers: Mapping[Q, A]) -> None:
        for question, everybody in asked.items():
            waiting = _still(everybody)
            if question in answers:
                for one in waiting:
                    one.set_result(answers[question])
            elif waiting:
                self._gather(question, waiting)

    async def _failed(self, asked: Mapping[Q, list[asyncio.Future[A]]], error: Exception) -> None:
        """One that cannot be answered must not take the others with it: each is asked alone."""
        if len(asked) == 1 or isinstance(error, TimeoutError | OSError):
            _refuse(asked, error)
            return
        log.warning("%d questions failed together, each is asked alone", len(asked), exc_info=error)
        for question, waiting in asked.items():
            if _still(waiting):
                await self._answer({question: waiting})


def _still(waiting: list[asyncio.Future[A]]) -> list[asyncio.Future[A]]:
    """Those who have not gone away."""
    return [one for one in waiting if not one.done()]


def _refuse(asked: Mapping[Q, list[asyncio.Future[A]]], error: Exception) -> None:
    for waiting in asked.values():
        for one in _still(waiting):
            one.set_exception(error)
