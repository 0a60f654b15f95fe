"""What a device's report means for the rollouts it is in."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from weakref import WeakValueDictionary

from domain.devices import Report, Running, services_of
from domain.events import EventType
from domain.health import Outcome, Verdict, is_back, judge, trouble
from domain.ids import DeviceId
from domain.members import Offer
from resolvers.gathering import PATIENCE, Gathering
from storage import devices, events, members, turns
from storage.connection import Connection
from storage.database import Database

SAVED_AT_ONCE = 200
MOST_WAITING = 5000
"""Reports that wait to be written; more are told to come again."""


@dataclass(frozen=True, eq=False, slots=True)
class Said:
    """What one device said, to be weighed; the same said twice is said twice."""

    device: DeviceId
    uuid: str
    report: Report
    services: list[Running] | None
    """None if it said nothing of them."""

    @classmethod
    def by(cls, device: DeviceId, uuid: str, report: Report) -> "Said":
        """Raises BadInput for services in a shape that no agent sends."""
        return cls(device, uuid, report, None if report.apps is None else services_of(report.apps))


class Reports:
    """The reports of one process, written in sets."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._gathering: Gathering[Said, None] = Gathering(self._save, most=SAVED_AT_ONCE, room=MOST_WAITING)
        self._turns: WeakValueDictionary[DeviceId, asyncio.Lock] = WeakValueDictionary()
        """What a device says is written in the order in which it came: two sets are under way, and the wrong one could be first."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write while the block runs."""
        async with self._gathering.running():
            yield

    async def keep(self, said: Said) -> None:
        """Returns once it is committed, after what the device said before; raises TimeoutError if that takes too long."""
        async with asyncio.timeout(PATIENCE), self._turns.setdefault(said.device, asyncio.Lock()):
            await self._gathering.ask(said)

    async def _save(self, said: list[Said]) -> dict[Said, None]:
        return dict.fromkeys(await save(self._db, said))


async def save(db: Database, said: Iterable[Said]) -> list[Said]:
    """Keep what devices say, and what it shows of the images they were offered. An old report, replayed, changes nothing.

    Returns what is done with. Left out are devices with whom somebody else is busy, and what one says beside what it says first.
    """
    first = {one.device: one for one in reversed([*said])}
    async with db.transaction() as conn:
        now = await db.now(conn)
        free = await devices.lock_free(conn, [*first])
        fresh = [first[device] for device, sends_version in free.items() if not (sends_version and first[device].report.version is None)]
        alone = await members.lock_free(conn, [one.device for one in fresh])
        new = [one for one in fresh if one.device in alone]
        if new:
            await _save(conn, new, now)
    old = [first[device] for device in free if first[device] not in fresh]
    return old + new


async def _save(conn: Connection, said: Sequence[Said], now: datetime) -> None:
    await devices.sends_version(conn, [one.device for one in said if one.report.version is not None])
    await devices.save_reports(conn, {one.device: one.report for one in said}, now)
    offers = await members.offers(conn, [one.device for one in said if one.services is not None])
    for one in said:
        for offer in offers.get(one.device, ()):
            await _weigh(conn, one, offer, now)


async def _weigh(conn: Connection, said: Said, offer: Offer, now: datetime) -> None:
    """Record what a report shows, where it shows something new; the same report again changes nothing."""
    assert said.services is not None
    weigh = _judged if offer.is_exposed else _returned
    await weigh(conn, said.device, said.uuid, offer, said.services, now)


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


async def _tell(conn: Connection, uuid: str, offer: Offer, event: EventType, now: datetime, **data: Any) -> None:
    told = {**offer.told, **data} if event is not EventType.DEVICE_ROLLED_BACK else data
    await events.record(conn, event, now, rollout=offer.rollout_id, revision=offer.revision, device=uuid, **told)
