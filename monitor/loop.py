"""A loop is a step and something that keeps taking it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress

from storage.database import Database

Step = Callable[[], Awaitable[object]]
log = logging.getLogger(__name__)


async def keep_running(name: str, step: Step, wake: asyncio.Event, every: float) -> None:
    """Take a step when woken and at least every so many seconds; a failed step is logged and taken again."""
    while True:
        wake.clear()
        try:
            await step()
        except Database.unavailable as away:
            log.warning("%s: the database does not answer, it will try again: %s", name, away)
            await asyncio.sleep(every)
        except Exception:
            log.exception("%s failed; it will try again", name)
            await asyncio.sleep(every)
        with suppress(TimeoutError):
            async with asyncio.timeout(every):
                await wake.wait()


def resting(step: Step) -> Step:
    """The step, and then a rest for as long as it took: counting a million devices takes the database a second, and others need it too."""

    async def step_and_rest() -> None:
        began = time.monotonic()
        await step()
        await asyncio.sleep(time.monotonic() - began)

    return step_and_rest
