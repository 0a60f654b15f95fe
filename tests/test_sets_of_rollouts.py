"""What is read for many rollouts, policies or devices at once: the same as for each alone, in as many statements however many they are."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from domain.actors import NOBODY
from domain.errors import Unauthenticated
from domain.events import Cursor, EventFilter, EventType
from domain.ids import PolicyId, RolloutId
from domain.progress import Progress
from domain.rollouts import Rollout, RolloutFilter
from domain.statuses import DeviceStatus, Status
from resolvers import events, explanations, policies, progress, rollouts
from resolvers.context import Context
from storage import rollouts as stored
from tests.clock import MovableClock
from tests.factories import at
from tests.field import Field
from tests.following import replay
from tests.fuses import Fuse, an_instance
from tests.stories import Stories, many_stories

NEWEST = RolloutId(2**62)
FAILED = (DeviceStatus.FAILED, DeviceStatus.HEALTHY, DeviceStatus.UPDATED)
ENDED = (Status.COMPLETED, Status.SUPERSEDED, Status.CANCELLED)
NOT_THERE = range(100_000, 100_100)


@pytest.fixture
async def stories(field: Field, clock: MovableClock) -> Stories:
    """Rollouts of every kind, at one moment."""
    stories = await many_stories(field)
    clock.standing = await at(field.operator.db) - clock.ahead
    return stories


@pytest.fixture
async def reader(database_url: str, clock: MovableClock, operator: Context) -> AsyncIterator[Context]:
    """The same operator, whose statements are counted."""
    async with an_instance(database_url, clock) as db:
        yield replace(operator, db=db)


Many = Callable[[Context, Sequence[Any]], Awaitable[dict[Any, Any]]]

READ: dict[str, tuple[str, Many]] = {
    "policies": ("policies", policies.many),
    "rollouts": ("rollouts", rollouts.many),
    "rollouts of policies": ("policies", lambda ctx, ids: rollouts.of_policies(ctx, ids, NEWEST, 51)),
    "ended rollouts of policies": ("policies", lambda ctx, ids: rollouts.of_policies(ctx, ids, RolloutId(12), 1, ENDED)),
    "how many rollouts policies have": ("policies", rollouts.counts_of_policies),
    "how many ended ones": ("policies", lambda ctx, ids: rollouts.counts_of_policies(ctx, ids, ENDED)),
    "snapshots": ("rollouts", rollouts.snapshots),
    "histories": ("rollouts", rollouts.histories),
    "explanations of rollouts": ("rollouts", rollouts.explanations),
    "members": ("rollouts", lambda ctx, ids: rollouts.members_of(ctx, ids, -1, 101)),
    "some members": ("rollouts", lambda ctx, ids: rollouts.members_of(ctx, ids, 1, 3, FAILED)),
    "how many members": ("rollouts", rollouts.member_counts),
    "how many of some": ("rollouts", lambda ctx, ids: rollouts.member_counts(ctx, ids, FAILED)),
    "events": ("rollouts", lambda ctx, ids: events.pages(ctx, ids, Cursor(), 51)),
    "explanations of devices": ("devices", explanations.of_devices),
}
"""What may be read, by what it is read for."""


async def test_whatever_is_read_for_many_is_what_is_read_for_each_in_as_many_statements(reader: Context, stories: Stories) -> None:
    for what, (of, many) in READ.items():
        keys = getattr(stories, of)
        alone: dict[Any, Any] = {}
        for key in keys:
            alone |= await many(reader, [key])
        assert await many(reader, [*keys, *NOT_THERE]) == alone, what
        assert alone, f"there are no {what}"
        costs = [await _cost(many(reader, some)) for some in (keys[:1], [*keys, *NOT_THERE][:100], NOT_THERE[:1])]
        assert len(set(costs)) == 1, f"{what} of 1, of 100 and of nothing cost {costs} statements"


async def _cost(reading: Awaitable[object]) -> int:
    before = Fuse.statements
    await reading
    return Fuse.statements - before


async def test_the_single_ones_say_the_same(reader: Context, stories: Stories) -> None:
    snapshots, explained = await rollouts.snapshots(reader, stories.rollouts), await rollouts.explanations(reader, stories.rollouts)
    counts = await rollouts.member_counts(reader, stories.rollouts)
    for number in stories.rollouts:
        members = await rollouts.devices(reader, number, -1, 1000)
        assert await rollouts.one(reader, number) == snapshots[number].rollout
        assert await rollouts.snapshot(reader, number) == snapshots[number]
        assert await rollouts.explain(reader, number) == explained[number]
        assert counts[number] == len(members) == sum(snapshots[number].counts.values())
        assert await rollouts.member_counts(reader, [number], FAILED) == {number: sum(one.status in FAILED for one in members)}
    for policy in stories.policies:
        found = (await rollouts.of_policies(reader, [policy], NEWEST, 100))[policy]
        assert found == await rollouts.page(reader, NEWEST, 100, RolloutFilter(policy=policy))
        assert await rollouts.counts_of_policies(reader, [policy]) == {policy: len(found)}
        assert (await policies.many(reader, [policy]))[policy] == await policies.one(reader, policy)


async def test_the_engine_counts_for_itself_what_is_counted_for_many(reader: Context, stories: Stories) -> None:
    async with reader.db.snapshot() as conn:
        now = await reader.db.now(conn)
        found = await stored.many(conn, stories.rollouts)
        counted = await progress.counts(conn, [*found.values()], now)
        for number, rollout in found.items():
            assert await progress.count(conn, rollout, now) == counted[number]
    _are_of_every_kind([*found.values()], [*counted.values()])


def _are_of_every_kind(found: Sequence[Rollout], counted: Sequence[Progress]) -> None:
    assert {rollout.status for rollout in found} == set(Status)
    assert any(rollout.zones for rollout in found)
    for kind in ("untaken", "silent", "deferred", "waiting", "soaking", "good", "retrying", "left", "withdrawn", "returning"):
        assert any(getattr(one, kind) for one in counted), f"nobody is {kind}"
    assert any(one.checks for one in counted)
    assert any(one.reach for one in counted)


async def test_pages_of_events_are_those_of_a_replay_wherever_they_begin(reader: Context, stories: Stories) -> None:
    whole = {number: await replay(reader, EventFilter(rollout=number), Cursor()) for number in stories.rollouts}
    places = [event.cursor for happened in whole.values() for event in happened]
    begun = [event.cursor for happened in whole.values() for event in happened if event.type == EventType.BATCH_STARTED]
    for after in [Cursor(), *places, *(cursor.past for cursor in begun)]:
        following = {number: [event for event in happened if event.cursor > after][:4] for number, happened in whole.items()}
        assert await events.pages(reader, stories.rollouts, after, 4) == {number: some for number, some in following.items() if some}


async def test_nothing_of_it_is_for_strangers(reader: Context) -> None:
    stranger = replace(reader, actor=NOBODY)
    for _, many in READ.values():
        with pytest.raises(Unauthenticated):
            await many(stranger, [PolicyId(1)])
