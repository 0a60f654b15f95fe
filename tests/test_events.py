"""Events: one order for everybody, nothing skipped, nothing lost, whatever happens to those who carry them."""

import asyncio
import random
from collections.abc import Awaitable
from contextlib import aclosing, suppress
from dataclasses import replace

import pytest

from domain.errors import BadInput, NotFound
from domain.events import Cursor, Event, EventType
from domain.ids import RolloutId
from monitor.reconciler import reconcile
from monitor.relay import Relay
from resolvers import events as use
from resolvers.context import Context
from resolvers.mailboxes import Mailbox
from storage import events
from storage.database import Database
from storage.migrate import migrate
from tests.factories import a_rollout, everybody_says
from tests.following import relaying, table, watch

ROLLOUT = RolloutId(1)


async def _record(db: Database, rollout: RolloutId, pause: float = 0, fail: bool = False) -> None:
    async with db.transaction() as conn:
        await events.record(conn, EventType.DEVICE_UPDATED, await db.now(conn), rollout=rollout)
        await asyncio.sleep(pause)
        if fail:
            raise _RolledBack
        await events.record(conn, EventType.DEVICE_UPDATED, await db.now(conn), rollout=rollout)


class _RolledBack(Exception):
    pass


async def test_transactions_are_ordered_as_numbers(db: Database) -> None:
    async with db.transaction() as conn:
        for xid in ("100", "9", "99", "10"):
            await conn.execute("insert into events (xid, at, type, data) values ($1::text::xid8, now(), 'image.device_updated', '{}')", xid)

    assert [event.cursor.xid for event in await table(db)] == [9, 10, 99, 100]


async def test_events_restored_from_a_cluster_that_had_counted_further_are_taken_in_when_a_process_starts(
    operator: Context, database_url: str
) -> None:
    rollout = await a_rollout(operator, 3)
    whole = await use.page(operator, rollout.id, Cursor(), 1000)
    async with operator.db.transaction() as conn:
        await conn.execute("update events set xid = (xid::text::bigint + 1000000)::text::xid8")
    assert await use.page(operator, rollout.id, Cursor(), 1000) == []

    await migrate(database_url)

    restored = await use.page(operator, rollout.id, Cursor(), 1000)
    assert [(event.type, event.revision, event.device_uuid) for event in restored] == [
        (event.type, event.revision, event.device_uuid) for event in whole
    ]


async def test_an_event_is_not_shown_while_an_older_transaction_still_runs(db: Database) -> None:
    slow = asyncio.create_task(_record(db, ROLLOUT, pause=0.3))
    await asyncio.sleep(0.1)
    await _record(db, ROLLOUT)

    assert await table(db) == []
    await slow
    assert len(await table(db)) == 4


async def test_every_subscriber_sees_every_event_once_in_one_order_whatever_order_writers_commit_in(operator: Context) -> None:
    rollout = await a_rollout(operator, 1)
    before = len(await use.page(operator, rollout.id, Cursor(), 1000))
    dice = random.Random(1)
    async with relaying(operator.db, operator.feed):
        watchers = [asyncio.create_task(_watch_until(operator, rollout.id, before + 2 * 150)) for _ in range(3)]
        writers = [_quietly(_record(operator.db, rollout.id, dice.random() / 20, fail=number % 4 == 0)) for number in range(200)]
        await asyncio.gather(*writers)
        async with asyncio.timeout(20):
            one, two, three = await asyncio.gather(*watchers)

    table = await use.page(operator, rollout.id, Cursor(), 10_000)
    assert one == two == three == table
    assert len({event.cursor for event in table}) == len(table)


async def _watch_until(operator: Context, rollout: RolloutId, count: int) -> list[Event]:
    seen: list[Event] = []
    async with aclosing(watch(operator, rollout, Cursor())) as happening:
        async for event in happening:
            seen.append(event)
            if len(seen) == count:
                break
    return seen


async def _quietly(writing: Awaitable[None]) -> None:
    with suppress(_RolledBack):
        await writing


async def test_a_listener_that_is_shot_again_and_again_loses_nothing(operator: Context) -> None:
    rollout = await a_rollout(operator, 1)
    before = len(await use.page(operator, rollout.id, Cursor(), 1000))
    async with relaying(operator.db, operator.feed):
        watcher = asyncio.create_task(_watch_until(operator, rollout.id, before + 2 * 60))
        for number in range(60):
            await _record(operator.db, rollout.id)
            if number % 10 == 0:
                async with operator.db.reading() as conn:
                    await conn.execute(
                        "select pg_terminate_backend(pid) from pg_stat_activity"
                        " where application_name = 'rollwave listener' and datname = current_database()"
                    )
            await asyncio.sleep(0.01)
        async with asyncio.timeout(20):
            seen = await watcher

    assert seen == await use.page(operator, rollout.id, Cursor(), 1000)


async def test_an_event_that_another_version_calls_something_new_stops_nobody(operator: Context) -> None:
    rollout = await a_rollout(operator, 1)
    before = len(await use.page(operator, rollout.id, Cursor(), 1000))
    async with relaying(operator.db, operator.feed):
        watcher = asyncio.create_task(_watch_until(operator, rollout.id, before + 3))
        async with operator.db.transaction() as conn:
            await conn.execute(
                "insert into events (at, type, rollout_id, data) values (now(), 'image.something_newer', $1, '{}')", rollout.id
            )
        await _record(operator.db, rollout.id)
        async with asyncio.timeout(10):
            seen = await watcher

    assert [event.type for event in seen[before:]] == ["image.something_newer", EventType.DEVICE_UPDATED, EventType.DEVICE_UPDATED]


async def test_a_relay_that_comes_late_leaves_no_gap(operator: Context) -> None:
    """Whoever subscribes while the listener is still trying to connect has read up to where the relay begins."""
    rollout = await a_rollout(operator, 1)
    before = len(await use.page(operator, rollout.id, Cursor(), 1000))
    relay = await Relay.beginning(operator.db, operator.feed, lambda: None)
    async with operator.feed.running():
        watcher = asyncio.create_task(_watch_until(operator, rollout.id, before + 4))
        await asyncio.sleep(0.3)
        await _record(operator.db, rollout.id)
        running = asyncio.create_task(relay.run())
        await _record(operator.db, rollout.id)
        async with asyncio.timeout(10):
            seen = await watcher
        running.cancel()

    assert seen == await use.page(operator, rollout.id, Cursor(), 1000)


async def test_a_subscriber_that_is_too_slow_reads_the_rest_from_the_table(operator: Context) -> None:
    rollout = await a_rollout(operator, 1)
    before = len(await use.page(operator, rollout.id, Cursor(), 1000))
    seen: list[Event] = []
    async with relaying(operator.db, operator.feed), aclosing(watch(operator, rollout.id, Cursor())) as happening:
        async for event in happening:
            seen.append(event)
            if len(seen) == before:  # about to wait for live events: let far more happen than a mailbox holds
                for _ in range(Mailbox.CAPACITY):
                    await _record(operator.db, rollout.id)
            if len(seen) == before + 2 * Mailbox.CAPACITY:
                break

    assert seen == await use.page(operator, rollout.id, Cursor(), 10_000)


async def test_a_mailbox_never_holds_more_than_it_has_room_for(operator: Context) -> None:
    event = (await use.page(operator, (await a_rollout(operator, 1)).id, Cursor(), 1))[0]
    mailbox = Mailbox(Cursor())
    for number in range(10 * Mailbox.CAPACITY):
        mailbox.put([replace(event, cursor=Cursor(1, number + 1))])

    assert mailbox.overflowed
    assert await mailbox.take() == []


@pytest.mark.parametrize("first", range(1, 14))
async def test_reading_on_from_any_cursor_gives_exactly_the_rest(operator: Context, first: int) -> None:
    rollout = await a_rollout(operator, 30)
    whole = await use.page(operator, rollout.id, Cursor(), 1000)

    head = await use.page(operator, rollout.id, Cursor(), first)
    rest = await use.page(operator, rollout.id, head[-1].cursor, 1000)

    assert head + rest == whole


async def test_a_batch_is_one_row_and_one_event_for_each_of_its_devices(operator: Context) -> None:
    rollout = await a_rollout(operator, 1200)
    await everybody_says_so(operator, rollout.id)
    happened = await use.page(operator, rollout.id, Cursor(), 10_000)
    scheduled = [event for event in happened if event.type == EventType.DEVICE_SCHEDULED]

    async with operator.db.reading() as conn:
        rows = await conn.fetchval("select count(*) from events where type = 'image.device_scheduled'")
    assert rows == 0
    assert len(scheduled) == len({event.device_uuid for event in scheduled}) == 600
    assert [event.cursor for event in happened] == sorted(event.cursor for event in happened)


async def everybody_says_so(operator: Context, rollout: RolloutId) -> None:
    """The first batch runs well, and the second opens."""
    from domain.health import Outcome

    await everybody_says(operator.db, rollout, Outcome.RUNNING)
    await reconcile(operator.db)


async def test_closing_the_feed_ends_every_subscription(operator: Context) -> None:
    rollout = await a_rollout(operator, 1)
    async with relaying(operator.db, operator.feed):
        watcher = asyncio.create_task(_watch_until(operator, rollout.id, 10_000))
        await asyncio.sleep(0.2)
        operator.feed.close()
        async with asyncio.timeout(5):
            assert len(await watcher) > 3


async def test_following_a_rollout_that_does_not_exist_is_refused(operator: Context) -> None:
    with pytest.raises(NotFound):
        await anext(watch(operator, RolloutId(404), Cursor()))


@pytest.mark.parametrize("text", ["", "x", "MTox", "1:1:1:1", "MTotMToxOjE=", "MjoxOjE6MQ==", "\x00", "é" * 5, "A" * 10_000])
def test_what_is_no_cursor_is_refused_in_words(text: str) -> None:
    with pytest.raises(BadInput, match="not a cursor"):
        Cursor.parse(text)


def test_a_cursor_survives_being_written_down() -> None:
    assert Cursor.parse(str(Cursor(2**40, 17, 3))) == Cursor(2**40, 17, 3)
