"""Makes the checks from outside that are due: of each device that runs an image, and of batches whose devices have answered."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.checks import (
    CheckSettings,
    HttpCheck,
    Measurement,
    PrometheusCheck,
    State,
    TcpCheck,
    Verdict,
    WebhookGate,
    next_measurement_at,
    verdict,
)
from domain.ids import DeviceId
from domain.rollouts import Rollout
from monitor.checks import http, prometheus, tcp, webhook
from monitor.checks.outside import Outside
from resolvers import checks
from storage import measurements, rollouts
from storage.connection import Connection
from storage.database import Database
from storage.measurements import Checked

# Of one rollout in one round; the next follows a second later.
DEVICES = 500
# A round takes a timeout of 60 s at most for each of 500 / 64 turns; whoever dies in it is replaced after that.
LEASE = timedelta(minutes=10)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Made:
    """A check that was made."""

    check: CheckSettings
    measured: Measurement
    device: DeviceId | None = None


async def check(db: Database, outside: Outside) -> None:
    """Measure once whatever is due, for every rollout that has checks; two processes never measure for the same one."""
    async with db.reading() as conn:
        found = await rollouts.checked(conn)
    for rollout in found:
        try:
            await _round(db, outside, rollout)
        except Exception:
            log.exception("rollout %s could not be checked", rollout.id)


async def _round(db: Database, outside: Outside, rollout: Rollout) -> None:
    async with db.unheard() as conn:
        now = await db.now(conn)
        if not await measurements.claim(conn, rollout.id, now, LEASE):
            return
        devices = await measurements.to_check(conn, rollout, DEVICES) if rollout.plan.device_checks else []
        of_batch = await measurements.of_batch(conn, rollout) if rollout.answered_at else {}
    try:
        made = await asyncio.gather(*_due_of_batch(outside, rollout, of_batch, now), *_due_of_devices(outside, rollout, devices, now))
        await _keep(db, rollout, devices, made)
    finally:
        async with db.unheard() as conn:
            await measurements.release(conn, rollout.id)


def _due_of_batch(outside: Outside, rollout: Rollout, measured: dict[str, list[Measurement]], now: datetime) -> list[Awaitable[Made]]:
    if rollout.answered_at is None:
        return []
    due = [one for one in rollout.plan.batch_checks(rollout.stage) if _is_due(one, measured, rollout.answered_at, now)]
    return [_of_batch(outside, rollout, one, now) for one in due]


def _due_of_devices(outside: Outside, rollout: Rollout, devices: Sequence[Checked], now: datetime) -> list[Awaitable[Made]]:
    return [
        _of_device(outside, one, device, now)
        for device in devices
        for one in _device_checks(rollout, device)
        if _is_due(one, device.measured, device.since, now)
    ]


def _is_due(one: CheckSettings, measured: dict[str, list[Measurement]], since: datetime, now: datetime) -> bool:
    due = next_measurement_at(one, measured.get(one.name, []), since)
    return due is not None and due <= now


def _device_checks(rollout: Rollout, device: Checked) -> list[HttpCheck | TcpCheck]:
    return [one for one in rollout.plan.device_checks if rollout.plan.stages[device.stage].includes(one)]


async def _of_batch(outside: Outside, rollout: Rollout, one: PrometheusCheck | WebhookGate, now: datetime) -> Made:
    if isinstance(one, PrometheusCheck):
        return Made(one, await prometheus.measure(outside, one, now))
    return Made(one, await webhook.measure(outside, one, _question(rollout), now))


def _question(rollout: Rollout) -> dict[str, object]:
    """What a gate is asked: it tells this question from every other, so that no earlier answer is taken for one to it."""
    return {
        "rollout_id": str(rollout.id), "policy_id": str(rollout.policy_id), "image": str(rollout.image), "checksum": rollout.checksum,
        "revision": rollout.revision, "batch_number": rollout.stage + 1, "total_batches": len(rollout.stages),
        "offered_devices": rollout.frontier, "total_devices": rollout.size,
    }  # fmt: skip


async def _of_device(outside: Outside, one: HttpCheck | TcpCheck, device: Checked, now: datetime) -> Made:
    if isinstance(one, HttpCheck):
        return Made(one, await http.measure(outside, one, device.subject, now), device.device)
    return Made(one, await tcp.measure(outside, one, device.subject, now), device.device)


async def _keep(db: Database, rollout: Rollout, devices: Sequence[Checked], made: Sequence[Made]) -> None:
    """Write down what was measured of the batch, and device by device, so that nobody who reports waits for the others."""
    async with db.transaction() as conn:
        for one in made:
            if one.device is None:
                await measurements.record(conn, rollout.id, rollout.stage, one.check.name, one.measured)
    for device in devices:
        async with db.transaction() as conn:
            await _keep_of(conn, rollout, device, [one for one in made if one.device == device.device], await db.now(conn))


async def _keep_of(conn: Connection, rollout: Rollout, device: Checked, made: Sequence[Made], now: datetime) -> None:
    for one in made:
        await measurements.record(conn, rollout.id, device.stage, one.check.name, one.measured, device.device)
        device.measured.setdefault(one.check.name, []).append(one.measured)
    verdicts = [verdict(one, device.measured.get(one.name, [])) for one in _device_checks(rollout, device)]
    if decided := _decided(verdicts):
        await checks.conclude(conn, rollout, device, decided, now)


def _decided(verdicts: Sequence[Verdict]) -> Verdict | None:
    """The first that failed, else the first that nobody can tell; passed when all are; None while it is open."""
    for state in (State.FAILED, State.INCONCLUSIVE):
        if found := next((one for one in verdicts if one.state is state), None):
            return found
    return None if any(one.state is State.RUNNING for one in verdicts) else Verdict(State.PASSED, "all checks passed")
