"""What a device's report means for the rollouts it is in."""

from collections.abc import Sequence
from datetime import datetime

from domain.devices import Running
from domain.events import EventType
from domain.health import Outcome, Verdict, is_back, judge, trouble
from domain.ids import DeviceId
from domain.members import Offer
from storage import devices, events, members, turns
from storage.connection import Connection


async def weigh(conn: Connection, device: DeviceId, uuid: str, services: Sequence[Running], now: datetime) -> None:
    """Record what a report shows, where it shows something new; the same report again changes nothing."""
    for offer in await members.offers(conn, device):
        if offer.is_exposed:
            await _judged(conn, device, uuid, offer, services, now)
        else:
            await _returned(conn, device, uuid, offer, services, now)


async def _judged(conn: Connection, device: DeviceId, uuid: str, offer: Offer, services: Sequence[Running], now: datetime) -> None:
    verdict = judge(offer.wanted, services, health_check=offer.plan.health_check_enabled)
    if verdict.outcome is None and offer.plan.step is not None:
        await members.progressed(conn, offer.rollout_id, device, now)
    if (verdict.outcome, verdict.reason) == (offer.outcome, offer.reason) or (offer.has_failed_check and not _is_failure(verdict)):
        return
    await members.report(conn, offer.rollout_id, device, verdict.outcome, verdict.reason, now)
    if verdict.outcome is not None and verdict.outcome is not offer.outcome:
        await _tell(conn, uuid, offer, _event(verdict, offer), now, reason=verdict.reason)
        if verdict.outcome.is_failure:
            await failed(conn, device, uuid, offer, verdict.outcome, now)


def _is_failure(verdict: Verdict) -> bool:
    return verdict.outcome is not None and verdict.outcome.is_failure


def _event(verdict: Verdict, offer: Offer) -> EventType:
    if verdict.outcome is Outcome.RUNNING:
        return EventType.DEVICE_UPDATED
    relapsed = offer.plan.health_check_enabled and offer.outcome is Outcome.RUNNING
    return EventType.HEALTH_CHECK_FAILED if relapsed or verdict.outcome is Outcome.UNHEALTHY else EventType.DEVICE_FAILED


async def failed(conn: Connection, device: DeviceId, uuid: str, offer: Offer, failure: Outcome, now: datetime) -> None:
    """Take the image back from a device that is to be tried again, or to return alone; set one aside that fails again and again."""
    retry_at = offer.retry_at(failure, now)
    if retry_at or offer.returns_alone:
        await turns.withdraw(conn, offer.rollout_id, device, now, retry_at)
        await _tell(conn, uuid, offer, EventType.DEVICE_WITHDRAWN, now, retry_at=retry_at and retry_at.isoformat())
    if not retry_at and offer.plan.quarantine_after:
        await devices.quarantine(conn, device, offer.plan.quarantine_after, now)


async def _returned(conn: Connection, device: DeviceId, uuid: str, offer: Offer, services: Sequence[Running], now: datetime) -> None:
    back = is_back(offer.previous, services)
    why_not = None if back else trouble(offer.previous, services, health_check=offer.plan.health_check_enabled)
    if why_not and why_not != offer.reason:
        await members.cannot_return(conn, offer.rollout_id, device, why_not)
        await _tell(conn, uuid, offer, EventType.DEVICE_FAILED, now, reason=f"cannot return: {why_not}")
    if back != offer.is_back:
        await members.returned(conn, offer.rollout_id, device, back, now)
        if back:
            images = sorted({str(image) for image in offer.previous.values()})
            await _tell(conn, uuid, offer, EventType.DEVICE_ROLLED_BACK, now, rolled_back_to=images)


async def _tell(conn: Connection, uuid: str, offer: Offer, event: EventType, now: datetime, **data: object) -> None:
    told = {**offer.told, **data} if event is not EventType.DEVICE_ROLLED_BACK else data
    await events.record(conn, event, now, rollout=offer.rollout_id, revision=offer.revision, device=uuid, **told)
