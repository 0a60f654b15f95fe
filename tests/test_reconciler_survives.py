"""The reconciler against crashes and against itself: every move is made once, whole, or not at all."""

import asyncio
import random
from contextlib import suppress

import pytest

from domain.events import EventType
from domain.health import Outcome
from domain.ids import RolloutId
from domain.statuses import Status
from monitor.reconciler import reconcile
from resolvers.context import Context
from storage import rollouts
from storage.database import Database
from tests.api import eventually
from tests.clock import MovableClock
from tests.factories import a_policy, everybody_says, finished, push, read
from tests.fuses import CUT, Fuse, an_instance, no_fuse_is_left
from tools.crowd import crowd

__all__ = ["no_fuse_is_left"]
pytestmark = pytest.mark.usefixtures("no_fuse_is_left")


async def _whole(db: Database, rollout: RolloutId) -> None:
    """Row, history and events tell the same story: one move and one event for each revision, and the last is the row."""
    now = await read(db, rollout)
    async with db.reading() as conn:
        history = await rollouts.history(conn, rollout)
        told = await conn.fetch(
            "select revision, type from events where rollout_id = $1 and type = any($2) order by revision",
            rollout, [move.event for move in history],
        )  # fmt: skip
    assert [move.revision for move in history] == list(range(1, now.revision + 1))
    assert [(row["revision"], row["type"]) for row in told] == [(move.revision, move.event) for move in history]
    if history:
        last = history[-1]
        assert (last.status, last.stage, last.frontier) == (now.status, now.stage, now.frontier)


async def test_a_tick_cut_before_any_of_its_statements_leaves_the_rollout_whole_and_is_taken_again(
    operator: Context, database_url: str, clock: MovableClock
) -> None:
    await crowd(operator.db, 6)
    await a_policy(operator)
    cuts = 0
    async with an_instance(database_url, clock) as instance:
        for position in range(1, 200):
            rollout = await push(operator, f"nginx:2.{position}.0")
            Fuse.left = position
            with suppress(*CUT):
                await reconcile(instance)
            await _whole(operator.db, rollout)
            if Fuse.left > 0:  # the whole tick had fewer statements
                break
            cuts += 1
            Fuse.left = None
            await eventually(lambda: _frontier_after_a_tick(instance, rollout), 1)  # noqa: B023
    assert cuts > 20
    assert (await finished(operator.db, rollout)).status is Status.COMPLETED
    await _whole(operator.db, rollout)


async def _frontier_after_a_tick(instance: Database, rollout: RolloutId) -> int:
    """A server may take a moment to see that a connection is gone, and to let go of the row."""
    await reconcile(instance)
    return (await read(instance, rollout)).frontier


async def test_ten_instances_with_random_cuts_make_each_move_once(operator: Context, database_url: str, clock: MovableClock) -> None:
    started = []
    for number in range(50):
        await crowd(operator.db, 5, f"acme/app{number}:1.0.0")
        await a_policy(operator, image_pattern=f"acme/app{number}")
        started.append(await push(operator, f"acme/app{number}:2.0.0"))
    stop = asyncio.Event()
    instances = [asyncio.create_task(_race(database_url, clock, stop, seed)) for seed in range(10)]
    async with asyncio.timeout(60):
        while not all([(await read(operator.db, rollout)).status.is_final for rollout in started]):
            for rollout in started:
                await everybody_says(operator.db, rollout, Outcome.RUNNING)
            await asyncio.sleep(0.02)
    stop.set()
    await asyncio.gather(*instances)

    for rollout in started:
        await _whole(operator.db, rollout)
        async with operator.db.reading() as conn:
            events = [move.event for move in await rollouts.history(conn, rollout)]
        assert events.count(EventType.BATCH_STARTED) == 3
        assert events.count(EventType.ROLLOUT_COMPLETED) == 1


async def _race(url: str, clock: MovableClock, stop: asyncio.Event, seed: int) -> None:
    dice = random.Random(seed)
    async with an_instance(url, clock) as db:
        while not stop.is_set():
            if dice.random() < 0.3:
                Fuse.left = dice.randint(1, 30)
            with suppress(*CUT):
                await reconcile(db)
            await asyncio.sleep(dice.random() / 50)


async def test_a_rollout_that_cannot_be_moved_does_not_hold_up_the_others(operator: Context) -> None:
    await crowd(operator.db, 3)
    await crowd(operator.db, 3, "redis:7")
    await a_policy(operator)
    await a_policy(operator, image_pattern="redis")
    broken, sound = await push(operator, "nginx:2.0.0"), await push(operator, "redis:8")
    async with operator.db.transaction() as conn:
        await conn.execute("update rollouts set status = 'in_progress', stage = 0, size = 3 where id = $1", broken)
    await reconcile(operator.db)

    assert (await finished(operator.db, sound)).status is Status.COMPLETED
    assert (await read(operator.db, broken)).revision == 0


async def test_the_history_alone_tells_what_the_row_says(operator: Context) -> None:
    await crowd(operator.db, 10)
    await a_policy(operator)
    good, bad = await push(operator, "nginx:2.0.0"), None
    await finished(operator.db, good)
    bad = await push(operator, "nginx:3.0.0")
    await reconcile(operator.db)
    await finished(operator.db, bad, Outcome.FAILED)

    for rollout in (good, bad):
        now = await read(operator.db, rollout)
        async with operator.db.reading() as conn:
            history = await rollouts.history(conn, rollout)
        assert history[-1].status is now.status
        assert max(move.frontier for move in history) == now.reached
        assert [move.at for move in history if move.event is EventType.ROLLOUT_STARTED] == [now.started_at]
        assert history[-1].at == now.finished_at == now.moved_at
        assert history[-1].reason == now.reason
        await _whole(operator.db, rollout)


async def test_a_move_decided_on_a_rollout_that_moved_on_is_refused_and_writes_nothing(operator: Context) -> None:
    from domain.actors import ENGINE
    from domain.requests import Request, ask
    from resolvers import moves

    await crowd(operator.db, 3)
    await a_policy(operator)
    rollout = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)
    stale = await read(operator.db, rollout)
    await everybody_says(operator.db, rollout, Outcome.RUNNING)
    await reconcile(operator.db)
    before = await read(operator.db, rollout)

    with pytest.raises(rollouts.Moved):
        async with operator.db.transaction() as conn:
            await moves.save(conn, ask(stale, Request.PAUSE, stale.moved_at), ENGINE)

    assert await read(operator.db, rollout) == before
    await _whole(operator.db, rollout)
