"""Webhooks and the audit log, followed: each thing that happened to them is told once, to whoever may read them and to nobody else."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import pytest
from gql.transport.exceptions import TransportQueryError

from domain.actors import Actor, Role
from domain.audit import Action, AuditFilter, Entry, Subject, SubjectType
from domain.catalogue import Standing
from domain.deliveries import Delivery, DeliveryFilter
from domain.endpoints import Endpoint, Scheme, Sender
from domain.errors import Forbidden
from domain.events import Cursor, EventFilter, EventType
from domain.fleet import Chosen, DeviceFilter
from domain.ids import DeliveryId, EndpointId, EntryId, RolloutId
from domain.images import Image
from domain.trails import Trace
from monitor.intake import take_in
from registries.webhooks import Received
from resolvers import audit, bulk, catalogue, deliveries, endpoints, events, tokens
from resolvers.context import Context
from resolvers.deliveries import Receipt
from resolvers.endpoints import Wanted
from schema.nodes import node_id
from server.process import Running
from storage import deliveries as delivery_rows
from tests.api import Api
from tests.clock import MovableClock
from tests.factories import a_policy
from tests.following import relaying
from tools.crowd import crowd

NEWEST = 2**62
ALL_DELIVERIES, ALL_ENTRIES = DeliveryFilter(), AuditFilter()
BEGINNING = Cursor()


@pytest.fixture
def administrator(operator: Context) -> Context:
    """Somebody who may do everything."""
    return replace(operator, actor=Actor.administrator("ada"))


async def posted(ctx: Context, key: str, image: str = "nginx:1.27", sender: Sender = Sender.GENERIC, to: Endpoint | None = None) -> Receipt:
    """A webhook that a sender calls by this name."""
    return await deliveries.receive(ctx, Received(sender, (Image.parse(image),), key), to, {}, b"{}")


async def of_deliveries(ctx: Context, wanted: DeliveryFilter = ALL_DELIVERIES, after: Cursor = BEGINNING) -> list[Trace[Delivery]]:
    """What the table tells of webhooks after a cursor."""
    stream = await deliveries.stream(ctx, wanted, after)
    return [told.value async for told in stream.replay(after)]


async def of_audit(ctx: Context, wanted: AuditFilter = ALL_ENTRIES, after: Cursor = BEGINNING) -> list[Trace[Entry]]:
    """What the table tells of the audit log after a cursor."""
    stream = await audit.stream(ctx, wanted, after)
    return [told.value async for told in stream.replay(after)]


# What is told


async def test_each_thing_that_happens_to_a_webhook_is_told_once(operator: Context) -> None:
    await a_policy(operator)
    seen: list[Trace[Delivery]] = []

    async def news() -> list[tuple[int, int]]:
        fresh = await of_deliveries(operator, after=seen[-1].cursor if seen else BEGINNING)
        seen.extend(fresh)
        return [(trace.of.id, trace.of.times) for trace in fresh]

    await posted(operator, "a")
    assert await news() == [(1, 1)]
    await take_in(operator)
    assert await news() == [(1, 1)]
    await posted(operator, "a")
    assert await news() == [(1, 2)]
    await take_in(operator)
    assert await news() == []
    await deliveries.replay(operator, DeliveryId(1))
    assert await news() == [(1, 2)]
    await take_in(operator)
    assert await news() == [(1, 2)]
    assert [trace.cursor for trace in await of_deliveries(operator)] == [trace.cursor for trace in seen]


async def test_what_a_webhook_waits_for_is_told_when_it_changes(operator: Context, clock: MovableClock) -> None:
    await crowd(operator.db, 1)
    await a_policy(operator, approved_images_only=True)
    await posted(operator, "a", "nginx:2.0.0")

    async def count() -> int:
        return len(await of_deliveries(operator))

    await take_in(operator)
    assert await count() == 2
    for _ in range(3):
        clock.advance(hours=1)
        await take_in(operator)
    assert await count() == 2
    await catalogue.judge(operator, "nginx:2.0.0", Standing.APPROVED, None)
    await take_in(operator)
    assert await count() == 3


async def test_every_entry_of_a_change_is_told_and_in_its_order(operator: Context, administrator: Context) -> None:
    await crowd(operator.db, 5)
    before = await of_audit(administrator)
    await bulk.pin(operator, Chosen(None, DeviceFilter()), "a fair", 100, None)

    told = (await of_audit(administrator))[len(before) :]

    assert [trace.of.action for trace in told] == [Action.PIN_DEVICE] * 5
    assert [trace.of.id for trace in told] == sorted(trace.of.id for trace in told)
    assert [trace.of for trace in told[::-1]] == await audit.page(administrator, ALL_ENTRIES, EntryId(NEWEST), 5)


class _RolledBack(Exception):
    pass


async def test_what_is_rolled_back_is_never_told(operator: Context, administrator: Context) -> None:
    with suppress(_RolledBack):
        async with operator.changing(Action.CREATE_POLICY) as change:
            await delivery_rows.keep(change.conn, None, Sender.GENERIC, "a", {}, b"", change.now)
            change.of(Subject.of(SubjectType.POLICY, 1))
            await change.keep(None)
            raise _RolledBack

    assert (await of_deliveries(operator), await of_audit(administrator)) == ([], [])


async def test_what_is_forgotten_by_now_is_passed_over(operator: Context) -> None:
    await posted(operator, "a")
    await posted(operator, "b")
    async with operator.db.transaction() as conn:
        await conn.execute("delete from deliveries where key = 'a'")

    assert [trace.of.key for trace in await of_deliveries(operator)] == ["b"]


# Who is told


async def test_only_those_who_administer_follow_the_audit_log(operator: Context) -> None:
    for role in (Role.READER, Role.OPERATOR):
        with pytest.raises(Forbidden):
            await audit.stream(replace(operator, actor=Actor.of("somebody", role)), ALL_ENTRIES, None)


async def test_whoever_may_not_read_follows_no_webhooks(operator: Context) -> None:
    with pytest.raises(Forbidden):
        await deliveries.stream(replace(operator, actor=Actor("somebody")), ALL_DELIVERIES, None)


async def test_events_that_everybody_reads_say_nothing_of_webhooks_and_of_the_audit_log(operator: Context) -> None:
    await crowd(operator.db, 1)
    await a_policy(operator)
    await posted(operator, "a", "nginx:2.0.0")
    await take_in(operator)
    async with operator.db.reading() as conn:
        rows = await conn.fetch("select xid::text, seq from events where delivery_id is not null or entry_id is not null")
    hidden = {Cursor(int(row["xid"]), row["seq"]) for row in rows}
    assert len(hidden) == 3

    told = {one.cursor async for one in (await events.stream(operator, EventFilter(types=tuple(EventType)), Cursor())).replay(Cursor())}
    of_rollout = {event.cursor for event in await events.page(operator, RolloutId(1), Cursor(), 1000)}

    assert of_rollout
    assert told >= of_rollout
    assert not told & hidden
    assert await events.many(operator, [*hidden, *(replace(place, part=1) for place in hidden)]) == {}


# What is meant


async def test_a_filter_means_the_same_here_as_in_the_database(operator: Context, administrator: Context, clock: MovableClock) -> None:
    dice = random.Random(7)
    to = [None, *[(await endpoints.create(operator, Wanted(name, Sender.GENERIC, Scheme.PATH)))[0] for name in "ab"]]
    for number in range(60):
        clock.advance(minutes=dice.randrange(3))
        await posted(operator, f"{number}", sender=dice.choice([Sender.GENERIC, Sender.QUAY]), to=dice.choice(to))
        await _one_of_several_deeds(replace(operator, actor=Actor.operator(dice.choice("xy"))), dice)
    webhooks = await deliveries.page(operator, DeliveryId(NEWEST), 1000)
    entries = await audit.page(administrator, ALL_ENTRIES, EntryId(NEWEST), 1000)
    assert (len(webhooks), len(entries)) == (60, 62)

    for _ in range(100):
        wanted = _some_deliveries(dice, webhooks)
        assert [one for one in webhooks if wanted.matches(one)] == await deliveries.page(operator, DeliveryId(NEWEST), 1000, wanted)
        asked = _some_entries(dice, entries)
        assert [one for one in entries if asked.matches(one)] == await audit.page(administrator, asked, EntryId(NEWEST), 1000)


async def _one_of_several_deeds(ctx: Context, dice: random.Random) -> None:
    if dice.random() < 0.5:
        await a_policy(ctx)
    else:
        await catalogue.judge(ctx, dice.choice(["nginx", "redis"]), dice.choice([Standing.APPROVED, Standing.REJECTED]), None)


def _some_deliveries(dice: random.Random, known: Sequence[Delivery]) -> DeliveryFilter:
    like = dice.choice(known)
    return DeliveryFilter(
        endpoint=dice.choice([None, like.endpoint_id, EndpointId(7)]),
        sender=dice.choice([None, like.sender]),
        since=dice.choice([None, like.received_at, like.received_at + timedelta(seconds=1)]),
    )


def _some_entries(dice: random.Random, known: Sequence[Entry]) -> AuditFilter:
    like, other = dice.choice(known), dice.choice(known)
    return AuditFilter(
        actor=dice.choice([None, like.actor]),
        action=dice.choice([None, like.action]),
        subject=dice.choice([None, None, like.subject]),
        since=dice.choice([None, like.at, other.at]),
        until=dice.choice([None, like.at, other.at]),
    )


async def test_only_what_is_meant_is_told(operator: Context, administrator: Context) -> None:
    for key, sender in (("a", Sender.GENERIC), ("b", Sender.QUAY), ("c", Sender.GENERIC)):
        await posted(operator, key, sender=sender)
        await deliveries.replay(operator, DeliveryId(ord(key) - ord("a") + 1))
    await a_policy(operator)

    told = await of_deliveries(operator, DeliveryFilter(sender=Sender.GENERIC))
    done = await of_audit(administrator, AuditFilter(action=Action.CREATE_POLICY))

    assert [trace.of.key for trace in told] == ["a", "a", "c", "c"]
    assert [trace.of.subject for trace in done] == [Subject(SubjectType.POLICY, "1")]


# Read, then follow


async def test_reading_and_then_following_leaves_no_gap(operator: Context, administrator: Context) -> None:
    dice = random.Random(3)
    read: list[tuple[Cursor, set[int], set[int]]] = []
    async with relaying(operator.db, operator.feed):
        writing = [asyncio.create_task(_slowly(operator, number, dice.random() / 5)) for number in range(80)]
        while not all(task.done() for task in writing):
            begin = operator.feed.position
            webhooks = await deliveries.page(operator, DeliveryId(NEWEST), 1000)
            entries = await audit.page(administrator, ALL_ENTRIES, EntryId(NEWEST), 1000)
            read.append((begin, {one.id for one in webhooks}, {one.id for one in entries}))
    all_webhooks, all_entries = await of_deliveries(operator), await of_audit(administrator)
    assert len(all_webhooks) == len({trace.of.id for trace in all_webhooks}) == len(all_entries) == 60

    assert len(read) > 10
    for begin, webhooks_read, entries_read in read:
        followed = {trace.of.id for trace in await of_deliveries(operator, after=begin)}
        assert webhooks_read | followed == {trace.of.id for trace in all_webhooks}
        recorded = {trace.of.id for trace in await of_audit(administrator, after=begin)}
        assert entries_read | recorded == {trace.of.id for trace in all_entries}


async def _slowly(ctx: Context, number: int, pause: float) -> None:
    """A webhook and a change, in a transaction that takes its time; every fourth is rolled back."""
    with suppress(_RolledBack):
        async with ctx.changing(Action.CREATE_POLICY) as change:
            await delivery_rows.keep(change.conn, None, Sender.GENERIC, f"{number}", {}, b"", change.now)
            await asyncio.sleep(pause)
            change.of(Subject.of(SubjectType.POLICY, number))
            if number % 4 == 0:
                raise _RolledBack


# Over a WebSocket

ELSEWHERE = str(Cursor(2**60))
DELIVERIES = """subscription ($after: String, $filter: DeliveryFilterInput) { deliveries(after: $after, filter: $filter) {
  ... on DeliveryChange { cursor at delivery { number times pushes { decisions { sentence } } } }
  ... on Error { code message } ... on CursorExpiredError { oldest } } }"""
AUDIT = """subscription ($after: String, $filter: AuditFilterInput) { audit(after: $after, filter: $filter) {
  ... on AuditRecord { cursor entry { action actor subject { id } } } ... on Error { code } } }"""
EVENTS = """subscription ($after: String, $filter: EventFilterInput) { events(after: $after, filter: $filter) {
  ... on Event { cursor at revision name rollout { number } } ... on Error { code } } }"""


async def test_a_webhook_is_followed_from_its_receipt_to_what_is_decided_of_it(api: Api) -> None:
    async with asyncio.timeout(20), api.subscribed(DELIVERIES, after=str(BEGINNING)) as told:
        await api.told({"image": "nginx", "tag": "1.27"})
        changes = [(await anext(told))["deliveries"] for _ in range(2)]

    assert [change["delivery"]["number"] for change in changes] == [1, 1]
    assert changes[-1]["delivery"]["pushes"] == [{"decisions": [{"sentence": "no policy matches this image"}]}]
    assert changes[0]["cursor"] != changes[1]["cursor"]


async def test_what_operators_do_is_followed_by_administrators_alone(server: Running, api: Api) -> None:
    for role in (Role.READER, Role.OPERATOR):
        api.token = await tokens.issue(server.db, role, role)
        async with api.subscribed(AUDIT, after=str(BEGINNING)) as told:
            with pytest.raises(TransportQueryError, match="FORBIDDEN"):
                await anext(told)
    api.token = await tokens.issue(server.db, "ada")
    async with asyncio.timeout(20), api.subscribed(AUDIT, after=str(BEGINNING), filter={"action": "CREATE_POLICY"}) as told:
        await api.change("createProvisioningKey", name="hall")
        policy = await api.policy()
        record = (await anext(told))["audit"]

    assert record["entry"] == {"action": "CREATE_POLICY", "actor": "ada", "subject": {"id": policy}}


async def test_many_rollouts_are_followed_by_what_they_have_in_common(api: Api) -> None:
    await api.devices("nginx:1.26", "redis:7.0.0")
    policy, other = await api.policy(), await api.policy(imagePattern="redis*")
    await api.push("redis:7.1.0")
    await api.push("nginx:1.27")
    wanted = {"policy": policy, "types": ["ROLLOUT_CREATED", "ROLLOUT_STARTED"]}

    async with asyncio.timeout(20), api.subscribed(EVENTS, after=str(BEGINNING), filter=wanted) as told:
        first, second = [(await anext(told))["events"] for _ in range(2)]

    assert (first["name"], second["name"]) == ("image.rollout_created", "image.rollout_started")
    assert first["rollout"] == second["rollout"] == {"number": 2}
    assert other != policy


@pytest.mark.parametrize("document", [DELIVERIES, AUDIT, EVENTS])
async def test_a_cursor_that_is_too_old_or_of_another_database_is_answered_as_data_and_ends_it(api: Api, document: str) -> None:
    async with asyncio.timeout(20), api.subscribed(document, after=ELSEWHERE) as told:
        [answer] = [answer async for answer in told]

    [error] = answer.values()
    assert error["code"] == "CURSOR_EXPIRED"


async def test_a_rollouts_events_are_refused_after_a_cursor_that_is_too_old(api: Api) -> None:
    await api.devices("nginx:1.26")
    await api.policy()
    await api.push("nginx:1.27")
    document = "subscription ($id: ID!, $after: String) { rolloutEvents(id: $id, after: $after) { cursor } }"

    async with api.subscribed(document, id=node_id("Rollout", 1), after=ELSEWHERE) as told:
        with pytest.raises(TransportQueryError, match="CURSOR_EXPIRED"):
            await anext(told)
