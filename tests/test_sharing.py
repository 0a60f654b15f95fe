"""Those who follow the same: each thing is executed once for all of them, and each of them is told all of it, once and in order."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest
from graphql import GraphQLError

from domain.actors import Actor, Role
from domain.events import Cursor, EventType
from domain.ids import PolicyId, RolloutId
from domain.requests import Request
from resolvers import events as use
from resolvers import policies, rollouts
from resolvers.budget import Budget
from resolvers.context import Context
from resolvers.mailboxes import Mailbox
from resolvers.ring import Ring
from schema.build import schema
from schema.session import Session
from schema.subscribed import Subscribed
from server.graphql import group, latest, members, replayed
from server.graphql.answers import named
from server.graphql.channels import Answer
from storage import events
from tests.clock import MovableClock
from tests.factories import a_rollout
from tests.fuses import Fuse, an_instance, no_fuse_is_left
from tests.subscribers import ROLLOUT, Audience, Ear, Subscriber, an_audience, happens, settled

__all__ = ["no_fuse_is_left"]
NESTED = (
    "subscription ($id: ID!, $after: String) { rolloutEvents(id: $id, after: $after) { cursor rollout { number policy { version } } } }"
)
PROGRESS = "subscription ($id: ID!) { rolloutProgress(id: $id) { status rollout { policy { version } } } }"
NOBODY_IS_HELD_UP = 5.0


@pytest.fixture
async def audience(operator: Context) -> AsyncIterator[Audience]:
    """Of a process with a rollout of 20 devices."""
    await a_rollout(operator, 20)
    async with an_audience(operator) as audience:
        yield audience


async def table(ctx: Context, after: Cursor = Cursor()) -> list[Cursor]:  # noqa: B008 – frozen
    """What is to be told of the rollout after a cursor."""
    await settled(ctx)
    return [event.cursor for event in await use.page(ctx, RolloutId(1), after, 100_000)]


# Once for all


async def test_a_thousand_who_follow_the_same_cost_as_many_statements_as_one(
    operator: Context, database_url: str, clock: MovableClock
) -> None:
    await a_rollout(operator, 20)
    async with an_audience(operator) as audience, an_instance(database_url, clock) as fused:
        audience.ctx = replace(operator, db=fused)
        spent = []
        for followers in (1, 1_000):
            here = operator.feed.position
            some = [await audience.follow(here, query=NESTED) for _ in range(followers)]
            await happens(operator)
            await some[0].has(1)
            before = Fuse.statements
            for number in range(2, 7):
                await happens(operator)
                await asyncio.gather(*(one.has(number) for one in some))
            spent.append(Fuse.statements - before)
            assert operator.load.groups == 1
            assert all(one.ear.answers == some[0].ear.answers for one in some)
            assert len({id(answer.payload) for one in some for answer in one.ear.answers}) == 6
            await audience.leave()

    assert spent[0] == spent[1] > 0


async def test_who_begins_elsewhere_shares_what_happens_from_then_on(audience: Audience) -> None:
    whole = await table(audience.ctx)
    some = [await audience.follow(after) for after in (None, whole[1], whole[3], whole[-1])]
    await happens(audience.ctx)
    wanted = await table(audience.ctx)
    for one, first in zip(some, (0, 2, 4, len(whole)), strict=True):
        await one.has(len(wanted) - first)
        assert one.cursors == wanted[first:]

    assert audience.ctx.load.groups == 1
    assert len({id(one.ear.answers[-1]) for one in some}) == 1


OF_DEVICES = "rollout { devices(first: $first) { nodes { id } } }"
VARIED: dict[str, tuple[str, Sequence[dict[str, Any]]]] = {
    "an argument below": (
        f"subscription ($id: ID!, $first: Int) {{ rolloutEvents(id: $id) {{ {OF_DEVICES} }} }}",
        [{"first": 1}, {"first": 2}],
    ),
    "one that is not given": (
        f"subscription ($id: ID!, $first: Int = 3) {{ rolloutEvents(id: $id) {{ {OF_DEVICES} }} }}",
        [{}, {"first": 1}, {"first": 2}],
    ),
    "a directive": (
        "subscription ($id: ID!, $long: Boolean!) { rolloutEvents(id: $id) { name at @include(if: $long) } }",
        [{"long": True}, {"long": False}],
    ),
    "a fragment": (
        f"subscription ($id: ID!, $first: Int) {{ rolloutEvents(id: $id) {{ ...F }} }} fragment F on Event {{ {OF_DEVICES} }}",
        [{"first": 1}, {"first": 2}],
    ),
    "a fragment of the root": (
        f"subscription ($id: ID!, $first: Int) {{ ...F }} fragment F on Subscription {{ rolloutEvents(id: $id) {{ {OF_DEVICES} }} }}",
        [{"first": 1}, {"first": 2}],
    ),
    "an inline fragment": (
        f"subscription ($id: ID!, $first: Int) {{ ... on Subscription {{ rolloutEvents(id: $id) {{ {OF_DEVICES} }} }} }}",
        [{"first": 1}, {"first": 2}],
    ),
    "a list": (
        "subscription ($id: ID!, $of: [DeviceRolloutStatus!]) {"
        " rolloutEvents(id: $id) { rollout { devices(first: 2, status: $of) { nodes { id } } } } }",
        [{"of": ["SCHEDULED"]}, {"of": ["PENDING"]}, {"of": ["PENDING", "SCHEDULED"]}],
    ),
    "the root and below": (
        "subscription ($id: ID!, $after: String) {"
        " rolloutEvents(id: $id, after: $after) { rollout { events(first: 2, after: $after) { nodes { cursor } } } } }",
        [{"after": str(Cursor())}, {"after": None}],
    ),
}  # fmt: skip


async def test_who_gives_another_variable_to_what_is_selected_shares_nothing_and_is_answered_as_if_alone(audience: Audience) -> None:
    for document, given in VARIED.values():
        await _shares_nothing(audience, document, given)
        await audience.leave()


async def _shares_nothing(audience: Audience, document: str, given: Sequence[dict[str, Any]]) -> None:
    alone = []
    for variables in given:
        only = await audience.subscribe(document, id=ROLLOUT, **variables)
        await only.has(3)
        alone.append([answer.payload for answer in only.ear.answers])
        await only.leave()

    together = [await audience.subscribe(document, id=ROLLOUT, **variables) for variables in [*given, *given]]

    for one, expected in zip(together, [*alone, *alone], strict=True):
        await one.has(len(expected))
        assert [answer.payload for answer in one.ear.answers][: len(expected)] == expected
    assert audience.ctx.load.groups == len(given)


async def key(ctx: Context, document: str, **variables: Any) -> Any:
    """By what those who subscribe to this are told from those who do not share it."""
    operation = variables.pop("operation", None)
    subscribed = await schema.subscribed(document, Session(ctx), variables or None, operation)
    assert isinstance(subscribed, Subscribed), subscribed.errors
    return subscribed.selection, subscribed.following.stream.key


async def test_variables_that_are_only_almost_the_same_share_nothing(operator: Context) -> None:
    document = "subscription ($first: Int) { events { ... on Event { rollout { devices(first: $first) { totalCount } } } } }"
    keys = [await key(operator, document, **given) for given in ({"first": 1}, {"first": 1.0}, {"first": 2}, {"first": None}, {})]
    assert len(set(keys)) == len(keys)

    document = "subscription ($after: String) { events { ... on Event { rollout { devices(after: $after) { totalCount } } } } }"
    keys = [await key(operator, document, after=after) for after in ("1", "", "null", '"', None)]
    assert len(set(keys)) == len(keys)


async def test_two_operations_of_one_document_share_nothing(operator: Context) -> None:
    document = "subscription A { events { __typename } } subscription B { events { ... on Event { name } } }"
    assert await key(operator, document, operation="A") != await key(operator, document, operation="B")


async def test_what_is_followed_under_another_name_is_told_under_that_name(audience: Audience) -> None:
    some = [
        await audience.subscribe(f"subscription ($id: ID!) {{ {name}: rolloutEvents(id: $id) {{ name }} }}", id=ROLLOUT) for name in "ab"
    ]
    for name, one in zip("ab", some, strict=True):
        await one.has(1)
        assert orjson.loads(one.ear.answers[0].payload)["data"].keys() == {name}


async def test_a_variable_that_nothing_uses_and_the_order_of_the_others_make_no_difference(operator: Context) -> None:
    document = "subscription ($long: Boolean!, $first: Int) { events { ... on Event { name @skip(if: $long) rollout { devices(first: $first) { totalCount } } } } }"  # noqa: E501
    one = await key(operator, document, long=True, first=1)
    assert one == await key(operator, document, first=1, long=True, unused=3)


@pytest.mark.parametrize(
    "root",
    [
        "__typename",
        "__schema { types { name } }",
        "a: events { __typename } b: events { __typename }",
        "events @skip(if: $no) { __typename }",
        "events @include(if: $no) { __typename }",
        "... @include(if: $no) { events { __typename } }",
        "...F",
    ],
)
async def test_what_has_no_one_root_that_is_always_followed_is_refused(operator: Context, root: str) -> None:
    fragment = " fragment F on Subscription { events { __typename } deviceCounts { at } }" if root == "...F" else ""
    variables = " ($no: Boolean! = true)" if "$no" in root else ""
    for role in Role:
        ctx = replace(operator, actor=Actor.of("somebody", role))
        refused = await schema.subscribed(f"subscription{variables} {{ {root} }}{fragment}", Session(ctx), None, None)
        assert not isinstance(refused, Subscribed)
        assert refused.errors


# What is nested


async def test_what_is_nested_is_never_told_much_later_as_it_was(audience: Audience, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latest, "SECONDS", 0.0)
    monkeypatch.setattr("server.graphql.shared.SECONDS", 0.0)
    after = (await table(audience.ctx))[-2]
    beginnings: dict[str, dict[str, Any]] = {NESTED: {"after": str(after)}, PROGRESS: {}}
    for document, of in beginnings.items():
        first = await audience.subscribe(document, id=ROLLOUT, **of)
        await first.has(1)
        policy = await _changed(audience.ctx)
        late = await audience.subscribe(document, id=ROLLOUT, **of)
        await late.has(1)

        assert audience.ctx.load.groups == 1
        assert (first.told[0]["rollout"]["policy"], late.told[0]["rollout"]["policy"]) == ({"version": policy - 1}, {"version": policy})
        assert len(first.ear.answers) == len(late.ear.answers) == 1
        await audience.leave()


async def _changed(ctx: Context) -> int:
    """The policy is not what it was; returns its version."""
    policy = await policies.one(ctx, PolicyId(1))
    assert policy is not None
    return (await policies.set_enabled(ctx, policy.id, not policy.settings.enabled)).version


# Who comes and goes


async def test_nothing_is_left_of_who_leaves_at_any_moment(audience: Audience) -> None:
    for moment in range(12):
        for ear in (Ear(), Ear(pushes=False), Ear()):
            if moment % 3 == 0:
                ear.is_open.clear()
            one = await audience.follow(ear=ear, query=NESTED)
            other = await audience.subscribe(PROGRESS, id=ROLLOUT, ear=Ear(pushes=False))
            for _ in range(moment):
                await asyncio.sleep(0)
            if moment % 4 == 0:
                await happens(audience.ctx)
            one.telling.cancel()
            other.telling.cancel()
        await audience.leave()
        await audience.gone()
        assert audience.ctx.feed.bells.count == 0


async def test_who_comes_as_the_last_one_leaves_is_told_all(audience: Audience) -> None:
    for moment in range(8):
        one = await audience.follow()
        await one.has(1)
        here = audience.ctx.feed.position
        one.telling.cancel()
        for _ in range(moment):
            await asyncio.sleep(0)
        other = await audience.follow(here)
        await happens(audience.ctx)
        await other.has(1)
        assert other.cursors == await table(audience.ctx, here)
        await other.leave()


@pytest.mark.parametrize("seed", range(6))
async def test_whoever_comes_and_goes_whenever_and_however_slow_is_told_exactly_what_the_table_has(
    operator: Context, database_url: str, clock: MovableClock, no_fuse_is_left: None, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Rings, mailboxes and pages are so small that everything that can overflow does, and every other time connections are cut."""
    dice = random.Random(seed)
    for module in (group, replayed):
        monkeypatch.setattr(module, "PAUSE", 0.01)
    for of, name, size in ((Ring, "CAPACITY", 6), (Mailbox, "CAPACITY", 6), (members, "ROOM", 5), (members, "MOST_MISSED", 10_000),
                           (replayed, "TOGETHER", 3), (group, "TURN", 0.0), (replayed, "PAGE", 2)):  # fmt: skip
        monkeypatch.setattr(of, name, size)
    await a_rollout(operator, 40)
    async with an_audience(operator) as audience, an_instance(database_url, clock, size=5) as fused:
        audience.ctx = replace(operator, db=fused)
        crowd = Crowd(audience, operator, dice, cuts=seed % 2 == 1)
        async with asyncio.TaskGroup() as all_:
            for _ in range(12):
                all_.create_task(crowd.comes_and_goes())
            all_.create_task(crowd.writes())
        assert len(crowd.stayed) > 10
        whole = await table(operator)
        for one, after, stayed in crowd.stayed:
            wanted = [cursor for cursor in whole if cursor > after]
            if stayed:
                await one.has(len(wanted))
            assert one.cursors == wanted[: len(one.cursors)]


class Crowd:
    """Those who come and go while things happen, as the dice fall."""

    def __init__(self, audience: Audience, ctx: Context, dice: random.Random, *, cuts: bool) -> None:
        self.audience = audience
        self.ctx = ctx
        self.dice = dice
        self.cuts = cuts
        self.is_over = False
        self.stayed: list[tuple[Subscriber, Cursor, bool]] = []
        """Each, from where on he followed, and whether he is still there."""

    async def comes_and_goes(self) -> None:
        dice = self.dice
        while not self.is_over:
            after = dice.choice([Cursor(), self.ctx.feed.position, dice.choice(await table(self.ctx))])
            ear = Ear(pushes=dice.random() < 0.7)
            one = await self.audience.follow(after, ear=ear)
            for _ in range(dice.randrange(8)):
                (ear.is_open.set if dice.random() < 0.6 else ear.is_open.clear)()
                await asyncio.sleep(dice.random() / 20)
            stays = dice.random() < 0.3 or self.is_over
            ear.is_open.set()
            self.stayed.append((one, after, stays))
            if not stays:
                await one.leave()

    async def writes(self) -> None:
        ctx, dice = self.ctx, self.dice
        for _ in range(40):
            await asyncio.sleep(dice.random() / 40)
            if self.cuts and not Fuse.left:
                Fuse.left = dice.randrange(1, 8)
            if dice.random() < 0.8:
                await happens(ctx, dice.choice([1, 1, 2, 9]))
            else:
                await _a_batch_opens(ctx, dice.randrange(1, 30))
        self.is_over = True
        Fuse.left = None


async def _a_batch_opens(ctx: Context, size: int) -> None:
    async with ctx.db.transaction() as conn:
        batch: dict[str, Any] = {"first_rank": 0, "end_rank": size, "batch_number": 1, "image": "nginx:2.0.0"}
        await events.record(conn, EventType.BATCH_STARTED, await ctx.db.now(conn), rollout=RolloutId(1), **batch)


async def test_what_everybody_has_read_before_is_read_again_without_holding_up_anybody(audience: Audience) -> None:
    here = audience.ctx.feed.position
    first = await audience.follow(here)
    await happens(audience.ctx, 3_000)
    await first.has(3_000)
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    taking = asyncio.create_task(others())
    second = await audience.follow(here)
    await second.has(1)
    before = turns
    await second.has(3_000)
    taking.cancel()

    assert turns - before > 1_000


# Who pays


async def test_a_token_pays_for_an_event_once_however_often_it_follows_and_not_for_what_it_is_not_told(audience: Audience) -> None:
    budget, here = Budget(10_000, clock=lambda: 0.0), audience.ctx.feed.position
    held = Ear()
    held.is_open.clear()

    def left() -> list[int]:
        return [budget.charge(name, 0).remaining for name in ("one", "three", "behind")]

    async def follow(name: str, after: Cursor | None, ear: Ear | None = None) -> Subscriber:
        return await audience.follow(after, ear, ctx=replace(audience.ctx, actor=Actor.of(name, Role.READER)), budget=budget)

    await follow("behind", None, held)
    live = [await follow(name, here) for name in ("one", "three", "three", "three")]
    before = left()
    for number in range(1, 6):
        await happens(audience.ctx)
        await asyncio.gather(*(one.has(number) for one in live))

    # The first event was paid for by who subscribed.
    assert [had - has for had, has in zip(before, left(), strict=True)] == [4, 4, 0]


# Who reads slowly


async def test_who_does_not_read_holds_up_nobody_and_goes_on_from_where_he_was(audience: Audience, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "ROOM", 10)
    here = audience.ctx.feed.position
    slow = [await audience.follow(here, ear=Ear(pushes=pushes)) for pushes in (True, False)]
    quick = await audience.follow(here)
    await happens(audience.ctx)
    await asyncio.gather(*(one.has(1) for one in (*slow, quick)))
    for one in slow:
        one.ear.is_open.clear()
    for number in range(2, 80):
        await happens(audience.ctx)
        async with asyncio.timeout(NOBODY_IS_HELD_UP):
            await quick.has(number)
        assert audience.ctx.load.waiting <= 2 * 10
    for one in slow:
        assert len(one.cursors) == 1
        one.ear.is_open.set()
        await one.has(79)

    assert slow[0].cursors == slow[1].cursors == quick.cursors == await table(audience.ctx, here)
    assert audience.ctx.load.overflows == 2
    assert audience.ctx.load.waiting == 0


async def test_what_waits_for_somebody_is_bounded_in_bytes_too(audience: Audience, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "BYTES", 40_000)
    monkeypatch.setattr(replayed, "BYTES", 20_000)
    data = "subscription ($id: ID!, $after: String) { rolloutEvents(id: $id, after: $after) { data } }"
    here = audience.ctx.feed.position
    slow, quick = [await audience.follow(here, ear=Ear(), query=data) for _ in range(2)]
    await happens(audience.ctx)
    await slow.has(1)
    slow.ear.is_open.clear()
    for number in (2, 3, 4):  # the first is being written, the second waits, for the third there is no room
        await happens(audience.ctx, said="x" * 30_000)
        await quick.has(number)
    assert (audience.ctx.load.waiting, audience.ctx.load.overflows) == (0, 0)
    slow.ear.is_open.set()
    await slow.has(4)

    assert slow.cursors == quick.cursors
    assert audience.ctx.load.overflows == 1


async def test_one_answer_that_is_larger_than_all_that_may_wait_is_told(audience: Audience, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "BYTES", 10)
    here = audience.ctx.feed.position
    one = await audience.follow(here, ear=Ear(pushes=False))
    for number in range(1, 4):
        await happens(audience.ctx)
        await one.has(number)

    assert audience.ctx.load.overflows == 0


async def test_the_fifth_time_within_a_minute_that_somebody_missed_something_ends_it(
    audience: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "ROOM", 3)
    slow, quick = [await audience.follow(audience.ctx.feed.position) for _ in range(2)]
    for time in range(1, 6):
        await happens(audience.ctx)
        await asyncio.gather(*(one.has(10 * time - 9) for one in ((slow, quick) if time == 1 else (quick,))))
        assert not slow.telling.done()
        slow.ear.is_open.clear()
        for number in range(9):
            await happens(audience.ctx)
            await quick.has(10 * time - 8 + number)
        slow.ear.is_open.set()
        if time < 5:
            await slow.has(10 * time)
            await asyncio.sleep(0.05)  # until he is live again

    assert isinstance(await slow.end(), members.TooSlow)
    assert audience.ctx.load.overflows == 5
    assert not quick.telling.done()


async def test_who_watches_how_things_are_and_reads_slowly_is_told_the_newest_alone(audience: Audience) -> None:
    slow, quick = [await audience.subscribe(PROGRESS, id=ROLLOUT) for _ in range(2)]
    await asyncio.gather(slow.has(1), quick.has(1))
    slow.ear.is_open.clear()
    for number, move in enumerate([Request.PAUSE, Request.RESUME, Request.PAUSE, Request.CANCEL], start=2):
        await rollouts.request(audience.ctx, RolloutId(1), move)
        await quick.has(number)
    assert audience.ctx.load.waiting == 1
    slow.ear.is_open.set()
    assert await slow.end() is None

    assert [told["status"] for told in quick.told] == ["IN_PROGRESS", "PAUSED", "IN_PROGRESS", "PAUSED", "CANCELLED"]
    assert [told["status"] for told in slow.told] == ["IN_PROGRESS", "PAUSED", "CANCELLED"]
    assert audience.ctx.load.overflows == 0


# What fails


class Broken(Ear):
    """A connection on which something goes wrong that nobody foresaw."""

    def push(self, answers: Sequence[Answer]) -> bool:
        raise OSError("out of paper")


async def test_a_connection_that_fails_ends_nothing_else(audience: Audience) -> None:
    here = audience.ctx.feed.position
    broken, sound = await audience.follow(here, ear=Broken()), await audience.follow(here)
    await asyncio.sleep(0.05)
    for number in (1, 2, 3):
        await happens(audience.ctx)
        await sound.has(number)

    assert str(await broken.end()) == "out of paper"
    assert not sound.telling.done()


async def test_while_the_database_is_away_nothing_is_told_with_holes(
    operator: Context, database_url: str, clock: MovableClock, no_fuse_is_left: None
) -> None:
    await a_rollout(operator, 20)
    here = operator.feed.position
    async with an_audience(operator) as audience, an_instance(database_url, clock) as fused:
        audience.ctx = replace(operator, db=fused)
        live, late = await audience.follow(here, query=NESTED), None
        await happens(operator)
        await live.has(1)
        for number in range(2, 5):
            Fuse.left, cuts = 1, Fuse.cuts
            await happens(operator)
            late = await audience.follow(here, query=NESTED) if number == 3 else late
            await live.has(number)
            assert Fuse.cuts > cuts
        assert late is not None
        await late.has(4)

    for one in (live, late):
        assert [told["rollout"]["number"] for told in one.told] == [1] * 4
        assert one.cursors == live.cursors


async def test_what_can_never_be_answered_is_told_with_what_is_missing_and_what_comes_next_is_told(
    operator: Context, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement that always takes too long looks as if the database were away."""
    for module in (group, replayed):
        monkeypatch.setattr(module, "PAUSE", 0.01)
    await a_rollout(operator, 20)
    async with an_audience(operator) as audience:
        one = await audience.follow(operator.feed.position, query=NESTED)
        async with operator.db.transaction() as conn:
            await conn.execute("alter table policies rename to real_policies")
            await conn.execute("create view policies as select * from real_policies where (select pg_cancel_backend(pg_backend_pid()))")
        await happens(operator)
        await one.has(1)
        async with operator.db.transaction() as conn:
            await conn.execute("drop view policies")
            await conn.execute("alter table real_policies rename to policies")
        await happens(operator)
        await one.has(2)

    broken, whole = (orjson.loads(answer.payload) for answer in one.ear.answers)
    assert [error["extensions"]["code"] for error in broken["errors"]] == ["UNAVAILABLE"]
    assert "errors" not in whole


async def test_what_is_our_mistake_is_logged_once_and_told_to_all_in_two_words(
    audience: Audience, caplog: pytest.LogCaptureFixture
) -> None:
    here = audience.ctx.feed.position
    some = [await audience.follow(here, ctx=replace(audience.ctx, request_id=name)) for name in "abcdefgh"]
    await asyncio.sleep(0.05)
    async with audience.ctx.db.transaction() as conn:
        await conn.execute("alter table members rename to hidden")
    await _a_batch_opens(audience.ctx, 10)
    ends = [await one.end() for one in some]
    async with audience.ctx.db.transaction() as conn:
        await conn.execute("alter table hidden rename to members")

    errors = [named(end, "mine") for end in ends if isinstance(end, GraphQLError)]
    [line] = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == len(some)
    assert all(error == errors[0] for error in errors)
    assert (errors[0]["message"], errors[0]["extensions"]["code"]) == ("internal error", "INTERNAL")
    assert errors[0]["extensions"]["requestId"] in line
    caplog.clear()
    await happens(audience.ctx)
    again = await audience.follow(here)
    await again.has(12)
    assert again.cursors == await table(audience.ctx, here)


async def test_a_process_that_hears_nothing_more_ends_everybody_so_that_they_come_again(audience: Audience) -> None:
    whole = len(await table(audience.ctx))
    held = Ear()
    held.is_open.clear()
    some = [await audience.follow(), await audience.follow(ear=Ear(pushes=False)), await audience.subscribe(PROGRESS, id=ROLLOUT)]
    await asyncio.gather(some[0].has(whole), some[1].has(whole), some[2].has(1))
    some.append(await audience.follow(ear=held, query=NESTED))
    audience.ctx.feed.close()
    some += [await audience.follow(), await audience.subscribe(PROGRESS, id=ROLLOUT)]

    assert [type(await one.end()) for one in some] == [members.CutOff] * len(some)
