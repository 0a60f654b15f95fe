"""What the engine goes by when it decides about a rollout."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from domain.checks import Measurement, Verdict, verdict
from domain.ids import RolloutId
from domain.progress import Count, Progress
from domain.rollouts import Rollout
from storage import counting, measurements
from storage.connection import Connection


async def count(conn: Connection, rollout: Rollout, now: datetime) -> Progress:
    """What the members that were offered the image have shown. Nothing is asked that the rollout's plan does not go by."""
    counts = await counting.tallies(conn, [rollout], now)
    reaches = await counting.reaches(conn, [rollout], now) if rollout.plan.pace.per_label else {}
    measured = await measurements.of_batch(conn, rollout) if rollout.answered_at else {}
    return _progress(rollout, counts[rollout.id], reaches.get(rollout.id), measured)


async def counts(conn: Connection, rollouts: Sequence[Rollout], now: datetime) -> dict[RolloutId, Progress]:
    """The same of many rollouts, in as many statements whatever they are and however many."""
    counts = await counting.tallies(conn, rollouts, now)
    reaches = await counting.reaches(conn, rollouts, now)
    measured = await measurements.of_batches(conn, rollouts)
    return {one.id: _progress(one, counts[one.id], reaches.get(one.id), measured[one.id]) for one in rollouts}


def _progress(rollout: Rollout, counts: Sequence[Count], reach: int | None, measured: Mapping[str, Sequence[Measurement]]) -> Progress:
    checks = _verdicts(rollout, measured)
    return Progress.of(counts, health_check_enabled=rollout.plan.health_check_enabled, reach=reach, checks=checks)


def _verdicts(rollout: Rollout, measured: Mapping[str, Sequence[Measurement]]) -> tuple[Verdict, ...]:
    if rollout.answered_at is None:
        return ()
    return tuple(verdict(check, measured.get(check.name, [])) for check in rollout.plan.batch_checks(rollout.stage))
