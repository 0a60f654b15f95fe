"""A rollout's progress, live, for as long as it takes: a server that restarts is waited for."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import monotonic

from rollwave.api.enums import RolloutStatus
from rollwave.api.fragments import Progress
from rollwave.connection import Rollwave
from rollwave.errors import Unreachable

PATIENCE = 60.0
"""For so many seconds a server may be away, unless somebody says otherwise."""
FINAL = {RolloutStatus.COMPLETED, RolloutStatus.ROLLED_BACK, RolloutStatus.CANCELLED, RolloutStatus.SUPERSEDED}
SHORTEST, LONGEST = 0.2, 10.0


async def follow(
    rollwave: Rollwave, rollout_id: str, *, patience: float = PATIENCE, lost: Callable[[Unreachable], None] = lambda _: None
) -> AsyncGenerator[Progress, None]:
    """Its progress, now and whenever it changes; ends with the rollout.

    When the server is lost, `lost` is told and another connection made. Raises Unreachable once `patience` seconds have brought nothing.
    """
    since, pause = monotonic(), SHORTEST
    while True:
        try:
            async with aclosing(_connected(rollwave, rollout_id)) as moments:
                async for progress in moments:
                    yield progress
                    if progress.status in FINAL:
                        return
                    pause = SHORTEST
        except Unreachable as why:
            since = monotonic() if pause == SHORTEST else since
            if monotonic() + pause > since + patience:
                raise
            lost(why)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST)


async def _connected(rollwave: Rollwave, rollout_id: str) -> AsyncGenerator[Progress, None]:
    """As long as one connection lasts."""
    async for progress in rollwave.rollout_progress(rollout_id):
        yield progress
    raise Unreachable(f"{rollwave.address} ended the subscription")
