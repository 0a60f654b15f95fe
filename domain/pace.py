"""How often devices are to ask and to tell."""

from dataclasses import dataclass
from zlib import crc32

SPREAD = 0.1
"""Each device keeps its own interval, a tenth longer or shorter at most: a fleet that lost power together drifts apart by itself."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two polls of one device, and between two of its reports; agents of 2026 obey, older ones have their own."""

    idle: float = 60.0
    hurried: float = 15.0
    """While a rollout that reached the device goes on."""

    def intervals(self, uuid: bytes, *, is_hurried: bool) -> dict[str, int]:
        """What one device is told, in milliseconds, under the names that agents know."""
        share = crc32(uuid) / 0xFFFF_FFFF
        seconds = (self.hurried if is_hurried else self.idle) * (1 - SPREAD + 2 * SPREAD * share)
        return {"reportIntervalMs": round(seconds * 1000), "targetStatePollIntervalMs": round(seconds * 1000)}
