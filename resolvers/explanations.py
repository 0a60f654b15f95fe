"""Why a device is on the images it is on."""

from dataclasses import dataclass
from datetime import datetime

from domain.actors import Permission
from domain.decisions import decide
from domain.devices import services_of
from domain.explanations import Explained, Heard, Outlook, Told, explain
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
    ctx.actor.must(Permission.READ)
    async with ctx.db.snapshot() as conn:
        now = await ctx.db.now(conn)
        aside = await devices.aside(conn, device, now)
        standings = await explanations.standings(conn, device, now)
        concerned = {told.place.rollout_id for told in standings if told.place}
        outlooks = {rollout: await _outlook(conn, rollout, now) for rollout in concerned}
        heard, known = await _heard(conn, device, standings), (await devices.many(conn, [device])).get(device)
    shut_out = None if known is None else known.shut_out
    told = [
        explain(one, outlooks[one.place.rollout_id] if one.place else None, aside, heard.get((one.app, one.service)), shut_out)
        for one in standings
    ]
    return DeviceExplanation(now, tuple(told))


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


async def _heard(conn: Connection, device: DeviceId, standings: list[Told]) -> dict[tuple[str, str], Heard]:
    """What the device last said of each service; empty if it never reported."""
    state = (await devices.current_states(conn, [device])).get(device)
    if state is None:
        return {}
    running = {(service.app, service.service): service for service in services_of(state.apps)}
    return {(told.app, told.service): Heard(state.reported_at, running.get((told.app, told.service))) for told in standings}
