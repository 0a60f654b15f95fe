"""What senders posted: kept once, decided as often as it may mean something new, shown, replayed and forgotten."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from domain.catalogue import Standing
from domain.deliveries import DeliveryFilter
from domain.endpoints import Scheme, Sender
from domain.ids import DeliveryId, EndpointId, PolicyId, PushId
from domain.images import Image
from domain.pushes import Push, PushFilter
from monitor.intake import LEASE, take_in
from monitor.janitor import tidy
from resolvers import catalogue, images
from resolvers.context import Context
from resolvers.pushes import consider
from schema.nodes import node_id
from storage import deliveries, pushes
from storage.connection import Connection
from tests.api import Api, eventually, everything, flat
from tests.clock import MovableClock
from tests.factories import a_policy
from tests.looking import read_by
from tests.registry import LittleRegistry, registry
from tests.senders import A, Made, accepted, made, sha256, told
from tools.crowd import crowd

NGINX = {"image": "nginx", "tag": "1.27"}
FOR_EVERY_DEVICE = "**"


async def rollouts(api: Api) -> list[str]:
    """The images of all rollouts, oldest first."""
    answer = flat(await api.graphql("{ rollouts { nodes { status image { reference } } } }"))
    return [node["image"] for node in reversed(answer["rollouts"]["nodes"])]


async def replay(api: Api, delivery: str) -> None:
    """Have it decided anew."""
    await api.change("replayDelivery", id=node_id("Delivery", delivery))


async def decisions(api: Api, delivery: str) -> list[str]:
    """What was decided of a delivery, without what is said of its digest."""
    return [decision["sentence"].partition(", by its tag")[0] for decision in await api.decided(delivery)]


# Shown


async def test_a_delivery_is_shown_as_it_was_posted_but_for_what_proves_it(api: Api) -> None:
    endpoint = await made(api, Sender.GENERIC, Scheme.HEADER)
    body = json.dumps({**NGINX, "note": "grün"}, ensure_ascii=False, indent=2).encode()
    telling = {"Content-Type": "application/json", "User-Agent": "ci/1.0", "X-Build-Id": "812", "X-CI-Event": "push", "ce-type": "x"}
    silent = {"X-API-Key": "k-1", "Cookie": "s=1", "X-Signature": "f00", "Proxy-Authorization": "Basic eDp5", "X-Token": "t-1"}

    delivery = await api.delivery(await accepted(api, endpoint, body, **telling, **silent))

    assert delivery["body"] == body.decode()
    assert delivery["headers"] == {name.lower(): value for name, value in telling.items()}
    assert (delivery["sender"], delivery["times"], delivery["endpoint"]) == ("GENERIC", 1, endpoint.number)
    assert delivery["key"] == f"sha256:{sha256(body)}"
    assert [push["image"] for push in delivery["pushes"]] == ["nginx:1.27"]


async def test_headers_that_are_long_many_or_strange_are_kept_as_far_as_they_can_be_shown(api: Api) -> None:
    endpoint = await made(api, Sender.GENERIC, Scheme.PATH)
    strange = {f"X-{number}-Id": "v" * 1000 for number in range(60)} | {"X-Umlaut-Id": "ä" * 300, "User-Agent": ""}

    async with api.http.post(f"{endpoint.path}/{endpoint.secret}", json=NGINX, headers=strange) as response:
        assert response.status == 202, await response.text()
        kept = (await api.delivery((await response.json())["delivery_id"]))["headers"]

    assert len(kept) == 50
    assert {len(value) for name, value in kept.items() if name.startswith("x-") and name[2].isdigit()} == {200}


async def test_deliveries_are_listed_newest_first_in_pages_and_for_each_endpoint(api: Api) -> None:
    one, other = await made(api, Sender.GENERIC), await made(api, Sender.GENERIC)
    posted = [await accepted(api, endpoint, {**NGINX, "build": number}) for number in range(3) for endpoint in (one, other)]
    _, shared = await api.webhook(NGINX)
    page = "(first: 2, after: $after) { nodes { number } pageInfo { hasNextPage endCursor } }"

    async def listed(document: str, *way: str) -> list[str]:
        numbers, after, more = [], None, True
        while more:
            found = await api.graphql(document, after=after)
            for step in way:
                found = found[step]
            numbers += [str(node["number"]) for node in found["nodes"]]
            after, more = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
        return numbers

    assert await listed(f"query ($after: String) {{ deliveries{page} }}", "deliveries") == [shared["delivery_id"], *reversed(posted)]
    of_one = f"query ($after: String) {{ webhookEndpoint(number: {one.number}) {{ deliveries{page} }} }}"
    assert await listed(of_one, "webhookEndpoint", "deliveries") == posted[::2][::-1]


async def test_what_an_endpoint_told_outlives_it(api: Api) -> None:
    endpoint = await made(api, Sender.GENERIC)
    delivery = await accepted(api, endpoint, NGINX)
    await api.decided(delivery)

    await api.change("deleteWebhookEndpoint", id=endpoint.id)

    assert (await api.delivery(delivery))["endpoint"] is None
    await replay(api, delivery)
    assert await decisions(api, delivery) == ["no policy matches this image"]


async def test_there_is_no_other_delivery(api: Api) -> None:
    assert await api.graphql("{ delivery(number: 7) { id } }") == {"delivery": None}
    assert await api.refusal("replayDelivery", id=node_id("Delivery", 7)) == ("NOT_FOUND", "there is no delivery 7")
    assert await api.refusal("replayDelivery", id="x") == ("INVALID_INPUT", "id: “x” is not an id that was handed out here")


# Decided anew


async def test_a_delivery_is_replayed_as_things_are_now(api: Api) -> None:
    [agent] = await api.devices("nginx:1.26")
    delivery = await accepted(api, await made(api, Sender.GENERIC), {**NGINX, "digest": A})
    assert await decisions(api, delivery) == ["no policy matches this image"]

    policy = await api.policy()
    await replay(api, delivery)
    assert (await decisions(api, delivery))[-1] == "started rollout 1"

    await eventually(lambda: api.image(agent.uuid), f"nginx:1.27@{A}")
    await agent.poll()
    await api.request("rollBack")
    assert await agent.obey() == "nginx:1.26"
    await eventually(api.status, "ROLLED_BACK")
    await replay(api, delivery)
    assert (await decisions(api, delivery))[-1] == "this release is blocked: rolled back"

    await api.change("unblockRelease", id=policy, image=f"nginx:1.27@{A}")
    await replay(api, delivery)
    assert (await decisions(api, delivery))[-1] == "started rollout 2"


async def test_the_same_body_is_decided_anew_where_it_names_no_digest(api: Api) -> None:
    endpoint = await made(api, Sender.GENERIC)
    by_tag, by_digest = await accepted(api, endpoint, NGINX), await accepted(api, endpoint, {**NGINX, "digest": A})
    for delivery in (by_tag, by_digest):
        assert await decisions(api, delivery) == ["no policy matches this image"]
    await api.devices("nginx:1.26")
    await api.policy()

    assert (await accepted(api, endpoint, NGINX), await accepted(api, endpoint, {**NGINX, "digest": A})) == (by_tag, by_digest)

    assert await decisions(api, by_tag) == ["no policy matches this image", "started rollout 1"]
    assert await decisions(api, by_digest) == ["no policy matches this image"]


async def test_what_has_a_name_of_its_own_is_decided_once(api: Api) -> None:
    endpoint = await made(api, Sender.GENERIC)
    delivery = await accepted(api, endpoint, NGINX, **{"Idempotency-Key": "build-1"})
    await api.decided(delivery)
    await api.devices("nginx:1.26")
    await api.policy()

    again = await told(api, endpoint, NGINX, **{"Idempotency-Key": "build-1"})

    assert again == (202, {"message": "known already", "delivery_id": delivery, "images": ["nginx:1.27"]})
    assert await decisions(api, delivery) == ["no policy matches this image"]
    assert await rollouts(api) == []


async def test_the_same_name_means_different_deliveries_of_different_endpoints(api: Api) -> None:
    one, other = await made(api, Sender.GENERIC), await made(api, Sender.GENERIC)

    posted = {await accepted(api, endpoint, NGINX, **{"Idempotency-Key": "1"}) for endpoint in (one, other)}
    _, shared = await api.webhook(NGINX)

    assert len({*posted, shared["delivery_id"]}) == 3


@pytest.mark.parametrize("names_it", [False, True])
async def test_a_thousand_times_the_same_is_one_delivery_and_one_rollout(api: Api, names_it: bool) -> None:
    await api.devices("nginx:1.26")
    await api.policy()
    endpoint = await made(api, Sender.GENERIC)
    headers = {"Idempotency-Key": "build-1"} if names_it else {}

    ids = set()
    for _ in range(20):
        ids |= set(await asyncio.gather(*(accepted(api, endpoint, NGINX, **headers) for _ in range(50))))

    [delivery] = ids
    first, *later = await decisions(api, delivery)
    assert (first, set(later) <= (set() if names_it else {"this release is known: rollout 1"})) == ("started rollout 1", True)
    assert (await api.delivery(delivery))["times"] == 1000
    assert await rollouts(api) == ["nginx:1.27"]


# Pushed together


@pytest.mark.parametrize("repetition", range(5))
async def test_of_tags_that_are_pushed_together_one_starts_a_rollout_whichever_is_looked_at_first(
    operator: Context, repetition: int
) -> None:
    await crowd(operator.db, 3, "quay.io/acme/app:1.4.1")
    await a_policy(operator, image_pattern=FOR_EVERY_DEVICE)
    told = [Image.parse(f"quay.io/acme/app:{tag}") for tag in ("latest", "1.4.2", "1.4", "main")]
    delivery = await a_delivery(operator, told[repetition % 4 :] + told[: repetition % 4])

    await take_in(operator)

    said = await said_of(operator, delivery)
    assert said.pop("quay.io/acme/app:1.4.2").startswith("started rollout 1")
    assert said == {
        "quay.io/acme/app:1.4": "1.4 is older than 1.4.1, which every device runs",
        "quay.io/acme/app:latest": "1.4.2, which was pushed together with it, goes before it",
        "quay.io/acme/app:main": "1.4.2, which was pushed together with it, goes before it",
    }


async def test_devices_on_a_moving_tag_keep_to_it_when_a_version_is_pushed_together_with_it(operator: Context) -> None:
    await crowd(operator.db, 3, "quay.io/acme/app:latest")
    await a_policy(operator, image_pattern=FOR_EVERY_DEVICE)
    delivery = await a_delivery(operator, [Image.parse(f"quay.io/acme/app:{tag}@{A}") for tag in ("1.4.2", "latest")])

    await take_in(operator)

    assert await said_of(operator, delivery) == {
        f"quay.io/acme/app:1.4.2@{A}": "latest, which was pushed together with it, goes before it",
        f"quay.io/acme/app:latest@{A}": "started rollout 1",
    }


async def a_delivery(operator: Context, images: list[Image], key: str = "1") -> DeliveryId:
    """Somebody told of these images."""
    async with operator.db.transaction() as conn:
        now = await operator.db.now(conn)
        delivery, _ = await deliveries.keep(conn, None, Sender.GENERIC, key, {}, b"{}", now)
        await pushes.insert(conn, Sender.GENERIC, images, now, delivery)
    return delivery


async def said_of(operator: Context, delivery: DeliveryId) -> dict[str, str]:
    """What was decided last of each image."""
    async with operator.db.reading() as conn:
        told = await pushes.of_delivery(conn, delivery)
        found = [(push.image, await pushes.decisions(conn, push.id)) for push in told]
    return {str(image): decided[-1][0].decision for image, decided in found if decided}


# The same words, another image


@pytest.fixture
async def little() -> AsyncIterator[LittleRegistry]:
    async with registry() as little:
        yield little


async def quay_of(api: Api, little: LittleRegistry) -> tuple[Made, dict[str, Any]]:
    """An endpoint for what this registry would tell if it were Quay, and what it tells."""
    await api.change("setRegistry", host=little.host, plainHttp=True)
    await api.policy(imagePattern=FOR_EVERY_DEVICE)
    return await made(api, Sender.QUAY), {"docker_url": f"{little.host}/acme/app", "updated_tags": ["latest"]}


async def test_the_same_words_after_another_push_start_another_rollout(api: Api, little: LittleRegistry) -> None:
    first = little.push("acme/app", "latest")
    [agent] = await api.devices(f"{little.host}/acme/app:latest")
    endpoint, body = await quay_of(api, little)

    delivery = await accepted(api, endpoint, body)
    await api.decided(delivery)
    await accepted(api, endpoint, body)
    await api.decided(delivery)
    second = little.push("acme/app", "latest")
    await accepted(api, endpoint, body)
    said = await decisions(api, delivery)

    assert said == ["started rollout 1", "this release is known: rollout 1", "started rollout 2"]
    assert await rollouts(api) == [f"{little.host}/acme/app:latest@{digest}" for digest in (first, second)]
    await eventually(lambda: api.image(agent.uuid), f"{little.host}/acme/app:latest@{second}")
    assert (await api.delivery(delivery))["times"] == 3


async def test_the_same_words_while_the_first_are_looked_at_mean_what_the_registry_has_last(api: Api, little: LittleRegistry) -> None:
    little.push("acme/app", "latest")
    await api.devices(f"{little.host}/acme/app:latest")
    endpoint, body = await quay_of(api, little)
    asked, may_answer = asyncio.Event(), asyncio.Event()

    async def answer_late(request: web.Request) -> web.StreamResponse | None:
        if asked.is_set():
            return None
        answer = await little.answer_manifest(request)
        asked.set()
        await may_answer.wait()
        return answer

    little.interrupt = answer_late
    delivery = await accepted(api, endpoint, body)
    await asyncio.wait_for(asked.wait(), 10)
    second = little.push("acme/app", "latest")
    await accepted(api, endpoint, body)
    may_answer.set()

    assert await decisions(api, delivery) == ["started rollout 1"]
    assert await rollouts(api) == [f"{little.host}/acme/app:latest@{second}"]
    await asyncio.sleep(0.3)
    assert await rollouts(api) == [f"{little.host}/acme/app:latest@{second}"], "what was answered late is forgotten"


async def test_what_is_told_again_while_somebody_looks_at_it_is_looked_at_anew_by_one_at_a_time(operator: Context) -> None:
    delivery = await a_delivery(operator, [Image.parse("nginx:1.27")])
    stale = await claimed(operator)
    assert stale is not None
    async with operator.db.transaction() as conn:
        now = await operator.db.now(conn)
        await pushes.heard_again(conn, delivery, now)
        await pushes.put_off(conn, stale, now + LEASE, "something else")
        [told] = await pushes.of_delivery(conn, delivery)
    assert (told.round, told.waits_for, told.due_at) == (stale.round + 1, None, now)
    assert await claimed(operator) is None

    await consider(operator, stale)

    assert await said_of(operator, delivery) == {}, "what was found out before decides nothing"
    await take_in(operator)
    assert await said_of(operator, delivery) == {"nginx:1.27": "no policy matches this image"}


async def claimed(operator: Context) -> Push | None:
    async with operator.db.transaction() as conn:
        return await pushes.claim(conn, (), await operator.db.now(conn), LEASE)


# Forgotten


async def test_what_was_told_a_month_ago_is_forgotten_unless_something_of_it_waits(operator: Context, clock: MovableClock) -> None:
    settled, waiting, repeated = [await a_delivery(operator, [Image.parse(f"nginx:1.{key}")], key) for key in "123"]
    await take_in(operator)
    async with operator.db.transaction() as conn:
        [push] = await pushes.of_delivery(conn, waiting)
        await pushes.replay(conn, waiting, await operator.db.now(conn))
        await pushes.insert(conn, "polling", [Image.parse("nginx:2")], await operator.db.now(conn))
    clock.advance(days=29)
    await tidy(operator.db)
    assert len(await kept(operator)) == 3
    await a_delivery(operator, [Image.parse("nginx:1.3")], "3")

    clock.advance(days=2)
    await tidy(operator.db)

    assert await kept(operator) == [repeated, waiting]
    rows = await everything(operator.db)
    assert {row[1] for row in rows["pushes"]} == {waiting, repeated, None}
    assert {row[1] for row in rows["decisions"]} == {push.id, 3}
    assert settled not in await kept(operator)

    await take_in(operator)
    await tidy(operator.db)
    assert await kept(operator) == [repeated]
    assert [row[1] for row in (await everything(operator.db))["pushes"]] == [repeated]


async def kept(operator: Context) -> list[DeliveryId]:
    async with operator.db.reading() as conn:
        return [delivery.id for delivery in await deliveries.page(conn, DeliveryId(2**62), 100)]


# With a hundred thousand of them


@pytest.fixture
async def many(operator: Context) -> AsyncIterator[Connection]:
    """A hundred thousand deliveries of a thousand repositories, of which the last ten wait; the first ten are of another endpoint."""
    async with operator.db.transaction() as conn:
        await conn.execute(MANY)
    async with operator.db.reading() as conn:
        await conn.execute("vacuum analyze deliveries, pushes, decisions, webhook_endpoints")
    async with operator.db.transaction() as conn:
        yield conn


MANY = """
    insert into webhook_endpoints (name, sender, scheme, repositories, created_at, rotated_at)
    select 'busy', 'generic', 'path', '{}', now(), now() from generate_series(1, 2);
    insert into deliveries (endpoint_id, sender, key, headers, body, received_at, last_at)
    select case when n > 10 then 1 else 2 end, 'generic', n, '{}', 'x', at, at
      from (select n, now() - interval '1 second' * (100000 - n) as at from generate_series(1, 100000) n) as told;
    insert into pushes (delivery_id, source, repository, image, first_at, heard_at, due_at)
    select id, 'generic', 'ghcr.io/acme/app' || id % 1000, 'ghcr.io/acme/app' || id % 1000 || ':1.' || id, received_at, received_at,
           case when id > 99990 then received_at end
      from deliveries order by id;
    insert into decisions (push_id, round, image, started, decision, at)
    select id, 1, image, false, 'no policy matches this image', heard_at from pushes order by id;
"""


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
async def test_what_was_settled_long_ago_costs_nothing(many: Connection, operator: Context, plans: str) -> None:
    await many.execute(f"set local plan_cache_mode = {plans}")
    conn, now, last = many, await operator.db.now(many), 2**62
    [push] = await pushes.page(conn, PushId(last), 1)
    image, delivery = Image.parse("ghcr.io/acme/app7:1.7"), DeliveryId(50_000)
    asked: dict[str, Awaitable[object]] = {
        "due": pushes.are_due(conn, now),
        "claim": pushes.claim(conn, (), now, LEASE),
        "newest pushes": pushes.page(conn, PushId(last), 51),
        "those that wait": pushes.page(conn, PushId(last), 51, PushFilter(waiting=True)),
        "those that are settled": pushes.page(conn, PushId(last), 51, PushFilter(waiting=False)),
        "newest deliveries": deliveries.page(conn, DeliveryId(last), 51),
        "those of a busy endpoint": deliveries.page(conn, DeliveryId(last), 51, DeliveryFilter(EndpointId(1))),
        "those of a quiet endpoint": deliveries.page(conn, DeliveryId(last), 51, DeliveryFilter(EndpointId(2))),
        "one": deliveries.one(conn, delivery),
        "what it told": pushes.of_delivery(conn, delivery),
        "what came of it": pushes.decisions(conn, PushId(50_000)),
        "keep a new one": deliveries.keep(conn, EndpointId(1), Sender.GENERIC, "new", {}, b"x", now),
        "keep a known one": deliveries.keep(conn, EndpointId(1), Sender.GENERIC, "50000", {}, b"x", now),
        "insert": pushes.insert(conn, "generic", [image], now, delivery),
        "heard again": pushes.heard_again(conn, delivery, now),
        "replay": pushes.replay(conn, delivery, now),
        "wake": pushes.wake(conn, [image.repository], now),
        "told together": pushes.told_together(conn, push),
        "told again": pushes.is_told_again(conn, push, PolicyId(1)),
        "first heard": pushes.first_heard(conn, image),
        "was heard": pushes.was_heard(conn, image, now),
        "forget deliveries": deliveries.forget(conn, now, timedelta(days=30), 5000),
        "forget pushes": pushes.forget(conn, now, timedelta(days=30), 5000),
    }  # fmt: skip

    looked = {name: await read_by(conn, question) for name, question in asked.items()}

    assert {name: rows for name, rows in looked.items() if rows > 250} == {}


# At the same time


async def test_what_is_told_again_and_what_is_woken_do_not_lock_each_other_out(operator: Context) -> None:
    async with operator.db.transaction() as conn:
        await conn.execute(MANY)
        await conn.execute("analyze")
    tags = [f"quay.io/acme/app:{number * 37 % 100}" for number in range(100)]
    delivery = await a_delivery(operator, [Image.parse(tag) for tag in tags])
    await a_delivery(operator, [Image.parse(tag) for tag in reversed(tags)], "2")

    async def tell_again() -> None:
        async with operator.db.transaction() as conn:
            await pushes.heard_again(conn, delivery, await operator.db.now(conn))

    async def wake() -> None:
        async with operator.db.transaction() as conn:
            await pushes.wake(conn, ["quay.io/acme/app"], await operator.db.now(conn) - timedelta(minutes=1))

    for _ in range(30):
        await asyncio.gather(*(step() for step in (tell_again, wake, tell_again, wake)))


async def test_an_approval_is_not_missed_by_a_push_that_is_just_being_decided_about(operator: Context) -> None:
    await a_delivery(operator, [Image.parse("nginx:1.27")])
    push = await claimed(operator)
    assert push is not None

    async with operator.db.transaction() as conn:
        await images.alone(conn, [push.image])
        assert await pushes.locked(conn, push)
        approving = asyncio.create_task(catalogue.judge(operator, "nginx", Standing.APPROVED, None))
        await asyncio.sleep(0.2)
        hour = await operator.db.now(conn) + timedelta(hours=1)
        await pushes.put_off(conn, push, hour, "it waits for approval")
    await approving

    again = await claimed(operator)
    assert again is not None
    assert again.id == push.id
