"""How often somebody may ask."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from limits import RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from starlette.exceptions import HTTPException

from domain.errors import WrongKey
from resolvers.devices import canonical

# What one endpoint may post to one process. A registry that a hundred thousand devices pull from tells of some hundred pulls a second.
WEBHOOKS = RateLimitItemPerSecond(10_000, 10)
# So many wrong keys within so many seconds, and for as long nobody looks at another.
WRONG, SECONDS = 10, 60.0
# Of so many pairs something is remembered, a few MB; beyond that the oldest are forgotten, and whoever guesses from that many places is
# not slowed. It is one more obstacle: nobody guesses 256 random bits.
MOST_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class _Wrong:
    """Wrong keys from one place for one thing."""

    since: float
    count: int
    until: float = 0.0
    """While it is locked."""


class Guesses:
    """Who sent too many wrong keys lately: from which address, for which device.

    Not with the library `limits`, which counts on when the limit is reached, and remembers as many as come.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[tuple[str, str], _Wrong] = {}
        self._until = -math.inf
        """While somebody may be locked: at other times nobody is looked for, and a poll costs no more."""

    def locked(self, address: str, uuid: str = "") -> int | None:
        """For how many seconds more no key from there is looked at; None if one is."""
        if (now := self._clock()) >= self._until:
            return None
        known = self._known.get(_pair(address, uuid))
        return math.ceil(known.until - now) if known is not None and known.until > now else None

    def wrong(self, address: str, uuid: str = "") -> None:
        """Count a wrong key."""
        now, pair = self._clock(), _pair(address, uuid)
        before = self._known.pop(pair, None)
        known = _Wrong(now, 1) if before is None or before.since <= now - SECONDS else _Wrong(before.since, before.count + 1)
        if known.count >= WRONG:
            self._until = now + SECONDS
            known = _Wrong(now, 0, self._until)
        self._known[pair] = known
        self._forget(now)

    @contextmanager
    def watched(self, address: str, uuid: str = "") -> Iterator[None]:
        """Count a WrongKey that the block raises; raises 429 with Retry-After instead of running it for whoever is locked."""
        if (seconds := self.locked(address, uuid)) is not None:
            raise HTTPException(429, f"too many wrong keys; try again in {seconds} s", {"retry-after": str(seconds)})
        try:
            yield
        except WrongKey:
            self.wrong(address, uuid)
            raise

    def _forget(self, now: float) -> None:
        """Drop the oldest while they are over or there are too many; they stand in the order in which they were last counted."""
        while (first := next(iter(self._known))) and (len(self._known) > MOST_REMEMBERED or self._is_over(first, now)):
            del self._known[first]

    def _is_over(self, pair: tuple[str, str], now: float) -> bool:
        known = self._known[pair]
        return known.until <= now and known.since <= now - SECONDS


class Limits:
    """Counts webhooks by the endpoint that they are for, and wrong keys."""

    def __init__(self) -> None:
        self.guesses = Guesses()
        """Of devices' keys."""
        self.provisioning_guesses = Guesses()
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def check(self, endpoint: str) -> None:
        """Count one; raises 429 with Retry-After beyond the limit."""
        if not await self._limiter.hit(WEBHOOKS, endpoint):
            stats = await self._limiter.get_window_stats(WEBHOOKS, endpoint)
            seconds = max(1, math.ceil(stats.reset_time - time.time()))
            raise HTTPException(429, f"too many webhooks at once; try again in {seconds} s", {"retry-after": str(seconds)})


def _pair(address: str, uuid: str) -> tuple[str, str]:
    """The same for the same device however its uuid is written, and for all the addresses that one host of IPv6 has."""
    return place(address), canonical(uuid) or ""


def place(address: str) -> str:
    """The same for all the addresses that one host has."""
    try:
        known = ip_address(address)
    except ValueError:
        return address
    if isinstance(known, IPv6Address):
        return str(known.ipv4_mapped or known.packed[:8].hex())
    return address
