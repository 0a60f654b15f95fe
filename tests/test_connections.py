"""The connections of the pool, whatever becomes of those who had one before."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from storage.database import Database


@pytest.fixture
async def one(database_url: str) -> AsyncIterator[Database]:
    """A pool of one connection, so that the next has the one that somebody had before."""
    async with Database.connect(database_url, size=1) as database:
        yield database


async def _cut_off(db: Database, number: int) -> None:
    """Ask something that was not asked before, and go away a little later each time: within its first millisecond, mostly."""

    async def ask() -> None:
        async with db.reading() as conn:
            await conn.fetch(f"select {number}, $1::int", number)

    asking = asyncio.create_task(ask())
    for _ in range(number % 40):
        await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait([asking])


async def test_whoever_is_cut_off_leaves_no_transaction_to_the_next(one: Database) -> None:
    for number in range(80):
        await _cut_off(one, number)
        async with one.snapshot() as conn:
            assert await conn.fetchval("select 1") == 1


async def test_a_transaction_after_one_that_was_cut_off_has_the_time_it_began(one: Database) -> None:
    for number in range(40):
        await _cut_off(one, number)
        await asyncio.sleep(0.02)
        async with one.transaction() as conn:
            age = await conn.fetchval("select clock_timestamp() - now()")
        assert age < timedelta(seconds=0.015)


async def test_a_statement_that_took_too_long_leaves_no_transaction_to_the_next(one: Database) -> None:
    for number in range(80):
        with pytest.raises(TimeoutError):
            async with one.reading() as conn, asyncio.timeout(number / 1e5):
                await conn.fetch(f"select {number}, $1::int, pg_sleep(0.1)", number)
        async with one.snapshot() as conn:
            assert await conn.fetchval("select 1") == 1


async def test_the_connections_of_those_who_were_cut_off_are_replaced(database_url: str) -> None:
    async with Database.connect(database_url, size=3) as db:
        await asyncio.gather(*(_cut_off(db, number) for number in range(200)))
        async with asyncio.timeout(5), db.reading() as first, db.reading() as second, db.reading() as third:
            assert [await conn.fetchval("select 1") for conn in (first, second, third)] == [1, 1, 1]


@pytest.mark.parametrize("code", ["57014", "55P03", "25P03"], ids=["canceled", "locked", "idle"])
async def test_what_the_database_gives_up_may_go_through_a_moment_later(db: Database, code: str) -> None:
    with pytest.raises(Database.unavailable):
        async with db.reading() as conn:
            await conn.execute(f"do $$ begin raise exception 'given up' using errcode = '{code}'; end $$")
