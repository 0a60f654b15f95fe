"""A process that answers polls from memory, beside the history: whatever it is certain of must be what the database says."""

from domain.ids import DeviceId
from domain.pace import Pace
from monitor.remembering import Follower, Reader
from resolvers.answers import Body
from resolvers.polls import Polls
from storage import answers
from storage.answers import Known
from storage.connection import Connection
from storage.database import Database

EVERY = 3
"""Members of a new rollout are read only so many steps after it was ranked, as if that took long."""


class Remembered:
    """What one process knows of the devices, kept from one step to the next."""

    def __init__(self, db: Database) -> None:
        self._polls = Polls(db, Pace())
        self._follower, self._reader = Follower(self._polls), Reader(self._polls)
        self._steps = 0
        self.certain = 0
        """How often something was known for certain."""

    async def holds(self) -> None:
        """After a look at what changed nothing is remembered that is not so; then all is remembered that may be."""
        db, memory = self._polls.db, self._polls.memory
        self._steps += 1
        async with db.reading() as conn:
            await self._follower.look(conn)
            if self._steps % EVERY == 0:
                await self._reader.read_members()
            with memory.watching() as watch:
                for known in await self._known(conn):
                    self._agrees(known)
                    self._polls.remember(known, watch)

    async def _known(self, conn: Connection) -> list[Known]:
        return await answers.page(conn, DeviceId(0), 100, await self._polls.db.now(conn))

    def _agrees(self, known: Known) -> None:
        entry, body = self._polls.memory.find(known.uuid), Body.of(known, self._polls.pace)
        if entry is not None:
            self.certain += 1
            assert (entry.version, entry.digest) == (body.version, body.digest), f"device {known.target.uuid} would be told something else"
            assert known.is_settled, f"device {known.target.uuid} would be answered, and must not be"
