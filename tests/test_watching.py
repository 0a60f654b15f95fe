"""What can be watched: whatever changes is told soon, nothing is told twice alike, and the last that was told is so."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.actors import Actor
from domain.errors import Forbidden, NotFound
from domain.events import Cursor
from domain.fleet import DeviceFilter
from domain.health import Outcome
from domain.ids import DeviceId, RolloutId
from domain.statuses import DeviceStatus
from monitor.reconciler import reconcile
from resolvers import aside, devices, events, fleet, identity, rollouts, targets, watching
from resolvers.context import Context
from resolvers.streams import Latest
from resolvers.watching import Watched
from storage import presence
from tests.api import web
from tests.clock import MovableClock
from tests.factories import a_policy, a_rollout, at, everybody_says, finished, minutes, push
from tests.field import Field
from tests.following import relaying
from tests.fuses import Fuse, an_instance, no_fuse_is_left
from tests.hearing import Heard, heard
from tools.crowd import crowd

__all__ = ["no_fuse_is_left"]
READER = Actor("nobody in particular")
Change = Callable[[Field, DeviceId], Awaitable[object]]


@pytest.fixture(autouse=True)
async def nothing_is_left_behind(operator: Context) -> AsyncIterator[None]:
    """Once nobody watches, nothing does."""
    yield
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("watching")] == []
    assert (operator.feed.bells.count, len(operator.watches)) == (0, 0)


@asynccontextmanager
async def following(streams: Sequence[Latest[Any]]) -> AsyncIterator[list[Heard[Any]]]:
    """Somebody who follows each of them, and knows how things are."""
    async with AsyncExitStack() as stack:
        followed = [await stack.enter_async_context(heard(stream)) for stream in streams]
        for one in followed:
            await one.until(lambda _: True)
        yield followed


async def uuid_of(ctx: Context, device: DeviceId) -> str:
    found = await devices.by_id(ctx, device)
    assert found is not None
    return found.uuid


# One device


async def _labels(field: Field, device: DeviceId) -> None:
    await devices.set_labels(field.operator, await field.uuid(device), {"site": "north"})


async def _target(field: Field, device: DeviceId) -> None:
    await targets.set_target(field.operator, await field.uuid(device), web("redis:7"))


async def _report(field: Field, device: DeviceId) -> None:
    await field.says(device, "nginx:1.0.0")


async def _silence(field: Field, device: DeviceId) -> None:
    field.clock.advance(minutes=9)


async def _revocation(field: Field, device: DeviceId) -> None:
    await identity.revoke(field.operator, await field.uuid(device))


async def _held(field: Field, device: DeviceId) -> None:
    await aside.hold(field.operator, await field.uuid(device), await at(field.operator.db) + minutes(5), None)


async def _offer(field: Field, device: DeviceId) -> None:
    await push(field.operator, "nginx:2.0.0")
    await reconcile(field.operator.db)


async def _poll(field: Field, device: DeviceId) -> None:
    await field.polls(device)


async def _passing_of_time(field: Field, device: DeviceId) -> None:
    field.clock.advance(minutes=6)


CHANGES: dict[str, Change] = {
    "labels": _labels,
    "a report": _report,
    "its silence": _silence,
    "its return": _poll,
    "being held": _held,
    "the end of that": _passing_of_time,
    "an offer of a rollout": _offer,
    "having taken it": _poll,
    "running it": lambda field, device: field.says(device, "nginx:2.0.0"),
    "the end of the soak": _passing_of_time,
    "what it should run": _target,
    "being revoked": _revocation,
}


@pytest.fixture
async def watched(field: Field) -> DeviceId:
    """A device that a rollout would reach, and be sure of after five minutes."""
    [device] = await field.devices(1)
    await a_policy(field.operator, health_check_enabled=True, soak_minutes=5)
    return device


async def test_whatever_changes_of_a_device_is_told_as_soon_as_something_was_heard(field: Field, watched: DeviceId) -> None:
    async with heard(await watching.device(field.operator, await field.uuid(watched))) as told:
        now = await told.until(lambda _: True, 0.5)
        for what, change in CHANGES.items():
            await change(field, watched)
            before = now
            field.operator.feed.bells.ring()
            now = await told.until(lambda now, before=before: now != before, 0.5)  # type: ignore[misc]
            assert now == await _seen_now(field.operator, watched), what
        assert told.says_nothing_twice()


async def test_and_within_two_seconds_though_nothing_is_heard(field: Field, watched: DeviceId) -> None:
    async with heard(await watching.device(field.operator, await uuid_of(field.operator, watched))) as told:
        await told.until(lambda now: not now.device.labels)
        await _labels(field, watched)
        await told.until(lambda now: now.device.labels == {"site": "north"}, 2)


async def test_a_commit_anywhere_is_heard_of(operator: Context) -> None:
    [device] = await crowd(operator.db, 1)
    async with (
        relaying(operator.db, operator.feed),
        heard(await watching.device(operator, uuid := await uuid_of(operator, device))) as told,
    ):
        for site in ("north", "south", "east"):
            await told.until(lambda _: True)
            await devices.set_labels(operator, uuid, {"site": site})
            await told.until(lambda now, site=site: now.device.labels == {"site": site}, 0.5)  # type: ignore[misc]


async def test_to_watch_a_hundred_devices_takes_as_many_statements_as_to_watch_one(
    operator: Context, database_url: str, clock: MovableClock
) -> None:
    uuids = [await uuid_of(operator, device) for device in await crowd(operator.db, 100)]
    async with an_instance(database_url, clock, size=4) as db:
        ctx = replace(operator, db=db)

        async def statements(some: list[str]) -> int:
            async with following([await watching.device(ctx, uuid) for uuid in some]) as followed:
                before = Fuse.statements
                for site in ("north", "south", "east"):
                    async with operator.db.transaction() as conn:
                        await conn.execute("update devices set labels = $1", {"site": site})
                    ctx.feed.bells.ring()
                    for one in followed:
                        await one.until(lambda now, site=site: now.device.labels == {"site": site})  # type: ignore[misc]
                return Fuse.statements - before

        # Two for each of three looks; another look where a second passes meanwhile.
        assert {await statements(uuids), await statements(uuids[:1])} <= {6, 8, 10}


async def test_for_fifty_who_watch_the_same_it_is_read_once(operator: Context, database_url: str, clock: MovableClock) -> None:
    rollout = (await a_rollout(operator, 3, health_check_enabled=True)).id
    async with an_instance(database_url, clock, size=4) as db:
        ctx = replace(operator, db=db)
        async with following([await watching.progress(ctx, rollout) for _ in range(50)]) as followed:
            before = Fuse.statements
            await everybody_says(operator.db, rollout, Outcome.RUNNING)
            ctx.feed.bells.ring([rollout])
            for one in followed:
                await one.until(lambda now: now.counts.get(DeviceStatus.UPDATED))
            # A transaction of three reads, perhaps twice.
            assert Fuse.statements - before in (5, 10)


async def test_who_is_told_of_other_devices_is_not_told(operator: Context) -> None:
    one, other = [await uuid_of(operator, device) for device in await crowd(operator.db, 2)]
    async with heard(await watching.device(operator, one)) as told, heard(await watching.device(operator, other)) as untold:
        await untold.until(lambda _: True)
        await devices.set_labels(operator, one, {"site": "north"})
        operator.feed.bells.ring()
        await told.until(lambda now: now.device.labels == {"site": "north"})
    assert (len(told.told), len(untold.told)) == (2, 1)


async def test_watching_a_device_ends_when_it_is_deleted(operator: Context) -> None:
    [device] = await crowd(operator.db, 1)
    async with heard(await watching.device(operator, await uuid_of(operator, device))) as told:
        await told.until(lambda _: True)
        async with operator.db.transaction() as conn:
            for table in ("services", "targets"):
                await conn.execute(f"delete from {table} where device_id = $1", device)
            await conn.execute("delete from devices where id = $1", device)
        await told.end()


async def test_who_watches_a_device_twice_is_told_twice(operator: Context) -> None:
    [device] = await crowd(operator.db, 1)
    uuid = await uuid_of(operator, device)
    async with heard(await watching.device(operator, uuid)) as first:
        await first.until(lambda _: True)
        async with heard(await watching.device(operator, uuid)) as second:
            assert await second.until(lambda _: True) == first.values[0]
        await devices.set_labels(operator, uuid, {"site": "north"})
        await first.until(lambda now: now.device.labels == {"site": "north"})


# A rollout's progress


async def test_progress_is_told_at_once_and_whenever_it_changes_and_ends_with_the_rollout(operator: Context) -> None:
    rollout = await a_rollout(operator, 3)
    async with relaying(operator.db, operator.feed), heard(await watching.progress(operator, rollout.id)) as told:
        await finished(operator.db, rollout.id)
        await told.end()

    assert told.values[0].rollout.id == rollout.id
    assert told.values[-1] == await rollouts.snapshot(operator, rollout.id)
    assert told.values[-1].rollout.status == "completed"
    assert told.says_nothing_twice()


async def test_progress_that_no_event_tells_of_is_told_within_two_seconds(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 3, health_check_enabled=True)
    await everybody_says(operator.db, rollout.id, Outcome.RUNNING)
    async with heard(await watching.progress(operator, rollout.id)) as told:
        was = await told.until(lambda _: True)
        clock.advance(hours=1)  # nothing is written, and the soak is over
        assert (await told.until(lambda now: now != was, 2)).rollout == was.rollout


async def test_what_happens_to_another_rollout_is_no_reason_to_count(operator: Context) -> None:
    rollout = await a_rollout(operator, 3)
    async with heard(await watching.progress(operator, rollout.id)) as told:
        await told.until(lambda _: True)
        await everybody_says(operator.db, rollout.id, Outcome.RUNNING)
        operator.feed.bells.ring([RolloutId(404)])
        operator.feed.bells.ring()
        await asyncio.sleep(0.3)
        assert len(told.told) == 1

        operator.feed.bells.ring([rollout.id])
        await told.until(lambda now: len(now.counts) > 1, 0.5)


async def test_what_happened_up_to_the_cursor_of_progress_is_in_it(operator: Context) -> None:
    rollout = await a_rollout(operator, 10)
    async with relaying(operator.db, operator.feed), heard(await watching.progress(operator, rollout.id)) as told:
        await finished(operator.db, rollout.id)
        await told.end()

    happened = await events.page(operator, rollout.id, Cursor(), 1000)
    for one in told.told:
        assert [event for event in happened if event.cursor <= one.cursor and (event.revision or 0) > one.value.rollout.revision] == []
    assert told.told[0].cursor < told.told[-1].cursor


# Counts


async def _so_many(ctx: Context, **wanted: object) -> int:
    return await fleet.count(ctx, DeviceFilter.of(**wanted))  # type: ignore[arg-type]


@pytest.mark.parametrize("wanted", [{}, {"fleet": "hall"}, {"selector": "site=north"}], ids=str)
async def test_the_last_counts_are_what_a_list_says(operator: Context, clock: MovableClock, wanted: dict[str, str]) -> None:
    some = [await uuid_of(operator, device) for device in [*await crowd(operator.db, 5, fleet="hall"), *await crowd(operator.db, 3)]]
    for uuid in some[3:7]:
        await devices.set_labels(operator, uuid, {"site": "north"})
    async with heard(watching.counts(operator, DeviceFilter.of(**wanted))) as told:  # type: ignore[arg-type]
        await told.until(lambda _: True, 0.5)
        await aside.pin(operator, some[3], None)
        await aside.hold(operator, some[4], await at(operator.db) + timedelta(days=1), None)
        await identity.revoke(operator, some[5])
        clock.advance(minutes=9)
        async with operator.db.transaction() as conn:
            await presence.seen(conn, await conn.fetchval("select array_agg(id) from devices where id % 2 = 0"), await at(operator.db))
        expected = {
            "devices": await _so_many(operator, **wanted),
            "online": await _so_many(operator, **wanted, online=True),
            **{is_: await _so_many(operator, **wanted, standing=is_) for is_ in ("waiting", "revoked")},
            **{is_: await _so_many(operator, **wanted, set_aside=is_) for is_ in ("pinned", "held", "quarantined")},
        }
        await told.until(lambda now: {name: getattr(now.counts, name) for name in expected} == expected, 2)
        assert told.says_nothing_twice()


async def test_counts_that_stay_are_not_told_again(operator: Context) -> None:
    await crowd(operator.db, 3)
    async with heard(watching.counts(operator, DeviceFilter())) as told:
        await asyncio.sleep(2.2)
    assert [now.counts.devices for now in told.values] == [3]


# All of them


Streams = list[Callable[[Context], Awaitable[Latest[Any]]]]


@pytest.fixture
async def streams(operator: Context) -> Streams:
    """One of each kind, for whoever asks."""
    rollout = await a_rollout(operator, 2)
    async with operator.db.reading() as conn:
        uuid = str(await conn.fetchval("select uuid from devices limit 1"))

    async def counts(ctx: Context) -> Latest[Any]:
        return watching.counts(ctx, DeviceFilter())

    return [lambda ctx: watching.progress(ctx, rollout.id), lambda ctx: watching.device(ctx, uuid), counts]


async def test_streams_of_the_same_have_the_same_key_whoever_asks(operator: Context, streams: Streams) -> None:
    keys = [(await stream(operator)).key for stream in streams]

    assert keys == [(await stream(replace(operator, actor=Actor.administrator("root")))).key for stream in streams]
    assert len(set(keys)) == 3


async def test_who_may_not_read_watches_nothing(operator: Context, streams: Streams) -> None:
    for stream in streams:
        with pytest.raises(Forbidden):
            await stream(replace(operator, actor=READER))


async def test_what_there_is_not_cannot_be_watched(operator: Context) -> None:
    with pytest.raises(NotFound):
        await watching.progress(operator, RolloutId(404))
    with pytest.raises(NotFound):
        await watching.device(operator, "00000000-0000-4000-8000-000000000404")


async def test_what_closes_the_feed_ends_all_watching(operator: Context, streams: Streams) -> None:
    async with following([await stream(operator) for stream in streams]) as followed:
        operator.feed.close()
        for one in followed:
            await one.end(0.2)
    for stream in streams:
        async with heard(await stream(operator)) as late:
            await late.end(0.2)
            assert late.told == []


@pytest.mark.usefixtures("no_fuse_is_left")
async def test_a_lost_connection_ends_nothing(operator: Context, streams: Streams, database_url: str, clock: MovableClock) -> None:
    async with (
        an_instance(database_url, clock, size=4) as db,
        following([await stream(replace(operator, db=db)) for stream in streams]) as followed,
    ):
        for n in range(1, 4):
            Fuse.left = n
            await asyncio.sleep(0.5)
        Fuse.left = None
        assert [one.is_over for one in followed] == [False] * 3
        clock.advance(minutes=9)  # which makes devices silent, and their deadlines pass
        for one in followed[1:]:
            await one.until(lambda _, one=one: len(one.told) > 1)  # type: ignore[misc]


async def test_in_a_storm_nothing_is_told_twice_and_the_last_is_so(field: Field, watched: DeviceId) -> None:
    ctx, uuid = field.operator, await uuid_of(field.operator, watched)
    rollout = await push(ctx, "nginx:2.0.0")
    async with (
        relaying(ctx.db, ctx.feed),
        heard(await watching.device(ctx, uuid)) as device,
        heard(await watching.progress(ctx, rollout)) as progress,
        heard(watching.counts(ctx, DeviceFilter(online=True))) as counts,
    ):
        for number in range(30):
            await devices.set_labels(ctx, uuid, {"n": str(number % 2)})
            await field.obey([watched])
            await reconcile(ctx.db)
        last = await rollouts.snapshot(ctx, rollout)
        await progress.until(lambda now: now == last)
        await device.until(lambda now: now.device.labels == {"n": "1"} and now.sight.reported_at is not None)
        await counts.until(lambda now: now.counts.online == 1)
        newest = await _seen_now(ctx, watched)
        await device.until(lambda now: now.sight == newest.sight)
    assert device.says_nothing_twice()
    assert progress.says_nothing_twice()
    assert counts.says_nothing_twice()


async def _seen_now(ctx: Context, device: DeviceId) -> Watched:
    async with heard(await watching.device(ctx, await uuid_of(ctx, device))) as told:
        return await told.until(lambda _: True)
