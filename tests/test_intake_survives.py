"""What was promised with a 202 is decided, once, whatever dies in between."""

import asyncio
import random
from contextlib import suppress
from dataclasses import replace

import pytest
from aiohttp import web

from domain.endpoints import Sender
from domain.images import Image
from domain.pushes import Push
from monitor.intake import LEASE, take_in
from resolvers import tokens
from resolvers.context import Context
from storage import deliveries, pushes
from storage.database import Database
from tests.api import Api, eventually, everything, flat
from tests.clock import MovableClock
from tests.conftest import SECRET
from tests.factories import a_policy
from tests.fuses import CUT, Fuse, an_instance, no_fuse_is_left
from tests.processes import a_process
from tests.registry import LittleRegistry, registry
from tools.crowd import crowd

__all__ = ["no_fuse_is_left"]
pytestmark = pytest.mark.usefixtures("no_fuse_is_left")


async def a_push(operator: Context, image: str) -> Push:
    """A delivery that tells of one image."""
    async with operator.db.transaction() as conn:
        now = await operator.db.now(conn)
        delivery, _ = await deliveries.keep(conn, None, Sender.GENERIC, image, {}, b"{}", now)
        await pushes.insert(conn, Sender.GENERIC, [Image.parse(image)], now, delivery)
        [push] = await pushes.of_delivery(conn, delivery)
    return push


async def now_of(operator: Context, push: Push) -> Push:
    async with operator.db.reading() as conn:
        found = await pushes.one(conn, push.id)
    assert found is not None
    return found


async def is_whole(operator: Context, push: Push) -> bool:
    """Whether it is decided; all of that is there, once, or nothing."""
    async with operator.db.snapshot() as conn:
        seen = await conn.fetchrow(TRACES, push.id, str(push.image))
    assert seen is not None
    is_decided, *traces = seen
    assert traces == [int(is_decided)] * 4
    return bool(is_decided)


TRACES = """
    select due_at is null,
           (select count(*) from decisions where push_id = $1 and started),
           (select count(*) from rollouts where image = $2),
           (select count(*) from events where type = 'image.webhook_received' and data->>'image' = $2),
           (select count(*) from events where type = 'image.rollout_created' and data->>'image' = $2)
      from pushes where id = $1
"""


# Cut


async def test_an_intake_cut_before_any_of_its_statements_decides_all_or_nothing_and_later_all(
    operator: Context, database_url: str, clock: MovableClock
) -> None:
    await crowd(operator.db, 3)
    await a_policy(operator)
    undecided = 0
    async with an_instance(database_url, clock, 4) as instance:
        for position in range(1, 200):
            push = await a_push(operator, f"nginx:2.{position}.0")
            Fuse.left = position
            with suppress(*CUT):
                await take_in(replace(operator, db=instance))
            was_cut = Fuse.left <= 0
            Fuse.left = None
            undecided += not await is_whole(operator, push)
            await eventually(lambda: _decided_after_the_lease(operator, instance, clock, push), True)  # noqa: B023
            if not was_cut:
                break
    assert undecided > 20


async def _decided_after_the_lease(operator: Context, instance: Database, clock: MovableClock, push: Push) -> bool:
    clock.advance(seconds=LEASE.total_seconds() + 1)
    await take_in(replace(operator, db=instance))
    return await is_whole(operator, push)


async def test_ten_instances_with_random_cuts_decide_each_push_once(operator: Context, database_url: str, clock: MovableClock) -> None:
    for number in range(50):
        await crowd(operator.db, 2, f"acme/app{number}:1.0.0")
        await a_policy(operator, image_pattern=f"acme/app{number}")
    told = [await a_push(operator, f"acme/app{number}:2.0.0") for number in range(50)]
    stop, before = asyncio.Event(), Fuse.cuts
    tasks = [asyncio.create_task(_race(operator, database_url, clock, stop, seed)) for seed in range(10)]
    tasks.append(asyncio.create_task(_cut(stop, 40)))
    try:
        async with asyncio.timeout(60):
            left = [*told]
            while left := [push for push in left if not await is_whole(operator, push)]:
                # One that was cut off often is put off for minutes.
                clock.advance(seconds=30)
                await asyncio.sleep(0.05)
    finally:
        stop.set()
        await asyncio.gather(*tasks)

    assert all([await is_whole(operator, push) for push in told])
    assert len((await everything(operator.db))["decisions"]) == 50
    assert Fuse.cuts - before > 10, "it was hardly tried"


async def _race(operator: Context, url: str, clock: MovableClock, stop: asyncio.Event, seed: int) -> None:
    dice = random.Random(seed)
    async with an_instance(url, clock) as db:
        while not stop.is_set():
            with suppress(*CUT):
                await take_in(replace(operator, db=db))
            await asyncio.sleep(dice.random() / 50)


async def _cut(stop: asyncio.Event, times: int) -> None:
    """Cut whoever happens to be about the n-th statement, so many times."""
    dice = random.Random(0)
    for _ in range(times):
        Fuse.left = dice.randint(1, 20)
        while Fuse.left > 0 and not stop.is_set():
            await asyncio.sleep(0.002)
    Fuse.left = None


async def test_ten_instances_at_once_decide_about_the_tags_of_one_repository_once_each(
    operator: Context, database_url: str, clock: MovableClock
) -> None:
    await crowd(operator.db, 3)
    await a_policy(operator)
    told = [await a_push(operator, f"nginx:2.{number}.0") for number in range(50)]

    async with an_instance(database_url, clock) as one, an_instance(database_url, clock) as two:
        await asyncio.gather(*(take_in(replace(operator, db=db)) for db in (one, two) for _ in range(5)))

    tables = await everything(operator.db)
    assert sorted(row[1] for row in tables["decisions"]) == [push.id for push in told]
    assert {(await now_of(operator, push)).due_at for push in told} == {None}
    async with operator.db.reading() as conn:
        assert await conn.fetchval("select count(*) from rollouts where status not in ('superseded')") == 1
        assert await conn.fetchval("select image from rollouts order by id desc limit 1") == "nginx:2.49.0"


# A bug


async def test_a_push_that_trips_over_a_bug_is_put_off_and_the_others_go_on(operator: Context, clock: MovableClock) -> None:
    await crowd(operator.db, 3)
    await a_policy(operator)
    await trip_over(operator.db, "%:2.1.0")
    tripping, others = await a_push(operator, "nginx:2.1.0"), [await a_push(operator, f"nginx:2.{number}.0") for number in range(2, 8)]

    await take_in(operator)

    assert {(await now_of(operator, push)).due_at for push in others} == {None}
    for attempts, seconds in enumerate((5, 10, 20), 1):
        put_off = await now_of(operator, tripping)
        assert (put_off.attempts, put_off.waits_for) == (attempts, "something went wrong here; the server's log says what")
        clock.advance(seconds=seconds - 1)
        await take_in(operator)
        assert (await now_of(operator, tripping)).attempts == attempts
        clock.advance(seconds=2)
        await take_in(operator)
    assert not await is_whole(operator, tripping)

    async with operator.db.transaction() as conn:
        await conn.execute("drop trigger a_bug on decisions")
    clock.advance(hours=1)
    await take_in(operator)
    assert (await now_of(operator, tripping)).due_at is None


async def trip_over(db: Database, images: str) -> None:
    """Have the database refuse what is decided about these images."""
    async with db.transaction() as conn:
        await conn.execute(
            f"""
            create function trip() returns trigger language plpgsql as $$ begin raise 'a bug'; end $$;
            create trigger a_bug before insert on decisions for each row when (new.image like '{images}') execute function trip();
            """
        )


# Killed


async def hang(_: web.Request) -> web.StreamResponse | None:
    await asyncio.Event().wait()
    return None


async def pushed_to(api: Api, little: LittleRegistry) -> str:
    """A registry tells of a moving tag whose digest has to be asked for; which delivery that is."""
    await api.change("setRegistry", host=little.host, plainHttp=True)
    await api.devices(f"{little.host}/acme/app:latest")
    await api.policy(imagePattern="**")
    status, answer = await api.webhook({"image": f"{little.host}/acme/app", "tag": "latest"})
    assert status == 202
    return str(answer["delivery_id"])


async def test_a_server_killed_after_its_202_decides_once_it_is_back_and_the_lease_is_over(database_url: str, db: Database) -> None:
    async with registry() as little, a_process(database_url) as process:
        digest = little.push("acme/app", "latest")
        little.interrupt = hang
        async with Api.at(process.url, await tokens.issue(db, "ops"), SECRET) as api:
            delivery = await pushed_to(api, little)
            await eventually(lambda: is_asked(little), True)
            await process.kill()
            little.interrupt = None
            await process.start()
            [waiting] = (await api.delivery(delivery))["pushes"]
            assert (waiting["dueAt"] is None, waiting["decisions"]) == (False, [])

            await end_leases(db)

            [decision] = await api.decided(delivery)
    assert (decision["image"], decision["sentence"]) == (f"{little.host}/acme/app:latest@{digest}", "started rollout 1")


async def is_asked(little: LittleRegistry) -> bool:
    return bool(little.asked("manifests/latest"))


async def end_leases(db: Database) -> None:
    """What a minute would do."""
    async with db.transaction() as conn:
        leased: int = await conn.fetchval("select count(*) from pushes where leased_until between now() and now() + $1::interval", LEASE)
        assert leased == 1
        await conn.execute("update pushes set leased_until = now()")


async def test_what_was_promised_by_a_server_that_is_killed_at_once_is_decided_by_the_next(database_url: str, db: Database) -> None:
    async with a_process(database_url) as process, Api.at(process.url, await tokens.issue(db, "ops"), SECRET) as api:
        await api.devices("nginx:1.0")
        await api.policy()
        promised = await asyncio.gather(*(api.webhook({"image": "nginx", "tag": f"1.{number}"}) for number in range(1, 31)))
        await process.kill()
        async with db.transaction() as conn:
            await conn.execute("update pushes set leased_until = now() where leased_until is not null")
        await process.start()

        for status, answer in promised:
            assert status == 202
            assert len(await api.decided(answer["delivery_id"])) == 1
        answer = flat(await api.graphql("{ rollouts(first: 100) { nodes { image { reference } status } } }"))
    nodes = answer["rollouts"]["nodes"]
    assert nodes[0]["image"] == "nginx:1.30"
    assert [node["status"] == "SUPERSEDED" for node in nodes[1:]] == [True] * (len(nodes) - 1)
