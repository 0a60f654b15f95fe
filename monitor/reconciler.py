"""Moves every rollout as far as it can go by itself: claim, count, decide, save, in one transaction for each move.

Level-triggered: it looks at what is, not at what happened, so a lost wake-up or a crash costs a second and nothing else.
It may run in every process at once.
"""

import logging
from datetime import datetime

from domain.actors import ENGINE
from domain.decisions import decide
from domain.ids import RolloutId
from domain.previews import nobody
from domain.progress import Progress
from domain.rollouts import Move, Rollout, enrolled
from domain.statuses import Status
from monitor.tending import tend
from resolvers import moves, progress
from resolvers.targets import kept_from
from storage import enrolment, folding, members, ranking, rollouts
from storage.connection import Connection
from storage.database import Database

# What older rollouts did to as many devices is folded in one transaction; whoever reports waits for no longer than that.
CHUNK = 5000
log = logging.getLogger(__name__)


async def reconcile(db: Database) -> int:
    """Visit every rollout that may move, until none does; returns how many moves were made."""
    made, last, visiting = 0, RolloutId(0), True
    while visiting:
        last, moved, visiting = await _visit(db, last)
        made += moved
    return made


async def _visit(db: Database, last: RolloutId) -> tuple[RolloutId, int, bool]:
    """Move the next rollout after `last` once. The same rollout is next again for as long as it moves."""
    rollout: Rollout | None = None
    try:
        async with db.unheard() as conn:
            rollout = await rollouts.claim(conn, last, await db.now(conn))
            if rollout is None:
                return last, 0, False
            now = await db.now(conn)
            if rollout.status is Status.ENROLLING:
                if not await enrolment.folding_at_once(conn):
                    return rollout.id, 0, True
                if await folding.fold(conn, CHUNK, now, before=rollout) == CHUNK:
                    return last, 0, True
            move = await next_move(conn, rollout, now)
            if move is None:
                return rollout.id, 0, True
            await moves.save(conn, move, ENGINE)
        db.notifier.wake()
    except Exception:
        if rollout is None:
            raise
        # It is tried again at the next waking; meanwhile the others go on.
        log.exception("rollout %s could not be moved", rollout.id)
        return rollout.id, 0, True
    log.info("rollout %s: %s, frontier %s of %s", rollout.id, move.event, move.result.frontier, move.result.size)
    return last, 1, True


async def next_move(conn: Connection, rollout: Rollout, now: datetime) -> Move | None:
    """What this rollout does next, by what its devices have shown."""
    if rollout.status is Status.ENROLLING:
        return await _enrol(conn, rollout, now)
    step = decide(rollout, await _shown(conn, rollout, now), now)
    return step if isinstance(step, Move) else None


async def _shown(conn: Connection, rollout: Rollout, now: datetime) -> Progress:
    if rollout.status is Status.IN_PROGRESS:
        return await tend(conn, rollout, now)
    # For a month an ended rollout keeps its windows: every second, and whatever its devices show.
    return Progress() if rollout.status.is_final else await progress.count(conn, rollout, now)


async def _enrol(conn: Connection, rollout: Rollout, now: datetime) -> Move | None:
    """Rank the members, or leave it for the next time if somebody is just changing which devices run this image."""
    if not await enrolment.alone_at_once(conn, rollout.repositories):
        return None
    kept = kept_from(rollout, await members.images_in_use(conn, rollout.image.repository))
    ranked = await ranking.enrol(conn, rollout, kept, now)
    why = None if ranked.devices else nobody(await ranking.left_out(conn, rollout, kept, now))
    return enrolled(rollout, ranked.devices, ranked.canaries, ranked.zones, now, why)
