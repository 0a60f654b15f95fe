"""Why a device is on the images it is on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.actors import Permission
from domain.aside import Aside
from domain.decisions import decide
from domain.devices import CurrentState, services_of
from domain.explanations import Explained, Heard, Outlook, Told, explain
from domain.health import ServiceKey
from domain.ids import DeviceId, RolloutId
from domain.progress import Progress
from domain.rollouts import Rollout
from domain.windows import next_opening, zone_named
from resolvers import progress
from resolvers.context import Context
from storage import devices, explanations, rollouts
from storage.connection import Connection


@dataclass(frozen=True, slots=True)
class DeviceExplanation:
    """Why a device is on the images it is on, service by service."""

    at: datetime
    services: tuple[Explained, ...]


async def of_device(ctx: Context, device: DeviceId) -> DeviceExplanation:
    """The record, at one moment; for a device in a rollout with what the engine decides about that."""
    return (await of_devices(ctx, [device]))[device]


async def of_devices(ctx: Context, ids: Sequence[DeviceId]) -> dict[DeviceId, DeviceExplanation]:
    """The same of many; each rollout that one of them is in is counted once."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.snapshot() as conn:
        now = await ctx.db.now(conn)
        known, asides = await devices.many(conn, ids), await devices.asides(conn, ids, now)
        standings, reported = await explanations.standings(conn, ids, now), await devices.current_states(conn, ids)
        concerned = {told.place.rollout_id for some in standings.values() for told in some if told.place}
        outlooks = {rollout: await _outlook(conn, rollout, now) for rollout in concerned}
    return {
        device: DeviceExplanation(now, _explained(standings.get(device, []), outlooks, asides.get(device), reported.get(device), shut_out))
        for device, shut_out in ((one.id, one.shut_out) for one in known.values())
    }


def _explained(
    standings: Sequence[Told], outlooks: Mapping[RolloutId, Outlook], aside: Aside | None, state: CurrentState | None, shut_out: str | None
) -> tuple[Explained, ...]:
    heard = _heard(state, standings)
    return tuple(
        explain(told, outlooks[told.place.rollout_id] if told.place else None, aside, heard.get((told.app, told.service)), shut_out)
        for told in standings
    )


async def _outlook(conn: Connection, rollout_id: RolloutId, now: datetime) -> Outlook:
    rollout = await rollouts.one(conn, rollout_id)
    assert rollout is not None, "a member's rollout exists"
    # Of one that is over the engine asks nothing that would have to be counted.
    found = Progress() if rollout.status.is_final else await progress.count(conn, rollout, now)
    return Outlook(decide(rollout, found, now), _openings(rollout, now))


def _openings(rollout: Rollout, now: datetime) -> dict[str, datetime | None]:
    schedule = rollout.plan.schedule
    closed = [zone.name for zone in rollout.zones if not zone.is_open]
    return {name: next_opening(schedule.windows, zone_named(name or schedule.zone), now) for name in closed}


def _heard(state: CurrentState | None, standings: Sequence[Told]) -> dict[ServiceKey, Heard]:
    """What the device last said of each service; empty if it never reported."""
    if state is None:
        return {}
    running = {(service.app, service.service): service for service in services_of(state.apps)}
    return {(told.app, told.service): Heard(state.reported_at, running.get((told.app, told.service))) for told in standings}
