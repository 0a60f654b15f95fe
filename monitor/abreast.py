"""Several at a time, and few of one registry: one that hangs keeps its own places waiting, and no others."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import TypeVar

AT_ONCE = 16
OF_ONE_REGISTRY = 4
_LOOK_UP = 0.5
"""Seconds until what has become due meanwhile is noticed, while others are still busy."""
T = TypeVar("T")
Look = Callable[[T], Coroutine[None, None, None]]
Claim = Callable[[Sequence[str]], Awaitable[tuple[str, T] | None]]
"""The next thing that is due with its registry, of any registry but these."""


async def abreast(claim: Claim[T], look: Look[T]) -> None:
    """Look at whatever is due, until nothing is; also at what becomes due meanwhile."""
    busy: dict[asyncio.Task[None], str] = {}
    try:
        while await _filled(busy, claim, look):
            done, _ = await asyncio.wait(busy, timeout=_LOOK_UP, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del busy[task]
                task.result()
    except asyncio.CancelledError:
        for task in busy:
            task.cancel()
        raise
    finally:
        # One that fails leaves the others their work.
        await asyncio.gather(*busy, return_exceptions=True)


async def _filled(busy: dict[asyncio.Task[None], str], claim: Claim[T], look: Look[T]) -> bool:
    """Whether anything is being looked at, now that every place is taken for which there is something."""
    while len(busy) < AT_ONCE and (found := await claim(_full(busy.values()))):
        registry, one = found
        busy[asyncio.create_task(look(one))] = registry
    return bool(busy)


def _full(registries: Iterable[str]) -> list[str]:
    return [registry for registry, taken in Counter(registries).items() if taken >= OF_ONE_REGISTRY]
