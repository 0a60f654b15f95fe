"""Reports are written in sets, and each is answered as if it were alone: what was answered with 200 is there, whatever else goes wrong."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest

from domain.devices import Report
from domain.ids import DeviceId
from resolvers.reports import MOST_WAITING, Reports, Said
from storage import devices as stored
from storage.database import Database
from tests.api import Agent, Api, eventually
from tests.processes import a_process
from tools.crowd import crowd, key_of


async def agents_of(db: Database, api: aiohttp.ClientSession, count: int) -> list[tuple[DeviceId, Agent]]:
    """Devices that were there before the server began, each with its id."""
    new = await crowd(db, count)
    async with db.reading() as conn:
        rows = await conn.fetch("select id, uuid from devices where id = any ($1) order by id", new)
    return [(DeviceId(row["id"]), _agent(api, str(row["uuid"]))) for row in rows]


def _agent(http: aiohttp.ClientSession, uuid: str) -> Agent:
    agent = Agent(http, uuid)
    agent.key = key_of(uuid)
    return agent


async def written(db: Database, device: DeviceId) -> Any:
    """The number that a device said last, as far as it is committed."""
    async with db.reading() as conn:
        state = (await stored.current_states(conn, [device])).get(device)
    return None if state is None else state.info.get("number")


async def says(agent: Agent, number: int) -> tuple[int, str | None]:
    """A device says a number: the status, and when it is to come again."""
    headers = {"X-Device-API-Key": agent.key}
    body = {agent.uuid: {"apps": {}, "version": 1, "number": number}}
    async with agent.http.patch("/api/v1/device/state", json=body, headers=headers) as response:
        return response.status, response.headers.get("retry-after")


async def trip_over(db: Database, number: int) -> None:
    """Have the database refuse whatever says this number."""
    async with db.transaction() as conn:
        await conn.execute(
            f"""
            create function trip() returns trigger language plpgsql as $$ begin raise 'a bug'; end $$;
            create trigger a_bug before insert on current_states for each row
              when (new.info->>'number' = '{number}') execute function trip();
            """
        )


# Through a server


async def test_a_report_that_was_answered_is_committed(api: Api, db: Database) -> None:
    async def report(device: DeviceId, agent: Agent) -> None:
        assert await says(agent, device) == (200, None)
        assert await written(db, device) == device

    await asyncio.gather(*(report(*one) for one in await agents_of(db, api.http, 300)))


async def test_one_that_cannot_be_written_does_not_lose_the_others(api: Api, db: Database) -> None:
    await trip_over(db, 50)
    reporting = await agents_of(db, api.http, 100)

    answers = await asyncio.gather(*(says(agent, number) for number, (_, agent) in enumerate(reporting)))

    assert [status for status, _ in answers] == [200] * 50 + [500] + [200] * 49
    assert [await written(db, device) for device, _ in reporting] == [*range(50), None, *range(51, 100)]
    assert await says(reporting[50][1], 51) == (200, None)


async def test_a_server_that_is_killed_loses_nothing_that_it_answered(database_url: str, db: Database) -> None:
    async with a_process(database_url) as process, aiohttp.ClientSession(process.url) as http:
        reporting = await agents_of(db, http, 100)
        said = dict.fromkeys([device for device, _ in reporting], 0)
        talking = [asyncio.create_task(_keep_saying(said, device, agent)) for device, agent in reporting]
        await eventually(lambda: _at_least(said, 3), True, 30)
        await process.kill()
        await asyncio.gather(*talking)

    for device, number in said.items():
        assert await written(db, device) in (number, number + 1), "the one it was killed over may be there or not"


async def _keep_saying(said: dict[DeviceId, int], device: DeviceId, agent: Agent) -> None:
    """One number after the other, noting what was answered, until nobody answers any more."""
    with suppress(aiohttp.ClientError):
        while True:
            assert await says(agent, said[device] + 1) == (200, None)
            said[device] += 1


async def _at_least(said: dict[DeviceId, int], number: int) -> bool:
    return min(said.values()) >= number


async def test_a_device_that_somebody_else_is_busy_with_waits_and_the_others_go_on(api: Api, db: Database) -> None:
    [(held, waiting), *others] = await agents_of(db, api.http, 30)
    async with db.transaction() as conn:
        await stored.lock(conn, held)
        late = asyncio.create_task(says(waiting, 1))
        for number in range(1, 4):
            answers = await asyncio.gather(*(says(agent, number) for _, agent in others))
            assert answers == [(200, None)] * len(others)
        assert [await written(db, device) for device, _ in others] == [3] * len(others)
        assert (late.done(), await written(db, held)) == (False, None)

    assert (await asyncio.wait_for(late, 20), await written(db, held)) == ((200, None), 1)


async def test_while_nothing_can_be_written_devices_are_told_to_come_again_and_what_was_answered_is_there(api: Api, db: Database) -> None:
    reporting = await agents_of(db, api.http, 40)
    before = await asyncio.gather(*(says(agent, 1) for _, agent in reporting))
    async with db.transaction() as conn:
        await conn.execute("set local idle_in_transaction_session_timeout = 0; lock table current_states in share mode")
        async with asyncio.timeout(60):
            during = await asyncio.gather(*(says(agent, 2) for _, agent in reporting))
        assert {await written(db, device) for device, _ in reporting} == {1}

    assert (set(before), set(during)) == ({(200, None)}, {(503, "5")})
    await eventually(lambda: says(reporting[0][1], 3), (200, None), 60)
    answers = await asyncio.gather(*(says(agent, 4) for _, agent in reporting))
    assert (set(answers), {await written(db, device) for device, _ in reporting}) == ({(200, None)}, {4})


# Through the use case


@asynccontextmanager
async def heard(db: Database) -> AsyncIterator[Reports]:
    """The reports of one process."""
    reports = Reports(db)
    async with reports.running():
        yield reports


def saying(reports: Reports, device: DeviceId, *numbers: int) -> list[asyncio.Task[None]]:
    """A device says these numbers, without waiting for an answer."""
    said = [Said.by(device, f"device {device}", Report({}, 1, {"number": number})) for number in numbers]
    return [asyncio.create_task(reports.keep(one)) for one in said]


async def test_of_what_a_device_says_at_once_the_last_stays(db: Database) -> None:
    crowded = await crowd(db, 20)
    async with heard(db) as reports:
        for first in range(1, 40, 4):
            await asyncio.gather(*(task for device in crowded for task in saying(reports, device, *range(first, first + 4))))
            assert {await written(db, device) for device in crowded} == {first + 3}


async def test_what_a_device_says_while_somebody_else_is_busy_with_it_is_written_in_its_order(db: Database) -> None:
    crowded, dice = await crowd(db, 20), random.Random(1)
    async with heard(db) as reports:
        for last in range(5, 55, 5):
            tasks: list[asyncio.Task[None]] = []
            async with db.transaction() as conn:
                await stored.lock_free(conn, crowded)
                for number in range(last - 4, last + 1):
                    for device in crowded:
                        tasks += saying(reports, device, number)
                        await asyncio.sleep(dice.random() * 0.002)
            await asyncio.gather(*tasks)
            assert [await written(db, device) for device in crowded] == [last] * len(crowded)


async def test_there_is_room_for_so_many_reports_and_each_that_was_let_in_is_written(db: Database) -> None:
    crowded = await crowd(db, MOST_WAITING + 50)
    async with heard(db) as reports:
        async with db.transaction() as conn:
            await conn.execute("lock table current_states in share mode")
            tasks = [task for device in crowded for task in saying(reports, device, device)]
            answers = await _all_but(tasks, MOST_WAITING)
            assert [type(answer) for answer in answers] == [TimeoutError] * 50
        await asyncio.gather(*tasks[:MOST_WAITING])

    async with db.reading() as conn:
        rows = await conn.fetch("select device_id, (info->>'number')::bigint as number from current_states order by 1")
    assert [(row["device_id"], row["number"]) for row in rows] == [(device, device) for device in crowded[:MOST_WAITING]]


async def _all_but(tasks: Sequence[asyncio.Task[None]], left: int) -> list[BaseException | None]:
    """What those are answered that come after so many."""
    return await asyncio.wait_for(asyncio.gather(*tasks[left:], return_exceptions=True), 10)


async def test_a_report_that_was_given_up_is_not_written_after_a_newer_one(db: Database) -> None:
    [device] = await crowd(db, 1)
    async with heard(db) as reports:
        async with db.transaction() as conn:
            await stored.lock(conn, device)
            [given_up] = saying(reports, device, 1)
            await asyncio.sleep(0.05)
            given_up.cancel()
            await asyncio.sleep(0.05)
        await asyncio.gather(*saying(reports, device, 2))
        await asyncio.sleep(0.1)

        assert await written(db, device) == 2


@pytest.mark.parametrize("count", [1, 200, 450])
async def test_nobody_waits_for_others_to_come(db: Database, count: int) -> None:
    crowded = await crowd(db, count)
    async with heard(db) as reports, asyncio.timeout(20):
        await asyncio.gather(*(task for device in crowded for task in saying(reports, device, 7)))
    assert {await written(db, device) for device in crowded} == {7}
