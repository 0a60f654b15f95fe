"""Events are kept for thirty days: what is forgotten then is where they begin, and who comes from before that is told so."""

import random
from datetime import timedelta

import pytest

from domain.errors import CursorExpired
from domain.events import Cursor, EventFilter, EventType
from monitor import janitor
from monitor.janitor import KEPT, tidy
from resolvers import events as use
from resolvers.context import Context
from storage import events
from storage.database import Database
from storage.migrate import migrate
from tests.clock import MovableClock
from tests.factories import a_rollout
from tests.following import replay, table

EVERYTHING = EventFilter(types=tuple(EventType))
DAY = timedelta(days=1)


async def _happen(db: Database, *ages: timedelta) -> list[Cursor]:
    """Events that are so old, each in a transaction of its own; where they are."""
    for age in ages:
        async with db.transaction() as conn:
            await events.record(conn, EventType.DEVICE_ONLINE, await db.now(conn) - age)
    return [event.cursor for event in await table(db)]


async def _oldest(ctx: Context) -> Cursor:
    async with ctx.db.reading() as conn:
        kept = await events.kept(conn)
    assert kept
    return kept.forgotten


async def _is_expired(ctx: Context, after: Cursor) -> bool:
    try:
        await use.stream(ctx, EVERYTHING, after)
    except CursorExpired as expired:
        return expired.oldest == await _oldest(ctx)
    return False


@pytest.mark.parametrize("seed", range(3))
async def test_what_is_forgotten_is_exactly_what_lies_before_the_first_that_is_not_old(
    operator: Context, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(janitor, "CHUNK", 3)
    dice = random.Random(seed)
    ages = [KEPT + DAY] * dice.randrange(8) + dice.choices([KEPT + DAY, KEPT - DAY], k=5)
    places = await _happen(operator.db, *ages)
    young = next((number for number, age in enumerate(ages) if age < KEPT), len(ages))

    for _ in ages:
        await tidy(operator.db)

    assert [event.cursor for event in await table(operator.db)] == places[young:]
    assert await _oldest(operator) == (places[young - 1] if young else Cursor())


async def test_a_cursor_from_before_what_is_kept_is_refused_and_any_other_goes_on(operator: Context) -> None:
    places = await _happen(operator.db, *[KEPT + DAY] * 3, *[KEPT - DAY] * 2)
    await tidy(operator.db)

    assert [await _is_expired(operator, place) for place in places] == [True, True, False, False, False]
    assert not await _is_expired(operator, Cursor())
    assert [event.cursor for event in await replay(operator, EVERYTHING, places[2])] == places[3:]
    assert [event.cursor for event in await replay(operator, EVERYTHING, Cursor())] == places[3:]


async def test_who_was_told_a_part_of_a_batch_that_is_forgotten_is_told_that_there_was_more(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 30)
    told = await replay(operator, EventFilter(rollout=rollout.id), Cursor())
    assert [event.type for event in told[-2:]] == [EventType.DEVICE_SCHEDULED] * 2
    clock.advance(days=31)
    async with operator.db.unheard() as conn:
        await events.forget(conn, await operator.db.now(conn), KEPT, 5000)

    assert await table(operator.db) == []
    assert await _is_expired(operator, told[-2].cursor)
    assert not await _is_expired(operator, told[-1].cursor)
    assert not await _is_expired(operator, told[-1].cursor.past)


async def test_a_cursor_of_what_has_not_happened_yet_is_refused(operator: Context) -> None:
    [place] = await _happen(operator.db, DAY)

    assert await _is_expired(operator, Cursor(place.xid + 1000))
    assert await _is_expired(operator, Cursor(2**63 - 1, 2**63 - 1, 2**63 - 1))
    assert not await _is_expired(operator, operator.feed.position)


async def test_where_the_order_stands_by_now_is_never_refused(operator: Context) -> None:
    async with operator.db.reading() as conn:
        horizon = await events.horizon(conn)

    assert not await _is_expired(operator, horizon)


async def test_who_reads_slower_than_events_are_forgotten_is_told_so(operator: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resolvers.replaying.PAGE", 2)
    await _happen(operator.db, *[KEPT - DAY] * 3, *[KEPT + DAY] * 3)
    stream = await use.stream(operator, EVERYTHING, Cursor(1))
    reading = stream.replay(stream.after)
    first = await anext(reading)

    async with operator.db.unheard() as conn:
        await events.forget(conn, await operator.db.now(conn), timedelta(days=1), 5)

    with pytest.raises(CursorExpired, match="forgotten"):
        [told async for told in reading]
    await reading.aclose()
    assert await _is_expired(operator, first.cursor)


async def test_an_event_that_is_not_settled_is_not_forgotten_nor_what_comes_after_it(operator: Context) -> None:
    async with operator.db.transaction() as slow:
        await events.record(slow, EventType.DEVICE_ONLINE, await operator.db.now(slow) - 2 * KEPT)
        await _happen(operator.db, KEPT + DAY)
        await tidy(operator.db)
        assert await operator_count(operator) == 1

    await tidy(operator.db)
    assert await operator_count(operator) == 0


async def operator_count(operator: Context) -> int:
    """How many events there are that others can see, settled or not."""
    async with operator.db.reading() as conn:
        found: int = await conn.fetchval("select count(*) from events")
    return found


async def test_what_was_forgotten_in_a_cluster_that_had_counted_further_stays_forgotten_here(operator: Context, database_url: str) -> None:
    places = await _happen(operator.db, *[KEPT + DAY] * 2, *[KEPT - DAY] * 2)
    await tidy(operator.db)
    async with operator.db.transaction() as conn:
        for name in ("events", "forgotten_events"):
            await conn.execute(f"update {name} set xid = (xid::text::bigint + 1000000)::text::xid8")

    await migrate(database_url)

    [one, two] = await table(operator.db)
    assert await _is_expired(operator, places[0])
    assert [event.cursor for event in await replay(operator, EVERYTHING, await _oldest(operator))] == [one.cursor, two.cursor]
    assert not await _is_expired(operator, one.cursor)
