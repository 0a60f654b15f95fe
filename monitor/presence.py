"""Tells of devices that have gone silent, and that are back where that was not told when they were heard."""

import logging
from datetime import datetime

from domain.devices import OFFLINE_AFTER
from storage import presence
from storage.database import Database

CHUNK = 5000
log = logging.getLogger(__name__)


async def watch(db: Database, listening_since: datetime) -> int:
    """Tell of every device that has gone silent, or is back; returns how many. Nobody is blamed for a silence in which nobody listened."""
    told = 0
    while True:
        done = await _tell(db, listening_since)
        told += done
        if done < CHUNK:
            break
    if told:
        log.info("%s devices have gone silent, or are back", told)
    return told


async def _tell(db: Database, listening_since: datetime) -> int:
    async with db.unheard() as conn:
        now = await db.now(conn)
        since = now - OFFLINE_AFTER
        if listening_since > since or not await presence.alone_at_once(conn):
            return 0
        done = await presence.tell(conn, since, now, CHUNK)
    if done:
        db.notifier.wake()
    return done
