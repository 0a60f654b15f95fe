"""Ctrl-C and its like, from the first moment to the last: the first ends everything in order, later ones are not needed."""

import asyncio
import logging
import signal
from collections.abc import Coroutine
from types import FrameType
from typing import TypeVar

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
T = TypeVar("T")


class Ending:
    """Ends a program quietly, once."""

    def __init__(self) -> None:
        self._end_work: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[object]]] = []

    def listen(self) -> None:
        """Hear signals from now on."""
        for number in SIGNALS:
            signal.signal(number, self._hear)

    async def or_until(self, work: Coroutine[None, None, T]) -> T | None:
        """Do the work; None if the end came first."""
        task = asyncio.create_task(work)
        self._end_work.append((asyncio.get_running_loop(), task))
        try:
            return await task
        except asyncio.CancelledError:
            return None
        finally:
            _end_undisturbed()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        _end_undisturbed()
        logging.disable()  # requests are cut off now, which a server would tell of at length
        if not self._end_work:
            raise KeyboardInterrupt
        for loop, task in self._end_work:
            loop.call_soon_threadsafe(task.cancel)


def _end_undisturbed() -> None:
    """From now on everything ends in any case, and interrupting that would leave a database behind."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
