"""Who was heard of, until it is written down: a set for many at once, since a write for each poll would be a write for each poll.

What a crash loses of it, the next poll brings again.
"""

from domain.ids import DeviceId
from storage import presence
from storage.database import Database

SEEN_EVERY = 120
"""Seconds: one that polls more often is not written down more often, and at a million devices that is 8,000 rows a second."""
AWAITED_EVERY = 5
"""Seconds, for a device that a rollout waits to hear of."""
AT_ONCE = 5000


class Sightings:
    """The devices heard of since the last time they were written down."""

    def __init__(self) -> None:
        self._devices: dict[DeviceId, None] = {}

    def add(self, device: DeviceId) -> None:
        """It was heard of."""
        self._devices[device] = None

    async def write(self, db: Database) -> None:
        """Write them down; what cannot be written now is the next time."""
        while self._devices:
            devices = [*self._devices][:AT_ONCE]
            for device in devices:
                del self._devices[device]
            try:
                async with db.unheard() as conn:
                    await presence.seen(conn, devices, await db.now(conn))
            except BaseException:
                self._devices = dict.fromkeys(devices) | self._devices
                raise
