"""What checks from outside mean for a device."""

from datetime import datetime

from domain.checks import State, Verdict
from domain.events import EventType
from domain.health import Outcome
from domain.rollouts import Rollout
from resolvers import reports
from storage import devices, events, measurements, members
from storage.connection import Connection
from storage.measurements import Checked


async def conclude(conn: Connection, rollout: Rollout, checked: Checked, verdict: Verdict, now: datetime) -> None:
    """Take note that a device passed, failed, or left everybody in the dark; one that showed something else meanwhile is left alone."""
    await devices.lock(conn, checked.device)
    if not await measurements.conclude(conn, rollout.id, checked.device, verdict, checked.since, now):
        return
    if verdict.state is State.FAILED:
        await _unhealthy(conn, rollout, checked, verdict.reason, now)
    if verdict.state is State.PASSED:
        await measurements.forget(conn, rollout.id, checked.device)


async def _unhealthy(conn: Connection, rollout: Rollout, checked: Checked, reason: str, now: datetime) -> None:
    uuid = checked.subject.uuid
    for offer in (await members.offers(conn, [checked.device])).get(checked.device, ()):
        if offer.rollout_id == rollout.id and offer.is_exposed:
            await members.found_unhealthy(conn, rollout.id, checked.device, reason, now)
            await events.record(
                conn, EventType.HEALTH_CHECK_FAILED, now, rollout=rollout.id, revision=offer.revision, device=uuid,
                reason=reason, **offer.told,
            )  # fmt: skip
            await reports.failed(conn, checked.device, uuid, offer, Outcome.UNHEALTHY, now)
