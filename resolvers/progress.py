"""What the engine goes by when it decides about a rollout."""

from datetime import datetime

from domain.checks import Verdict, verdict
from domain.progress import Progress
from domain.rollouts import Rollout, lowest
from storage import counting, measurements
from storage.connection import Connection


async def count(conn: Connection, rollout: Rollout, now: datetime) -> Progress:
    """What the members that were offered the image have shown."""
    counts = await counting.tallies(conn, rollout, now)
    reach = await counting.reach(conn, rollout, lowest(rollout), now)
    checks = await _verdicts(conn, rollout)
    return Progress.of(counts, health_check_enabled=rollout.plan.health_check_enabled, reach=reach, checks=checks)


async def _verdicts(conn: Connection, rollout: Rollout) -> tuple[Verdict, ...]:
    if rollout.answered_at is None:
        return ()
    measured = await measurements.of_batch(conn, rollout)
    return tuple(verdict(check, measured.get(check.name, [])) for check in rollout.plan.batch_checks(rollout.stage))
