"""Questions that come one by one and are answered in sets: while one set is under way the next one gathers.

So one who asks alone does not wait for others, and the more ask the larger the sets are and the less each costs.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
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
        self._asked: dict[Q, asyncio.Future[A]] = {}
        self._gathered: dict[Q, None] = {}
        self._some = asyncio.Event()

    async def ask(self, question: Q) -> A:
        """The answer; the same question asked by several is answered once. Raises TimeoutError when there is no room, or no answer."""
        asked = self._asked.get(question)
        if asked is None:
            asked = self._new(question)
        async with asyncio.timeout(PATIENCE):
            return await asyncio.shield(asked)

    def _new(self, question: Q) -> asyncio.Future[A]:
        if len(self._asked) >= self._room:
            raise TimeoutError("too many wait for the database")
        asked: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        asked.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be waiting any more
        self._asked[question] = asked
        self._gather(question)
        return asked

    def _gather(self, question: Q) -> None:
        self._gathered[question] = None
        self._some.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Answer while the block runs."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._keep_answering()) for _ in range(self._at_once)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    async def _keep_answering(self) -> None:
        while True:
            await self._some.wait()
            questions = [*self._gathered][: self._most]
            for question in questions:
                del self._gathered[question]
            if not self._gathered:
                self._some.clear()
            if questions:
                await self._answer(questions)

    async def _answer(self, questions: list[Q]) -> None:
        try:
            answers = await self._act(questions)
        except Exception as error:
            await self._failed(questions, error)
            return
        for question in questions:
            if question in answers:
                self._asked.pop(question).set_result(answers[question])
            else:
                self._gather(question)
        if not answers:
            await asyncio.sleep(0.01)  # all of them wait for somebody else's transaction

    async def _failed(self, questions: list[Q], error: Exception) -> None:
        """One that cannot be answered must not take the others with it: each is asked alone."""
        if len(questions) == 1 or isinstance(error, TimeoutError | OSError):
            for question in questions:
                self._asked.pop(question).set_exception(error)
            return
        log.warning("%d questions failed together, each is asked alone", len(questions), exc_info=error)
        for question in questions:
            await self._answer([question])
