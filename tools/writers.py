"""Transactions that record events in every way in which transactions may lie beside each other, and that may come to nothing."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from domain.events import Cursor, EventType
from domain.ids import RolloutId
from storage import events
from storage.connection import Connection
from storage.database import Database

# Most transactions are short; some last until many others have begun and ended.
PAUSES = (0, 0, 0, 0.001, 0.005, 0.02, 0.1)
# More than anybody's mailbox holds.
BURST = 400


class _Undone(Exception):
    pass


class Writer:
    """Writes about some rollouts, of which each has devices of these ranks."""

    def __init__(self, db: Database, rollouts: Sequence[RolloutId], devices: int, seed: int = 0) -> None:
        self.committed = 0
        self.undone = 0
        self._db = db
        self._rollouts = rollouts
        self._devices = devices
        self._dice = random.Random(seed)

    async def write_for_ever(self, pause: float) -> None:
        """One transaction after the other; a database that is away is waited for."""
        while True:
            with suppress(*self._db.unavailable, *self._db.errors):
                await self.write()
            await asyncio.sleep(self._dice.random() * 2 * pause)

    async def write(self) -> None:
        """One transaction, of which others are told or not, and which fails one time in five."""
        try:
            async with self._dice.choice((self._db.transaction, self._db.unheard))() as conn:
                await self._fill(conn)
            self.committed += 1
        except _Undone:
            self.undone += 1

    async def _fill(self, conn: Connection) -> None:
        if self._dice.random() < 0.01:
            await burst(conn, self._rollouts, self._dice.randint(1, BURST))
        for _ in range(self._dice.randint(0, 4)):
            await self._record(conn)
            await asyncio.sleep(self._dice.choice(PAUSES))
        if self._dice.random() < 0.2:
            with suppress(_Undone):
                async with conn.transaction():
                    await self._record(conn)
                    raise _Undone
        if self._dice.random() < 0.2:
            raise _Undone

    async def _record(self, conn: Connection) -> None:
        """Something about one of the rollouts, or about none; one time in twenty what stands for many devices."""
        rollout = self._dice.choice((*self._rollouts, None))
        now = await self._db.now(conn)
        if rollout is None or self._dice.random() > 0.05:
            await events.record(conn, EventType.DEVICE_UPDATED, now, rollout=rollout)
        else:
            first, end = sorted(self._dice.choices(range(self._devices + 1), k=2))
            ranks: dict[str, Any] = {"first_rank": first, "end_rank": end}
            await events.record(conn, EventType.BATCH_STARTED, now, rollout=rollout, batch_number=1, image="nginx:2.0.0", **ranks)


async def burst(conn: Connection, rollouts: Sequence[RolloutId | None], count: int) -> None:
    """So many events at once, one rollout after the other."""
    await conn.execute(
        """
        insert into events (at, type, rollout_id, data)
        select now(), 'image.device_updated', ($1::bigint[])[1 + n % cardinality($1)], '{}' from generate_series(1, $2) as n
        """,
        rollouts, count,
    )  # fmt: skip


async def table(db: Database, rollout: RolloutId | None = None) -> list[str]:
    """The cursors of everything that happened, to a rollout or to any, in the one order; to be read when nothing is being written."""
    async with db.reading() as conn:
        rows = await conn.fetch(
            """
            select xid::text, seq, part
              from events,
                   lateral (select (data ->> 'end_rank')::integer - (data ->> 'first_rank')::integer as devices) as those,
                   lateral generate_series(
                       0, case when type in ('image.batch_started', 'image.batch_widened') then devices else 0 end
                   ) as part
             where delivery_id is null and entry_id is null and ($1::bigint is null or rollout_id = $1)
             order by events.xid, seq, part
            """,
            rollout,
        )
    return [str(Cursor(int(row["xid"]), row["seq"], row["part"])) for row in rows]
