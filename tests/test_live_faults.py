"""Whoever follows something is told all of it, once and in the one order, whatever becomes of connections, processes and PostgreSQL."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import pytest

from domain.requests import Request
from resolvers import ring, rollouts
from server.settings import Settings
from tests.api import eventually
from tests.world import a_world, all_are_told, writing
from tools.blackhole import EVERYBODY, LISTENER, blackhole
from tools.conversation import Conversation
from tools.followers import Follower, Whims
from tools.restartable import restartable
from tools.world import BEGINNING, COMES_AGAIN, World, at_work
from tools.writers import table


async def test_all_are_told_everything_once_in_one_order_whatever_becomes_of_listeners(database_url: str, settings: Settings) -> None:
    async with blackhole(database_url) as hole, a_world(settings, database_url, hole.url, database_url) as world:
        steady = world.followers()
        async with at_work(*(follower.follow() for follower in steady)):
            async with writing(world, 300), at_work(_shoot_listeners(world), _lie_across(database_url)):
                await asyncio.sleep(1)
                hole.swallow(LISTENER)
                await asyncio.sleep(1.5)
                hole.close()
                late = world.followers(begin=steady[0].last or BEGINNING)
                await asyncio.sleep(0.5)
            async with at_work(*(follower.follow() for follower in late)):
                await all_are_told(world, [*steady, *late])

    assert [follower.ends for follower in [*steady, *late]] == [{}] * 36, "nobody's connection had to end"


async def _shoot_listeners(world: World) -> None:
    while True:
        async with world.operator.db.reading() as conn:
            await conn.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name = 'rollwave listener' and datname = current_database()"
            )
        await asyncio.sleep(0.1)


async def _lie_across(url: str) -> None:
    """Again and again somebody writes something, and then does nothing for a while: all that came after has to wait."""
    conn = await asyncpg.connect(url)
    try:
        while True:
            async with conn.transaction():
                await conn.execute("select pg_current_xact_id()")
                await asyncio.sleep(0.5)
            await asyncio.sleep(0.1)
    finally:
        conn.terminate()


async def test_a_server_that_is_cut_off_from_its_database_for_a_while_tells_all_of_it_later(database_url: str, settings: Settings) -> None:
    async with blackhole(database_url) as hole, a_world(settings, database_url, hole.url, database_url) as world:
        followers = world.followers(Whims(patience=200))
        async with at_work(*(follower.follow() for follower in followers)):
            async with writing(world, 200):
                await asyncio.sleep(0.5)
                hole.swallow(*EVERYBODY)
                await asyncio.sleep(2)
                hole.reset()
                await asyncio.sleep(0.5)
            await all_are_told(world, followers)
    assert _all_ends(followers) <= COMES_AGAIN


async def test_a_restart_and_a_crash_of_postgresql_cost_nobody_an_event(settings: Settings) -> None:
    with restartable() as postgres:
        async with a_world(settings, postgres.url, postgres.url, postgres.url) as world:
            followers = world.followers(Whims(patience=200))
            async with at_work(*(follower.follow() for follower in followers)):
                async with writing(world, 200):
                    for outage in (postgres.restart, postgres.crash):
                        await asyncio.sleep(0.5)
                        await outage()
                    await asyncio.sleep(0.5)
                await all_are_told(world, followers)
    assert _all_ends(followers) <= COMES_AGAIN


async def test_whoever_subscribes_while_the_database_goes_away_is_not_refused_for_good(database_url: str, settings: Settings) -> None:
    async with a_world(settings, database_url, database_url) as world, world.operator.db.unheard() as conn:
        await conn.execute("lock table forgotten_events")
        followers = world.followers()
        async with at_work(*(follower.follow() for follower in followers)):
            await eventually(lambda: _ends(world, followers), {"closed with 1013", "answered with 503"})
            await conn.execute("rollback; begin")
            await all_are_told(world, followers)
    assert _all_ends(followers) == {"closed with 1013", "answered with 503"}


async def _ends(world: World, followers: Sequence[Follower]) -> set[str]:
    """How the connections of those ended who waited for the lock, once theirs to the database did."""
    async with world.operator.db.reading() as conn:
        await conn.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()"
        )
    return _all_ends(followers)


def _all_ends(followers: Sequence[Follower]) -> set[str]:
    return set[str]().union(*(follower.ends for follower in followers))


@pytest.mark.parametrize("recent", [ring.Ring.CAPACITY, 50])
async def test_clients_that_come_and_go_at_random_miss_nothing(
    database_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, recent: int
) -> None:
    monkeypatch.setattr(ring.Ring, "CAPACITY", recent)
    async with a_world(settings, database_url, database_url, database_url) as world:
        followers = world.followers(Whims(patience=150, doze=0.3))
        async with at_work(*(follower.follow() for follower in followers)):
            async with writing(world, 250):
                pass
            await all_are_told(world, followers)
    assert [follower.ends for follower in followers] == [{}] * len(followers)


# Read, then follow

SNAPSHOT = """
query ($id: ID!, $after: String) {
  eventCursor
  node(id: $id) { ... on Rollout { revision events(first: 100, after: $after) { nodes { cursor revision } pageInfo { hasNextPage } } } }
}"""
PROGRESS = "subscription ($id: ID!) { rolloutProgress(id: $id) { revision cursor } }"
FOLLOWED = """
subscription ($id: ID!, $after: String) { events(filter: {rollout: $id}, after: $after) { ... on Event { cursor revision } } }"""


@dataclass
class Glance:
    """What somebody read at one moment, and what he was told from there on."""

    revision: int
    read: list[Any]
    told: list[Any]

    def is_whole(self, places: dict[str, int]) -> bool:
        """Whether nothing that happened between the first and the last of it is missing."""
        found = sorted({places[event["cursor"]] for event in (*self.read, *self.told)})
        return found == list(range(found[0], found[-1] + 1))

    def continues(self) -> bool:
        """Whether every move after the snapshot's is told."""
        moves = {event["revision"] for event in (*self.read, *self.told) if event["revision"] is not None}
        later = sorted(move for move in moves if move > self.revision)
        return later == list(range(self.revision + 1, self.revision + 1 + len(later)))


async def test_whoever_reads_and_then_follows_has_no_gap_between(database_url: str, settings: Settings) -> None:
    generous = replace(settings, graphql_points=10**9)
    async with a_world(generous, database_url, database_url, database_url) as world:
        async with writing(world), at_work(_keep_moving(world)):
            glances = await asyncio.gather(*(_glances(world, url, 40) for url in [*world.urls] * 13))
        places = {cursor: place for place, cursor in enumerate(await table(world.operator.db, world.rollout))}
        seen = [glance for some in glances for glance in some]

    assert len(seen) > 1000
    assert [glance for glance in seen if not glance.is_whole(places)] == []
    assert [glance for glance in seen if not glance.continues()] == []
    assert sum(glance.told[-1]["cursor"] > glance.read[-1]["cursor"] for glance in seen if glance.read) > 100
    assert len({glance.revision for glance in seen}) > 10


async def _keep_moving(world: World) -> None:
    """The rollout goes on and is paused again, each a move."""
    while True:
        for request in (Request.RESUME, Request.PAUSE):
            await rollouts.request(world.operator, world.rollout, request)
            await asyncio.sleep(0.05)


async def _glances(world: World, url: str, times: int) -> list[Glance]:
    """What somebody sees who so many times reads, now this and now that, and follows; always on one WebSocket."""
    glances: list[Glance] = []
    known: str | None = None
    async with Conversation.on(url, world.token) as conversation:
        for number in range(times):
            glance = await (_of_progress(conversation, world) if number % 2 else _of_events(conversation, world, known))
            known = glance.told[-1]["cursor"]
            glances.append(glance)
    return glances


async def _of_events(conversation: Conversation, world: World, known: str | None) -> Glance:
    """All that happened after what is known, as lists have it, and what happened then."""
    first = await conversation.asked(SNAPSHOT, id=world.rollout_id, after=known)
    page = first["node"]["events"]
    read = page["nodes"]
    while page["pageInfo"]["hasNextPage"]:
        page = (await conversation.asked(SNAPSHOT, id=world.rollout_id, after=read[-1]["cursor"]))["node"]["events"]
        read += page["nodes"]
    return Glance(first["node"]["revision"], read, await _followed(conversation, world, first["eventCursor"]))


async def _of_progress(conversation: Conversation, world: World) -> Glance:
    """Where the rollout is, and what happened then."""
    [told] = await conversation.told(PROGRESS, 1, id=world.rollout_id)
    progress = told["rolloutProgress"]
    return Glance(progress["revision"], [], await _followed(conversation, world, progress["cursor"]))


async def _followed(conversation: Conversation, world: World, after: str) -> list[Any]:
    return [told["events"] for told in await conversation.told(FOLLOWED, 3, id=world.rollout_id, after=after)]
