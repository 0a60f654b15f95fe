"""Tidies up after finished rollouts: their result becomes part of each device's own target, in chunks, seen by nobody."""

from storage import enrolment, folding
from storage.database import Database

CHUNK = 5000


async def tidy(db: Database) -> int:
    """Fold until nothing is left; returns how many places were folded."""
    folded = 0
    while True:
        async with db.transaction() as conn:
            if not await enrolment.folding_at_once(conn):
                return folded
            done = await folding.fold(conn, CHUNK, await db.now(conn))
        folded += done
        if done < CHUNK:
            return folded
