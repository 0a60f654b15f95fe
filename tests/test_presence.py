"""Devices that go silent and come back: each is told of once, and nobody is blamed for a silence in which nobody listened."""

import asyncio
from datetime import datetime, timedelta

from domain.devices import OFFLINE_AFTER
from domain.events import Cursor
from domain.ids import DeviceId
from monitor.presence import watch
from resolvers.context import Context
from storage import events, presence
from storage.database import Database
from tests.api import Api, eventually
from tests.clock import MovableClock
from tests.factories import at
from tools.crowd import crowd

LONG_AGO = datetime.fromisoformat("2000-01-01T00:00:00+00:00")


async def _told(db: Database) -> list[tuple[str, str | None]]:
    async with db.reading() as conn:
        return [(event.type, event.device_uuid) for event in await events.page(conn, Cursor(), 1000)]


async def _uuids(db: Database) -> dict[DeviceId, str]:
    async with db.reading() as conn:
        return {row["id"]: str(row["uuid"]) for row in await conn.fetch("select id, uuid from devices")}


async def _seen(db: Database, *devices: DeviceId) -> None:
    async with db.transaction() as conn:
        await presence.seen(conn, devices, await db.now(conn))


async def test_a_device_that_goes_silent_is_told_of_once_and_again_when_it_is_back(db: Database, clock: MovableClock) -> None:
    silent, talking = await crowd(db, 2)
    await crowd(db, 1, awake=False)  # never heard of: it has not gone silent
    uuids = await _uuids(db)
    clock.advance(minutes=7)
    await _seen(db, talking)
    assert await watch(db, LONG_AGO) == 0

    clock.advance(minutes=2)
    assert [await watch(db, LONG_AGO), await watch(db, LONG_AGO)] == [1, 0]
    assert await _told(db) == [("device.offline", uuids[silent])]

    await _seen(db, talking, silent)
    assert await watch(db, LONG_AGO) == 0
    assert await _told(db) == [("device.offline", uuids[silent]), ("device.online", uuids[silent])]


async def test_a_device_whose_return_was_not_told_of_is_told_of_by_the_watch(db: Database, clock: MovableClock) -> None:
    await crowd(db, 1)
    clock.advance(minutes=9)
    await watch(db, LONG_AGO)
    async with db.transaction() as conn:
        await conn.execute("update devices set last_seen_at = $1", await db.now(conn))

    assert [await watch(db, LONG_AGO), await watch(db, LONG_AGO)] == [1, 0]
    assert [event for event, _ in await _told(db)] == ["device.offline", "device.online"]


async def test_nobody_is_blamed_for_a_silence_in_which_nobody_listened(db: Database, clock: MovableClock) -> None:
    await crowd(db, 3)
    clock.advance(hours=5)
    began = await at(db)

    assert await watch(db, began) == 0
    clock.advance(seconds=OFFLINE_AFTER.total_seconds() + 1)
    assert await watch(db, began) == 3


async def test_a_fleet_that_goes_silent_is_told_of_by_as_many_events_in_few_statements(db: Database, clock: MovableClock) -> None:
    await crowd(db, 12_000)
    clock.advance(minutes=9)

    assert await watch(db, LONG_AGO) == 12_000
    async with db.reading() as conn:
        assert await conn.fetchval("select count(distinct device_uuid) from events where type = 'device.offline'") == 12_000


async def test_two_that_watch_at_once_tell_of_nobody_twice(db: Database, clock: MovableClock) -> None:
    await crowd(db, 500)
    clock.advance(minutes=9)

    found = await asyncio.gather(*(watch(db, LONG_AGO) for _ in range(5)))

    assert sum(found) == 500
    assert len(await _told(db)) == 500


async def test_a_device_that_somebody_is_changing_is_passed_over_and_others_are_not_kept_waiting(db: Database, clock: MovableClock) -> None:
    one, other = await crowd(db, 2)
    clock.advance(minutes=1)
    before = await at(db)
    async with db.transaction() as conn:
        await conn.execute("select from devices where id = $1 for no key update", one)
        async with asyncio.timeout(5):
            await _seen(db, one, other)

    async with db.reading() as conn:
        seen = {row["id"]: row["last_seen_at"] for row in await conn.fetch("select id, last_seen_at from devices")}
    assert seen[one] < before <= seen[other]


async def test_what_was_seen_later_is_not_overwritten_by_what_was_seen_before(operator: Context, clock: MovableClock) -> None:
    db = operator.db
    [device] = await crowd(db, 1)
    earlier = await at(db)
    clock.advance(minutes=5)
    await _seen(db, device)
    later = await at(db)
    async with db.transaction() as conn:
        await presence.seen(conn, [device], earlier)
        assert await conn.fetchval("select last_seen_at from devices") > later - timedelta(minutes=1)


async def test_noting_that_devices_were_seen_touches_no_index(db: Database) -> None:
    known = await crowd(db, 50)
    async with db.transaction() as conn:
        await presence.seen(conn, known, await db.now(conn))
        # Those that found no more room on their page went to another, as they would for any reason.
        assert await conn.fetchval("select pg_stat_get_xact_tuples_hot_updated('devices'::regclass)") > 0


async def test_a_server_that_runs_tells_who_is_online(api: Api, clock: MovableClock) -> None:
    agent, silent = await api.devices("nginx:1.26", "nginx:1.26")
    await silent.poll()
    await api.seen(silent.uuid)
    clock.advance(minutes=9)
    await agent.poll()

    async def online() -> dict[str, bool]:
        nodes = (await api.graphql("{ devices { nodes { uuid online } } }"))["devices"]["nodes"]
        return {node["uuid"]: node["online"] for node in nodes}

    await eventually(online, {agent.uuid: True, silent.uuid: False})
