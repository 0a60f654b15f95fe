"""How often somebody may ask."""

import math
import time

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.exceptions import HTTPException

# What one endpoint may post to one process. A registry that a hundred thousand devices pull from tells of some hundred pulls a second.
WEBHOOKS = RateLimitItemPerSecond(10_000, 10)


class Limits:
    """Counts webhooks by the endpoint that they are for."""

    def __init__(self) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def check(self, endpoint: str) -> None:
        """Count one; raises 429 with Retry-After beyond the limit."""
        if not await self._limiter.hit(WEBHOOKS, endpoint):
            stats = await self._limiter.get_window_stats(WEBHOOKS, endpoint)
            seconds = max(1, math.ceil(stats.reset_time - time.time()))
            raise HTTPException(429, f"too many webhooks at once; try again in {seconds} s", {"retry-after": str(seconds)})
