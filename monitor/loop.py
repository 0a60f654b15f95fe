"""A loop is a step and something that keeps taking it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

Step = Callable[[], Awaitable[object]]
log = logging.getLogger(__name__)


async def keep_running(name: str, step: Step, wake: asyncio.Event, every: float) -> None:
    """Take a step when woken and at least every so many seconds; a failed step is logged and taken again."""
    while True:
        wake.clear()
        try:
            await step()
        except Exception:
            log.exception("%s failed; it will try again", name)
            await asyncio.sleep(every)
        with suppress(TimeoutError):
            async with asyncio.timeout(every):
                await wake.wait()
