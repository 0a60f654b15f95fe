"""Looks after rollouts that have ended: late devices get their turn, and results become each device's own target, seen by nobody."""

import logging
from datetime import timedelta

from domain.ids import RolloutId
from domain.rollouts import Rollout
from monitor.tending import wake
from storage import changes, deliveries, enrolment, events, folding, idempotency, pushes, rollouts
from storage.database import Database

CHUNK = 5000
KEPT = timedelta(days=30)
KEYS_KEPT = timedelta(hours=48)  # a client is promised a day
log = logging.getLogger(__name__)


async def tidy(db: Database) -> int:
    """Give late devices their turn, then fold until nothing is left; returns how many places were folded."""
    await _wake_late_ones(db)
    await _forget(db)
    folded = 0
    while True:
        async with db.unheard() as conn:
            if not await enrolment.folding_at_once(conn):
                return folded
            done = await folding.fold(conn, CHUNK, await db.now(conn))
        folded += done
        if done < CHUNK:
            return folded


async def _forget(db: Database) -> None:
    """Drop what was told long ago and is decided."""
    async with db.unheard() as conn:
        now = await db.now(conn)
        await deliveries.forget(conn, now, KEPT, CHUNK)
        await pushes.forget(conn, now, KEPT, CHUNK)
        await idempotency.forget(conn, now, KEYS_KEPT, CHUNK)
        await changes.forget(conn)
    while await _forget_events(db) == CHUNK:
        pass


async def _forget_events(db: Database) -> int:
    """Some of them, in a transaction of their own: whoever follows events waits for each transaction that writes."""
    async with db.unheard() as conn:
        return await events.forget(conn, await db.now(conn), KEPT, CHUNK)


async def _wake_late_ones(db: Database) -> None:
    """Devices that were passed over until their rollout completed get their turn all the same, as its caps allow."""
    visited: RolloutId | None = RolloutId(0)
    while visited is not None:
        visited = await _wake_late_ones_of_next(db, visited)


async def _wake_late_ones_of_next(db: Database, last: RolloutId) -> RolloutId | None:
    rollout: Rollout | None = None
    try:
        async with db.unheard() as conn:
            rollout = await rollouts.claim_for_waking(conn, last)
            if rollout is None:
                return None
            await wake(conn, rollout, await db.now(conn))
    except Exception:
        if rollout is None:
            raise
        log.exception("late devices of rollout %s could not be given their turn", rollout.id)  # the others go on
    return rollout.id
