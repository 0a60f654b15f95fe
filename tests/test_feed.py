"""The feed: where the order stands, what is remembered of it, and that whoever follows live is told what the table tells."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

import pytest

from domain.actors import NOBODY
from domain.errors import NotFound, Unauthenticated
from domain.events import Cursor, Event, EventFilter, EventType
from domain.health import Outcome
from domain.ids import DeliveryId, EntryId, PolicyId, RolloutId
from domain.statuses import Status
from monitor.reconciler import reconcile
from resolvers import events as use
from resolvers.context import Context
from resolvers.feed import Feed
from resolvers.mailboxes import Mailbox
from resolvers.ring import Ring
from storage import events
from tests.clock import MovableClock
from tests.factories import a_policy, a_rollout, everybody_says
from tests.field import Field
from tests.following import follow, published, relaying, replay, table
from tests.fuses import Fuse, an_instance
from tests.stories import many_stories
from tools.crowd import crowd
from tools.pushing import pushed

FIRST, SECOND = RolloutId(1), RolloutId(2)
EVERYTHING = EventFilter(types=tuple(EventType))
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)


def _events(dice: random.Random, count: int, after: int = 0) -> list[Event]:
    """So many, in their order: several of a transaction, and transactions that wrote none between."""
    xid, happened = after + 1, []
    for seq in range(after + 1, after + count + 1):
        xid += dice.choice([0, 0, 1, 3])
        rollout = dice.choice([FIRST, SECOND, None])
        happened.append(Event(Cursor(xid, seq), LONG_AGO, EventType.DEVICE_UPDATED, rollout, None, None, {}))
    return happened


def _pages(happened: Sequence[Event], dice: random.Random) -> Iterator[list[Event]]:
    """The same, as the relay reads them."""
    left = iter(happened)
    while page := list(islice(left, dice.randint(1, 9))):
        yield page


# The position


@dataclass
class Follower:
    """Somebody who follows, and what has been put in his mailbox."""

    rollout: RolloutId | None
    mailbox: Mailbox
    begun: Cursor
    seen: list[Event]

    def take(self) -> None:
        """Take what there is."""
        self.seen += self.mailbox._events
        self.mailbox._events.clear()


@pytest.mark.parametrize("seed", range(20))
async def test_whoever_begins_to_follow_is_given_exactly_what_comes_after_the_position_at_which_he_began(seed: int) -> None:
    dice, feed, followers = random.Random(seed), Feed(), list[Follower]()
    happened = _events(dice, 200)
    async with feed.running(), AsyncExitStack() as following:
        feed.begin(Cursor(1))
        coming = asyncio.create_task(_come(feed, dice, followers, following))
        for page in _pages(happened, dice):
            await feed.publish(page)
            assert feed.position == page[-1].cursor.past
            await _pass(dice)
        coming.cancel()
        await asyncio.sleep(0.01)

    assert len(followers) > 10
    for follower in followers:
        follower.take()
        wanted = [event for event in happened if follower.rollout in (None, event.rollout_id)]
        assert follower.seen == [event for event in wanted if event.cursor > follower.begun]
        assert not follower.mailbox.overflowed


async def _come(feed: Feed, dice: random.Random, followers: list[Follower], following: AsyncExitStack) -> None:
    """New ones, again and again; some who are there look into their mailboxes."""
    while True:
        rollout = dice.choice([FIRST, SECOND, None])
        mailbox = await following.enter_async_context(feed.follow(rollout))
        followers.append(Follower(rollout, mailbox, feed.position, []))
        for follower in dice.choices(followers, k=3):
            follower.take()
        await _pass(dice)


async def _pass(dice: random.Random) -> None:
    for _ in range(dice.randrange(4)):
        await asyncio.sleep(0)


async def test_the_position_begins_where_everything_is_settled_and_moves_with_whatever_happens(operator: Context) -> None:
    async with operator.db.transaction() as conn:
        await events.record(conn, EventType.DEVICE_ONLINE, await operator.db.now(conn))
    async with relaying(operator.db, operator.feed):
        begun = operator.feed.position
        async with operator.db.transaction() as conn:
            await events.record(conn, EventType.DEVICE_OFFLINE, await operator.db.now(conn))
        await published(operator)

    [old, new] = await table(operator.db)
    assert old.cursor < begun < new.cursor
    assert operator.feed.position == new.cursor.past
    assert operator.feed.lag is not None
    assert 0 <= operator.feed.lag < 10


# The ring


@pytest.mark.parametrize("seed", range(5))
def test_the_ring_gives_everything_after_a_cursor_or_says_that_it_does_not_reach_so_far(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ring, "CAPACITY", 50)
    dice = random.Random(seed)
    happened, begin = _events(dice, 170, after=10), Cursor(5)
    ring, published = Ring(begin), list[Event]()
    for page in _pages(happened, dice):
        ring.add(page)
        published += page
        reached = [begin, *(event.cursor.past for event in published)][max(0, len(published) - 50)]
        for after in (dice.choice(places := [Cursor(), begin, *(event.cursor for event in happened)]), dice.choice(places).past):
            left = [event for event in published if event.cursor.past > after]
            assert ring.since(after) == (None if after < reached else left)


def test_a_feed_that_nothing_is_relayed_to_knows_nothing() -> None:
    assert Feed().since(Cursor()) is None
    assert Feed().since(Cursor(2**63 - 1, 2**63 - 1, 2**63 - 1)) is None


async def test_what_is_remembered_is_what_the_table_tells_after_any_cursor_also_within_a_batch(operator: Context) -> None:
    async with relaying(operator.db, operator.feed):
        begun = operator.feed.position
        rollout = await a_rollout(operator, 12)
        await everybody_says(operator.db, rollout.id, Outcome.RUNNING)
        await reconcile(operator.db)
        await published(operator)
        stream = await use.stream(operator, EVERYTHING, begun)
        whole = [told.cursor async for told in stream.replay(begun)]
        assert any(cursor.part for cursor in whole)

        for after in [begun, *whole, *(cursor.past for cursor in whole)]:
            recent = operator.feed.since(after)
            assert recent is not None
            remembered = [told async for told in stream.meant(recent, after)]
            assert remembered == [told async for told in stream.replay(after)]
            assert [told.cursor for told in remembered] == [cursor for cursor in whole if cursor > after]


async def test_the_devices_of_a_batch_are_read_once_however_many_are_told_of_it(
    operator: Context, database_url: str, clock: MovableClock
) -> None:
    await a_rollout(operator, 1200, update_strategy="auto")
    async with an_instance(database_url, clock) as db:
        stream = await use.stream(replace(operator, db=db), EVERYTHING, Cursor())
        happened, before = await table(db), Fuse.statements
        told = await asyncio.gather(*(_told(stream, happened) for _ in range(50)))

        assert Fuse.statements - before == 3  # a page of five hundred each
    assert all(one == told[0] for one in told)
    assert len({event.device_uuid for event in told[0]} - {None}) == 1200


async def _told(stream: use.RolloutEvents, happened: Sequence[Event]) -> list[Event]:
    return [told.value async for told in stream.meant(happened, Cursor())]


# Filters


def _same(event: Event, wanted: EventFilter) -> bool:
    """What a filter means, said another way."""
    asked = [
        (wanted.rollout, event.rollout_id), (wanted.policy, event.policy_id), (wanted.fleet, event.fleet),
    ]  # fmt: skip
    lists = [(wanted.statuses, event.status), (wanted.types, event.type)]
    if event.cursor.part and wanted.rollout is None and wanted.types is None:
        return False  # one device of a batch, for which nobody asked
    return all(one in (None, other) for one, other in asked) and all(some is None or other in some for some, other in lists)


def _a_filter(dice: random.Random) -> EventFilter:
    return EventFilter(
        rollout=dice.choice([None, None, *map(RolloutId, range(1, 17))]),
        policy=dice.choice([None, None, *map(PolicyId, range(1, 17))]),
        fleet=dice.choice([None, None, None, "berlin", "nowhere"]),
        statuses=dice.choice([None, None, tuple(dice.sample(list(Status), 4))]),
        types=dice.choice([None, None, (EventType.DEVICE_SCHEDULED,), (EventType.BATCH_STARTED,), tuple(dice.sample(list(EventType), 12))]),
    )


@dataclass
class Watcher:
    """Somebody who subscribed to something, and what he was told."""

    wanted: EventFilter
    begun: Cursor
    seen: list[Event]

    async def watch(self, ctx: Context, stream: use.RolloutEvents) -> None:
        """Be told."""
        async for event in follow(ctx, stream):
            self.seen.append(event)


@asynccontextmanager
async def _watching(ctx: Context, dice: random.Random, watchers: list[Watcher]) -> AsyncIterator[None]:
    """New ones come all the time while the block runs, from now on or from wherever, and stay."""
    async with asyncio.TaskGroup() as group:

        async def come() -> None:
            while True:
                places = [None, Cursor(), *(event.cursor for event in await table(ctx.db))]
                wanted = dice.choice([EVERYTHING, *(_a_filter(dice) for _ in range(4))])
                with suppress(NotFound):
                    stream = await use.stream(ctx, wanted, dice.choice(places))
                    watchers.append(Watcher(wanted, stream.after, []))
                    group.create_task(watchers[-1].watch(ctx, stream))
                await asyncio.sleep(0.02)

        coming = group.create_task(come())
        yield
        coming.cancel()


async def test_live_and_replayed_whatever_is_asked_for_is_told_the_same(field: Field) -> None:
    ctx, dice, watchers = field.operator, random.Random(7), list[Watcher]()
    await crowd(ctx.db, 4, "acme/berlin:1.0.0", fleet="berlin")
    for fleet in ("berlin", None):
        await a_policy(ctx, image_pattern="acme/berlin", fleet=fleet)
    await pushed(ctx, "acme/berlin:2.0.0")
    async with relaying(ctx.db, ctx.feed), _watching(ctx, dice, watchers):
        await many_stories(field)
        await published(ctx)
        everything, there = await replay(ctx, EVERYTHING, Cursor()), list(watchers)
        expected = [[one for one in everything if _same(one, by.wanted) and one.cursor > by.begun] for by in there]
        async with asyncio.timeout(10):
            while any(len(watcher.seen) < len(some) for watcher, some in zip(there, expected, strict=True)):
                await asyncio.sleep(0.05)
        ctx.feed.close()

    assert len(there) > 20
    assert [watcher.seen for watcher in there] == expected
    for wanted in (_a_filter(dice) for _ in range(100)):
        if wanted.rollout is None:
            after = dice.choice(everything).cursor
            assert await replay(ctx, wanted, after) == [one for one in everything if _same(one, wanted) and one.cursor > after]


# What is not for everybody


async def test_what_tells_of_deliveries_and_of_changes_is_told_to_nobody_who_reads_what_happens_to_rollouts(operator: Context) -> None:
    rollout = (await a_rollout(operator, 3)).id
    told, counted = await replay(operator, EVERYTHING, Cursor()), await use.counts(operator, [rollout])
    async with relaying(operator.db, operator.feed), operator.feed.follow(None) as mailbox:
        async with operator.db.transaction() as conn:
            now = await operator.db.now(conn)
            await events.record(conn, EventType.WEBHOOK_RECEIVED, now, rollout=rollout, delivery=DeliveryId(5))
            await events.record(conn, EventType.ROLLOUT_PAUSED, now, rollout=rollout, revision=1, entry=EntryId(7))
        taken = await mailbox.take()

    assert [(event.delivery_id, event.entry_id) for event in taken] == [(5, None), (None, 7)]
    places = [event.cursor for event in taken]
    assert await replay(operator, EVERYTHING, Cursor()) == told
    assert await replay(operator, EventFilter(rollout=rollout), Cursor()) == [one for one in told if one.rollout_id == rollout]
    assert await use.page(operator, rollout, Cursor(), 1000) == [one for one in told if one.rollout_id == rollout]
    assert await use.counts(operator, [rollout]) == counted
    assert await use.many(operator, [*places, *(replace(place, part=1) for place in places)]) == {}


async def test_following_is_for_those_who_may_read(operator: Context) -> None:
    with pytest.raises(Unauthenticated):
        await use.stream(replace(operator, actor=NOBODY), EVERYTHING, None)


async def test_each_device_of_a_batch_is_named_to_those_who_follow_one_rollout_or_ask_for_it(operator: Context) -> None:
    """Of all rollouts it would be a million events before anything else is told."""
    rollout = await a_rollout(operator, 6)

    async def named(wanted: EventFilter) -> int:
        told = [told.value.type async for told in (await use.stream(operator, wanted, Cursor())).replay(Cursor())]
        return told.count(EventType.DEVICE_SCHEDULED)

    assert await named(EventFilter(rollout=rollout.id)) == 1
    assert await named(EventFilter(types=(EventType.DEVICE_SCHEDULED,))) == 1
    assert await named(EventFilter()) == 0
