"""A database that was filled under an earlier layout goes on under the newest."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pogo_core.util import migrate as pogo

from domain.actors import Actor
from domain.ids import DeviceId, PolicyId, RolloutId
from domain.requests import Request
from domain.statuses import DeviceStatus, Status
from monitor.janitor import tidy
from monitor.reconciler import reconcile
from resolvers import policies, rollouts
from resolvers.context import Context
from resolvers.feed import Feed
from storage.database import Database
from storage.migrate import MIGRATIONS, migrate
from tests.api import eventually
from tests.clock import MovableClock
from tests.factories import push
from tests.field import Field

DONE, UNDER_WAY = RolloutId(1), RolloutId(2)
_numbers = count(1)

# Ten devices with nginx and redis. Redis 7 has reached them all and runs; nginx 2 is in the second of three batches.
FILLED = """
    insert into policies (image_pattern, update_strategy, fleet, staged_batches, batch_delay_minutes, health_check_enabled, soak_minutes,
                          pickup_minutes, deadline_minutes, auto_rollback_enabled, max_failure_rate, min_outcomes, enabled,
                          created_at, updated_at)
    select pattern, 'staged', null, 3, 0.5, true, 1, 15, 30, true, 0.2, 5, true, now(), now()
      from unnest(array['redis*', 'nginx*']) as pattern;
    insert into releases (policy_id, repository, identity, first_seen_at) values
        (1, 'docker.io/library/redis', '7', now()), (2, 'docker.io/library/nginx', '2.0.0', now());
    insert into devices (uuid, name, type, key_hash, created_at, last_seen_at)
    select gen_random_uuid(), 'device ' || n, 'pi4', '', now(), now() from generate_series(1, 10) as n;
    insert into targets (device_id, apps, config, version, updated_at)
    select id, '{"1001": {"appId": 1001, "services": [{"serviceName": "web", "config": {}}, {"serviceName": "cache", "config": {}}]}}',
           '{}', 3, now() from devices;
    insert into services (device_id, app, service, repository, image)
    select id, '1001', 'web', 'docker.io/library/nginx', 'docker.io/library/nginx:1.0.0' from devices union all
    select id, '1001', 'cache', 'docker.io/library/redis', 'docker.io/library/redis:6' from devices;
    insert into rollouts (policy_id, release_id, repository, image, except_fleets, shares, delay, soak, pickup, deadline,
                          max_failure_rate, min_outcomes, health_check_enabled, auto_rollback_enabled, starts_by_itself, by_hand, status,
                          stages, stage, size, frontier, reached, revision, frontier_at, settled_at, created_at, moved_at, started_at,
                          finished_at) values
        (1, 1, 'docker.io/library/redis', 'docker.io/library/redis:7', '{}', '{10,50,100}', '30 s', '1 min', '15 min', '30 min',
         0.2, 5, true, true, true, false, 'completed', '{1,5,10}', 2, 10, 10, 10, 9, now() - interval '2 h', now() - interval '1 h',
         now() - interval '3 h', now() - interval '1 h', now() - interval '3 h', now() - interval '1 h'),
        (2, 2, 'docker.io/library/nginx', 'docker.io/library/nginx:2.0.0', '{}', '{10,50,100}', '30 s', '1 min', '15 min', '30 min',
         0.2, 5, true, true, true, false, 'in_progress', '{1,5,10}', 1, 10, 5, 5, 5, now() - interval '1 min', null,
         now() - interval '1 h', now() - interval '1 min', now() - interval '1 h', null);
    insert into moves (rollout_id, revision, at, event, actor, status, stage, frontier) values
        (1, 1, now() - interval '180 min', 'image.rollout_enrolled', 'rollwave', 'pending', -1, 0),
        (1, 2, now() - interval '179 min', 'image.rollout_started', 'rollwave', 'in_progress', -1, 0),
        (1, 3, now() - interval '178 min', 'image.batch_started', 'rollwave', 'in_progress', 0, 1),
        (1, 4, now() - interval '170 min', 'image.batch_completed', 'rollwave', 'in_progress', 0, 1),
        (1, 5, now() - interval '160 min', 'image.batch_started', 'rollwave', 'in_progress', 1, 5),
        (1, 6, now() - interval '150 min', 'image.batch_completed', 'rollwave', 'in_progress', 1, 5),
        (1, 7, now() - interval '120 min', 'image.batch_started', 'rollwave', 'in_progress', 2, 10),
        (1, 8, now() - interval '60 min', 'image.batch_completed', 'rollwave', 'in_progress', 2, 10),
        (1, 9, now() - interval '60 min', 'image.rollout_completed', 'rollwave', 'completed', 2, 10),
        (2, 1, now() - interval '60 min', 'image.rollout_enrolled', 'rollwave', 'pending', -1, 0),
        (2, 2, now() - interval '59 min', 'image.rollout_started', 'rollwave', 'in_progress', -1, 0),
        (2, 3, now() - interval '58 min', 'image.batch_started', 'rollwave', 'in_progress', 0, 1),
        (2, 4, now() - interval '2 min', 'image.batch_completed', 'rollwave', 'in_progress', 0, 1),
        (2, 5, now() - interval '1 min', 'image.batch_started', 'rollwave', 'in_progress', 1, 5);
    insert into members (rollout_id, rank, device_id, repository, taken_at, outcome, outcome_at)
    select 1, id - 1, id, 'docker.io/library/redis', now() - interval '2 h', 'running', now() - interval '2 h' from devices;
    insert into members (rollout_id, rank, device_id, repository) select 2, id - 1, id, 'docker.io/library/nginx' from devices;
    update members set taken_at = now() - interval '50 min', outcome = 'running', outcome_at = now() - interval '50 min'
     where rollout_id = 2 and rank = 0;
    update members set taken_at = now() - interval '30 s' where rollout_id = 2 and rank = 1;
"""
# Silent devices of the first batch were replaced until it held more than the second was to.
RAN_AHEAD = """
    update rollouts set stage = 2, frontier = 10, reached = 10 where id = 2;
    update moves set frontier = 6 where rollout_id = 2 and revision = 3;
    update moves set stage = 2, frontier = 10 where rollout_id = 2 and revision = 5;
"""


@pytest.fixture
async def old(cluster: str, tmp_path: Path) -> AsyncIterator[str]:
    """A database under the first layout."""
    name = f"rollwave_old_{next(_numbers)}"
    head, _, query = cluster.partition("?")
    url = f"{head.rpartition('/')[0]}/{name}" + (f"?{query}" if query else "")
    server = await asyncpg.connect(cluster)
    await server.execute(f"create database {name}")
    shutil.copy(MIGRATIONS / "0001_rollouts.sql", tmp_path)
    conn = await asyncpg.connect(url)
    await pogo.apply(conn, tmp_path, schema_name="public")
    await conn.close()
    yield url
    await server.execute(f"drop database {name} with (force)")
    await server.close()


async def _filled(url: str, *more: str) -> dict[int, tuple[Any, ...]]:
    """Fill it; returns what each device is told."""
    conn = await asyncpg.connect(url)
    for statements in (FILLED, *more):
        await conn.execute(statements)
    told = await _told(conn)
    await conn.close()
    return told


async def _told(conn: "asyncpg.Connection[asyncpg.Record]") -> dict[int, tuple[Any, ...]]:
    rows = await conn.fetch("select device_id, version, images::text, has_untaken_offer from device_target_state")
    return {row["device_id"]: tuple(row) for row in rows}


async def _told_now(url: str) -> dict[int, tuple[Any, ...]]:
    conn = await asyncpg.connect(url)
    told = await _told(conn)
    await conn.close()
    return told


async def test_nobody_notices_that_the_layout_changed_and_a_rollout_under_way_ends_as_it_would_have(old: str) -> None:
    told = await _filled(old)
    await migrate(old)
    assert await _told_now(old) == told

    clock = MovableClock()
    async with Database.connect(old, clock=clock) as db:
        field = Field(Context(db, Feed(), Actor.operator("ops")), clock)
        numbers = [member.batch_number for member in await rollouts.devices(field.operator, UNDER_WAY, -1, 100)]
        assert numbers == [1, *[2] * 4, *[None] * 5]
        assert await field.statuses(UNDER_WAY) == [
            DeviceStatus.HEALTHY, DeviceStatus.UPDATING, *[DeviceStatus.SCHEDULED] * 3, *[DeviceStatus.PENDING] * 5,
        ]  # fmt: skip
        frontiers = set()
        while not (now := await field.read(UNDER_WAY)).status.is_final:
            frontiers.add(now.frontier)
            await field.obey([DeviceId(number) for number in range(1, 11)])
            await field.later(seconds=40)

        assert (now.status, frontiers, now.ends) == (Status.COMPLETED, {5, 10}, (1, 5))


async def test_a_batch_that_was_skipped_keeps_its_number(old: str) -> None:
    await _filled(old, RAN_AHEAD)
    await migrate(old)

    async with Database.connect(old) as db:
        field = Field(Context(db, Feed(), Actor.operator("ops")), MovableClock())
        numbers = [member.batch_number for member in await rollouts.devices(field.operator, UNDER_WAY, -1, 100)]
        assert (numbers, (await field.read(UNDER_WAY)).ends) == ([1] * 6 + [3] * 4, (6, 6))


async def test_what_had_completed_can_be_taken_back_and_is_folded_after_a_month(old: str) -> None:
    told = await _filled(old)
    await migrate(old)

    clock = MovableClock()
    async with Database.connect(old, clock=clock) as db:
        field = Field(Context(db, Feed(), Actor.operator("ops")), clock)
        assert await tidy(db) == 0
        assert await _told_now(old) == told
        await rollouts.request(field.operator, DONE, Request.ROLL_BACK)
        assert all('"docker.io/library/redis:6"' in images for _, _, images, _ in (await _told_now(old)).values())
        clock.advance(hours=1)
        await reconcile(db)
        back = await _told_now(old)
        assert (await field.read(DONE)).status is Status.ROLLED_BACK
        assert await tidy(db) == 10
        assert await _told_now(old) == back


async def test_policies_say_what_they_said_and_the_next_push_is_acted_on(old: str) -> None:
    await _filled(old)
    await migrate(old)

    clock = MovableClock()
    async with Database.connect(old, clock=clock) as db:
        field = Field(Context(db, Feed(), Actor.operator("ops")), clock)
        [redis, nginx] = [policy.settings for policy in await policies.page(field.operator, PolicyId(0), 10)]
        assert (redis.image_pattern, nginx.image_pattern) == ("redis*", "nginx*")
        assert (nginx.staged_batches, nginx.batch_delay_minutes, nginx.max_failure_rate, nginx.retries.failed) == (3, 0.5, 0.2, 0)
        rollout = await push(field.operator, "nginx:3.0.0")
        await reconcile(db)
        now = await field.read(rollout)
        assert (now.status, now.size, (await field.read(UNDER_WAY)).status) == (Status.IN_PROGRESS, 10, Status.SUPERSEDED)
        await field.histories_give_the_rows()


async def test_whoever_reads_for_long_while_the_layout_changes_keeps_nobody_from_writing(old: str) -> None:
    reader, writer = await asyncpg.connect(old), await asyncpg.connect(old)
    async with reader.transaction():
        await reader.execute("lock table events in access share mode")
        migrating = asyncio.create_task(migrate(old))
        await eventually(lambda: _waits(writer), True)

        await asyncio.wait_for(writer.execute("insert into events (at, type, data) values (now(), 'image.device_updated', '{}')"), 4)
        assert not migrating.done()
    async with asyncio.timeout(10):
        await migrating
    assert await writer.fetchval("select count(*) from events where delivery_id is null") == 1
    for conn in (reader, writer):
        await conn.close()


async def _waits(conn: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Whether somebody waits for the table of events."""
    waits: bool = await conn.fetchval("select exists (select from pg_locks where not granted and relation = 'events'::regclass)")
    return waits
