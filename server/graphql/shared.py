"""Answers that are made once, whoever wants them first, and kept for those who come a little later."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from domain.events import Cursor
from server.graphql.channels import Answer

# After a restart everybody comes within seconds, each with another cursor. What is nested in an event is read as it is made: nobody is to
# be told much later how things were then.
SECONDS, BYTES = 10.0, 4_000_000


@dataclass(frozen=True, slots=True)
class _Made:
    task: asyncio.Task[Answer]
    at: float


class Shared:
    """Those of one group."""

    def __init__(self) -> None:
        self._made: OrderedDict[Cursor, _Made] = OrderedDict()
        self._bytes = 0
        self._is_over = False

    async def get(self, cursor: Cursor, make: Callable[[], Awaitable[Answer]]) -> Answer:
        """The answer at this place, which goes on being made for others if one of those who wait for it goes away."""
        if self._is_over:
            return await make()
        self._forget()
        made = self._made.get(cursor)
        if made is None:
            made = self._made[cursor] = _Made(asyncio.create_task(self._keep(cursor, make()), name="shared answer"), time.monotonic())
        return await asyncio.shield(made.task)

    async def _keep(self, cursor: Cursor, making: Awaitable[Answer]) -> Answer:
        try:
            answer = await making
        except Exception:
            self._made.pop(cursor, None)  # whoever comes next tries again
            raise
        self._bytes += len(answer.payload)
        return answer

    def _forget(self) -> None:
        """Drop what is old, or too much; not what is still being made."""
        old = time.monotonic() - SECONDS
        while self._made:
            first = next(iter(self._made.values()))
            if not first.task.done() or (first.at > old and self._bytes <= BYTES):
                return
            self._made.popitem(last=False)
            self._bytes -= len(first.task.result().payload)

    def close(self) -> None:
        """Make nothing more; whoever still comes makes it for himself, and leaves nothing behind."""
        self._is_over = True
        for made in self._made.values():
            made.task.cancel()
        self._made.clear()
