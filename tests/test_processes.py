"""Whole processes: one that is killed in the middle, and two on one database."""

import asyncio
import uuid
from typing import Any

from domain.events import EventType
from domain.ids import RolloutId
from resolvers import tokens
from schema.nodes import node_id
from storage import rollouts
from storage.database import Database
from tests.api import Agent, Api, eventually, web
from tests.conftest import SECRET
from tests.processes import a_process

# A few milliseconds for every delay: this story is about processes, and its clocks are real.
QUICK = {"updateStrategy": "STAGED", "batchDelayMinutes": 0.005, "soakMinutes": 0.002, "pickupMinutes": 0.5, "healthCheckEnabled": True}
ROLLOUT = node_id("Rollout", 1)
FOLLOW = "subscription ($id: ID!, $after: String) { rolloutEvents(id: $id, after: $after) { cursor name deviceUuid revision } }"


async def _agents(api: Api, count: int) -> list[Agent]:
    agents = [await api.device(str(uuid.uuid4()), web("nginx:1.0.0")) for _ in range(count)]
    for agent in agents:
        await agent.obey()
    return agents


async def _status(api: Api) -> str:
    return str((await api.graphql("{ rollout(number: 1) { status } }"))["rollout"]["status"])


async def _all_events(api: Api) -> list[Any]:
    answer = await api.graphql("{ rollout(number: 1) { events(first: 100) { nodes { cursor name deviceUuid revision } } } }")
    return list(answer["rollout"]["events"]["nodes"])


async def _follow(api: Api, seen: list[Any], last: EventType = EventType.ROLLOUT_COMPLETED) -> None:
    """Collect events until the last, from where `seen` ends; ends early, without a word, when the server does."""
    after = seen[-1]["cursor"] if seen else None
    async with api.subscribed(FOLLOW, id=ROLLOUT, after=after) as events:
        async for answer in events:
            seen.append(answer["rolloutEvents"])
            if seen[-1]["name"] == last:
                return


async def _keep_obeying(agents: list[Agent]) -> None:
    while True:
        for agent in agents:
            await agent.obey()
        await asyncio.sleep(0.05)


async def _moves_are_made_once(db: Database) -> None:
    async with db.reading() as conn:
        history = await rollouts.history(conn, RolloutId(1))
    events = [move.event for move in history]
    assert [move.revision for move in history] == list(range(1, len(history) + 1))
    assert events.count(EventType.BATCH_STARTED) == 3
    assert events.count(EventType.BATCH_COMPLETED) == 3
    assert events.count(EventType.ROLLOUT_COMPLETED) == 1


async def test_a_server_killed_in_the_middle_finishes_when_it_is_started_again(database_url: str, db: Database) -> None:
    async with a_process(database_url) as process:
        token = await tokens.issue(db, "ops")
        async with Api.at(process.url, token, SECRET) as api:
            agents = await _agents(api, 6)
            await api.policy(**QUICK)
            await api.push("nginx:2.0.0")
            seen: list[Any] = []
            follower = asyncio.create_task(_follow(api, seen))
            await eventually(lambda: _has(seen, EventType.DEVICE_SCHEDULED), True)
            await process.kill()
            await asyncio.wait([follower], timeout=10)
            assert follower.done()
            assert seen[-1]["name"] != EventType.ROLLOUT_COMPLETED

            await process.start()
            follower = asyncio.create_task(_follow(api, seen))
            obeying = asyncio.create_task(_keep_obeying(agents))
            await asyncio.wait_for(follower, 30)
            obeying.cancel()

            assert await _status(api) == "COMPLETED"
            assert seen == await _all_events(api), "every event once, in the order of the table, across the crash"
            assert {await agent.obey() for agent in agents} == {"nginx:2.0.0"}
        await _moves_are_made_once(db)


async def test_two_processes_make_each_move_once_and_tell_the_same_story(database_url: str, db: Database) -> None:
    async with a_process(database_url) as one, a_process(database_url) as two:
        token = await tokens.issue(db, "ops")
        async with Api.at(one.url, token, SECRET) as first, Api.at(two.url, token, SECRET) as second:
            agents = await _agents(first, 6)
            for agent in agents[::2]:
                agent.http = second.http  # half of the devices talk to the other process
            await first.policy(**QUICK)
            answers = await asyncio.gather(*(api.push("nginx:2.0.0") for api in (first, second, first, second)))
            assert {decision["rollout"] for decisions in answers for decision in decisions} == {1}
            seen: tuple[list[Any], list[Any]] = ([], [])
            obeying = asyncio.create_task(_keep_obeying(agents))
            await asyncio.wait_for(asyncio.gather(_follow(first, seen[0]), _follow(second, seen[1])), 30)
            obeying.cancel()

            assert seen[0] == seen[1] == await _all_events(first)
        await _moves_are_made_once(db)


async def test_a_server_that_is_told_to_stop_ends_subscriptions_and_itself(database_url: str, db: Database) -> None:
    async with a_process(database_url) as process, Api.at(process.url, await tokens.issue(db, "ops"), SECRET) as api:
        await _agents(api, 1)
        await api.policy(**QUICK)
        await api.push("nginx:2.0.0")
        follower = asyncio.create_task(_follow(api, []))
        await asyncio.sleep(0.3)
        async with asyncio.timeout(8):
            assert await process.stop() == 0
            await asyncio.wait([follower])


async def _has(seen: list[Any], event: EventType) -> bool:
    return any(one["name"] == event for one in seen)
