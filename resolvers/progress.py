"""What the engine goes by when it decides about a rollout."""

from datetime import datetime

from domain.progress import Progress
from domain.rollouts import Rollout, lowest
from storage import rollouts
from storage.connection import Connection


async def count(conn: Connection, rollout: Rollout, now: datetime) -> Progress:
    """What the members that were offered the image have shown."""
    counts = await rollouts.tallies(conn, rollout, now)
    reach = await rollouts.reach(conn, rollout, lowest(rollout), now)
    return Progress.of(counts, health_check_enabled=rollout.plan.health_check_enabled, reach=reach)
