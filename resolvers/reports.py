"""What a device's report means for the rollouts it is in."""

from collections.abc import Sequence
from datetime import datetime

from domain.devices import Running
from domain.events import EventType
from domain.health import Outcome, Verdict, is_back, judge
from domain.ids import DeviceId
from domain.members import Offer
from storage import events, members
from storage.connection import Connection


async def weigh(conn: Connection, device: DeviceId, uuid: str, services: Sequence[Running], now: datetime) -> None:
    """Record what a report shows, where it shows something new; the same report again changes nothing."""
    for offer in await members.offers(conn, device):
        if offer.is_exposed:
            await _judged(conn, device, uuid, offer, services, now)
        else:
            await _returned(conn, device, uuid, offer, services, now)


async def _judged(conn: Connection, device: DeviceId, uuid: str, offer: Offer, services: Sequence[Running], now: datetime) -> None:
    verdict = judge(offer.image, offer.previous, services, health_check=offer.health_check_enabled)
    if (verdict.outcome, verdict.reason) == (offer.outcome, offer.reason):
        return
    await members.report(conn, offer.rollout_id, device, verdict.outcome, verdict.reason, now)
    if verdict.outcome is not None and verdict.outcome is not offer.outcome:
        await events.record(
            conn, _event(verdict, offer), now, rollout=offer.rollout_id, revision=offer.revision, device=uuid,
            image=str(offer.image), reason=verdict.reason,
        )  # fmt: skip


def _event(verdict: Verdict, offer: Offer) -> EventType:
    if verdict.outcome is Outcome.RUNNING:
        return EventType.DEVICE_UPDATED
    is_checked = offer.health_check_enabled and offer.outcome is Outcome.RUNNING
    return EventType.HEALTH_CHECK_FAILED if is_checked else EventType.DEVICE_FAILED


async def _returned(conn: Connection, device: DeviceId, uuid: str, offer: Offer, services: Sequence[Running], now: datetime) -> None:
    back = is_back(offer.previous, services)
    if back == offer.is_back:
        return
    await members.returned(conn, offer.rollout_id, device, back, now)
    if back:
        await events.record(
            conn, EventType.DEVICE_ROLLED_BACK, now, rollout=offer.rollout_id, revision=offer.revision, device=uuid,
            rolled_back_to=sorted({str(image) for image in offer.previous.values()}),
        )  # fmt: skip
