"""Why devices are on the images they are on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.actors import Permission
from domain.decisions import decide
from domain.devices import CurrentState, services_of
from domain.explanations import Explained, Heard, Outlook, Told, explain
from domain.ids import DeviceId, RolloutId
from domain.progress import Progress
from domain.rollouts import Rollout
from domain.windows import next_opening, zone_named
from resolvers import progress
from resolvers.context import Context
from storage import explanations, rollouts
from storage.connection import Connection
from storage.explanations import Known


@dataclass(frozen=True, slots=True)
class DeviceExplanation:
    """Why a device is on the images it is on, service by service."""

    at: datetime
    services: tuple[Explained, ...]


async def of_devices(ctx: Context, devices: Sequence[DeviceId]) -> dict[DeviceId, DeviceExplanation]:
    """The record of those of these devices that there are, at one moment; each rollout that some of them are in is counted once."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.snapshot() as conn:
        now = await ctx.db.now(conn)
        standings = await explanations.standings(conn, devices, now)
        concerned = {told.place.rollout_id for services in standings.values() for told in services if told.place}
        outlooks = await _outlooks(conn, [*concerned], now)
        known = await explanations.known(conn, devices, now)
    return {device: DeviceExplanation(now, _explained(standings.get(device, []), outlooks, one)) for device, one in known.items()}


def _explained(standings: Sequence[Told], outlooks: Mapping[RolloutId, Outlook], known: Known) -> tuple[Explained, ...]:
    heard = _heard(known.state, standings)
    return tuple(
        explain(
            told, outlooks[told.place.rollout_id] if told.place else None, known.aside, heard.get((told.app, told.service)),
            known.device.shut_out,
        )
        for told in standings
    )  # fmt: skip


async def _outlooks(conn: Connection, concerned: Sequence[RolloutId], now: datetime) -> dict[RolloutId, Outlook]:
    found = await rollouts.many(conn, concerned)
    # Of one that is over the engine asks nothing that would have to be counted.
    counted = await progress.counts(conn, [rollout for rollout in found.values() if not rollout.status.is_final], now)
    return {id_: Outlook(decide(one, counted.get(id_, Progress()), now), _openings(one, now)) for id_, one in found.items()}


def _openings(rollout: Rollout, now: datetime) -> dict[str, datetime | None]:
    schedule = rollout.plan.schedule
    closed = [zone.name for zone in rollout.zones if not zone.is_open]
    return {name: next_opening(schedule.windows, zone_named(name or schedule.zone), now) for name in closed}


def _heard(state: CurrentState | None, standings: Sequence[Told]) -> dict[tuple[str, str], Heard]:
    """What the device last said of each service; empty if it never reported."""
    if state is None:
        return {}
    running = {(service.app, service.service): service for service in services_of(state.apps)}
    return {(told.app, told.service): Heard(state.reported_at, running.get((told.app, told.service))) for told in standings}
