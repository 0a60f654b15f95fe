"""What becomes of single devices by the passing of time: some are tried again, some lose their turn and get it back."""

from collections.abc import Sequence
from datetime import datetime

from domain.events import EventType
from domain.health import Outcome
from domain.progress import Progress
from domain.rollouts import Rollout
from resolvers import progress
from storage import counting, events, turns
from storage.connection import Connection


async def tend(conn: Connection, rollout: Rollout, now: datetime) -> Progress:
    """See to the devices of a rollout on its way, where its plan asks for that; returns what they have shown after it."""
    plan = rollout.plan
    if Outcome.TIMED_OUT in plan.retries.limits or plan.only_failed_return:
        await _tell(conn, rollout, EventType.DEVICE_WITHDRAWN, await turns.time_out(conn, rollout, now), now)
    return await wake(conn, rollout, now)


async def wake(conn: Connection, rollout: Rollout, now: datetime) -> Progress:
    """A device that failed is tried again in time; one that was passed over, asleep or
    beside one that failed, gets its turn back when it is awake and there is room."""
    if rollout.plan.pace.is_capped:
        await turns.defer_silent(conn, rollout, await counting.silent_below(conn, rollout, now), now)
        await turns.defer_beside_stuck(conn, rollout, now)
    found = await progress.count(conn, rollout, now)
    admitted = await turns.admit(conn, rollout, found.in_flight, now)
    await _tell(conn, rollout, EventType.DEVICE_SCHEDULED, admitted, now)
    return await progress.count(conn, rollout, now) if admitted else found


async def _tell(conn: Connection, rollout: Rollout, event: EventType, devices: Sequence[str], now: datetime) -> None:
    for device in devices:
        await events.record(conn, event, now, rollout=rollout.id, revision=rollout.revision, device=device, image=str(rollout.image))
