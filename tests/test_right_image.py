"""The right image: its digest from the payload or from its registry, and what becomes of a push whose registry does not tell."""

import asyncio
from dataclasses import replace

import pytest
from aiohttp import web

from domain.catalogue import Standing
from domain.endpoints import Scheme, Sender
from domain.events import EventType
from domain.ids import DeliveryId
from domain.images import Image
from domain.statuses import Status
from monitor.intake import take_in
from monitor.polling import poll
from registries.oci.session import client
from registries.webhooks import Received
from resolvers import catalogue, deliveries, endpoints, images, policies, registries, rollouts
from resolvers.context import Context
from resolvers.endpoints import Wanted
from resolvers.vault import Vault
from storage import pushes
from storage.database import Database
from tests.api import eventually
from tests.clock import MovableClock
from tests.factories import a_policy, name
from tests.registry import LittleRegistry, registry
from tests.told import APP, all_pushes, all_rollouts, at, decided, decision, everything_of, looked_at, rolled_out, told, waits_for
from tools.crowd import crowd

A, B = f"sha256:{'a' * 64}", f"sha256:{'b' * 64}"


@pytest.fixture
async def app(asking: Context, little: LittleRegistry) -> LittleRegistry:
    """A registry with the app at 1.0.0, which three devices run."""
    little.push(APP, "1.0.0")
    await crowd(asking.db, 3, at(little, "1.0.0"))
    return little


async def hang(_: web.Request) -> web.Response:
    await asyncio.sleep(3600)
    raise AssertionError


async def down(_: web.Request) -> web.Response:
    return web.Response(status=503)


# The digest


async def test_a_tag_is_resolved_before_it_is_rolled_out(asking: Context, app: LittleRegistry) -> None:
    await a_policy(asking, **everything_of(app))
    digest = app.push(APP, "2.0.0")

    push = await told(asking, at(app, "2.0.0"))

    assert push.due_at is None
    assert str(push.resolved) == at(app, "2.0.0", digest)
    assert [str(image) for image in await rolled_out(asking)] == [at(app, "2.0.0", digest)]
    assert await decision(asking, push) == "started rollout 1"


async def test_a_digest_that_was_told_is_believed_and_nobody_is_asked(asking: Context, app: LittleRegistry) -> None:
    await a_policy(asking, **everything_of(app))

    await told(asking, at(app, "2.0.0", A))

    assert [image.digest for image in await rolled_out(asking)] == [A]
    assert app.requests == []


async def test_a_registry_is_not_asked_about_what_nobody_would_take(asking: Context, app: LittleRegistry) -> None:
    app.push(APP, "0.9.0")
    unmatched = await told(asking, at(app, "0.9.0"))
    await a_policy(asking, **everything_of(app))

    older = await told(asking, at(app, "0.9.0"))
    unused = await told(asking, str(app.image("acme/other", "1")))

    assert app.requests == []
    assert await decision(asking, unmatched) == "no policy matches this image"
    assert "is older than 1.0.0" in await decision(asking, older)
    assert "no device that this policy governs runs" in await decision(asking, unused)


async def test_one_answer_serves_every_policy(asking: Context, app: LittleRegistry) -> None:
    for fleet in ("a", "b", "c"):
        await crowd(asking.db, 1, at(app, "1.0.0"), fleet=fleet)
        await a_policy(asking, **everything_of(app), fleet=fleet)
    digest = app.push(APP, "2.0.0")

    push = await told(asking, at(app, "2.0.0"))

    assert [(found.started, found.image.digest) for found in await decided(asking, push)] == [(True, digest)] * 3
    assert len(app.asked("/manifests/")) == 1


async def test_a_tag_that_moved_is_another_release(asking: Context, app: LittleRegistry) -> None:
    app.push(APP, "stable")
    await crowd(asking.db, 1, at(app, "stable"), fleet="moving")
    await a_policy(asking, **everything_of(app), fleet="moving")
    first = app.push(APP, "stable")
    await told(asking, at(app, "stable"))
    second = app.push(APP, "stable")

    await told(asking, at(app, "stable"))

    assert [image.digest for image in await rolled_out(asking)] == [first, second]
    assert [rollout.status for rollout in await all_rollouts(asking)][:1] == [Status.SUPERSEDED]


# Nobody tells


async def test_without_a_named_registry_a_version_goes_by_its_tag_at_once_and_says_so(operator: Context) -> None:
    await crowd(operator.db, 3, "nginx:1.0.0")
    await a_policy(operator)

    push = await told(operator, "nginx:2.0.0")

    why = "started rollout 1, by its tag: docker.io is not among the registries that may be asked (setRegistry)"
    assert await decision(operator, push) == why
    [rollout] = await all_rollouts(operator)
    assert (await rollouts.explain(operator, rollout.id)).cause == why


async def test_without_a_named_registry_a_moving_tag_that_devices_run_waits(operator: Context) -> None:
    await crowd(operator.db, 3, "nginx:latest")
    await a_policy(operator)

    push = await told(operator, "nginx:latest")

    assert await rolled_out(operator) == []
    assert push.waits_for == ("policy 1: its digest is not known: docker.io is not among the registries that may be asked (setRegistry)")


async def test_a_moving_tag_that_no_device_runs_yet_goes_by_its_tag(operator: Context) -> None:
    await crowd(operator.db, 3, "nginx:stable")
    await a_policy(operator)

    await told(operator, "nginx:latest")

    assert await rolled_out(operator) == [Image.parse("nginx:latest")]


@pytest.mark.parametrize(("unresolved", "tag", "starts"), [("wait", "2.0.0", False), ("auto", "latest", False), ("by_tag", "latest", True)])
async def test_a_policy_may_insist_on_the_digest_or_do_without(operator: Context, unresolved: str, tag: str, starts: bool) -> None:
    await crowd(operator.db, 3, "nginx:1.0.0")
    await crowd(operator.db, 3, "nginx:latest")
    await a_policy(operator, registry={"unresolved": unresolved})

    await told(operator, f"nginx:{tag}")

    assert (await rolled_out(operator) != []) is starts


async def test_a_waiting_push_goes_on_as_soon_as_its_registry_is_named(asking: Context, app: LittleRegistry) -> None:
    digest = app.push(APP, "2.0.0")
    await registries.delete(asking, app.host)
    await a_policy(asking, **everything_of(app), registry={"unresolved": "wait"})
    await told(asking, "nginx:2.0.0")
    push = await told(asking, at(app, "2.0.0"))
    assert push.due_at is not None
    assert "not among the registries" in (push.waits_for or "")

    await name(asking, app)

    assert (await looked_at(asking, push)).due_at is None
    assert [image.digest for image in await rolled_out(asking)] == [digest]


@pytest.mark.parametrize("answer", [down, hang])
async def test_a_registry_that_does_not_answer_is_given_a_minute_and_then_a_version_goes_by_its_tag(
    asking: Context, app: LittleRegistry, clock: MovableClock, answer: object
) -> None:
    await a_policy(asking, **everything_of(app))
    app.push(APP, "2.0.0")
    app.interrupt = hang if answer is hang else down
    push = await told(asking, at(app, "2.0.0"))
    assert (push.waits_for or "").endswith("; a minute after it was pushed it goes by its tag")

    for seconds in (5, 10, 20):
        clock.advance(seconds=seconds)
        assert (await looked_at(asking, push)).due_at is not None, seconds
    clock.advance(seconds=25)
    push = await looked_at(asking, push)

    assert push.due_at is None
    assert "started rollout 1, by its tag: 127.0.0.1" in await decision(asking, push)
    assert await rolled_out(asking) == [app.image(APP, "2.0.0")]


async def test_a_registry_that_comes_back_within_a_minute_gives_the_digest(
    asking: Context, app: LittleRegistry, clock: MovableClock
) -> None:
    await a_policy(asking, **everything_of(app))
    digest = app.push(APP, "2.0.0")
    app.interrupt = down
    push = await told(asking, at(app, "2.0.0"))

    app.interrupt = None
    clock.advance(seconds=5)
    await looked_at(asking, push)

    assert [image.digest for image in await rolled_out(asking)] == [digest]


async def test_a_registry_that_wants_rest_gets_it_and_the_policy_its_digest(
    asking: Context, app: LittleRegistry, clock: MovableClock
) -> None:
    await a_policy(asking, **everything_of(app), registry={"unresolved": "wait"})
    digest = app.push(APP, "2.0.0")
    app.busy = {"Retry-After": "600"}
    push = await told(asking, at(app, "2.0.0"))
    asked = len(app.requests)

    clock.advance(seconds=590)
    push = await looked_at(asking, push)
    assert len(app.requests) == asked
    assert "wants to be asked again in 600 s" in (push.waits_for or "")
    app.busy = None
    clock.advance(seconds=20)
    await looked_at(asking, push)

    assert [image.digest for image in await rolled_out(asking)] == [digest]


async def test_who_goes_by_tag_does_not_wait_longer_than_a_minute_for_a_registry_that_wants_rest(
    asking: Context, app: LittleRegistry, clock: MovableClock
) -> None:
    await a_policy(asking, **everything_of(app))
    app.push(APP, "2.0.0")
    app.busy = {"Retry-After": "600"}
    push = await told(asking, at(app, "2.0.0"))

    clock.advance(seconds=61)
    push = await looked_at(asking, push)

    assert "by its tag: " in await decision(asking, push)


async def test_a_tag_that_is_late_is_awaited(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await a_policy(asking, **everything_of(app))
    push = await told(asking, at(app, "2.0.0"))
    assert push.waits_for == f"policy 1: {app.host} has no {at(app, '2.0.0')}"

    digest = app.push(APP, "2.0.0")
    clock.advance(seconds=5)
    await looked_at(asking, push)

    assert [image.digest for image in await rolled_out(asking)] == [digest]


async def test_a_tag_that_never_comes_is_given_up(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await a_policy(asking, **everything_of(app), registry={"unresolved": "by_tag"})
    push = await told(asking, at(app, "2.0.0"))

    clock.advance(minutes=10)
    push = await looked_at(asking, push)

    assert push.due_at is None
    assert await decision(asking, push) == f"{app.host} has no {at(app, '2.0.0')}"
    assert await rolled_out(asking) == []


async def test_a_password_that_cannot_be_read_is_the_registrys_problem_and_not_a_crash(asking: Context, app: LittleRegistry) -> None:
    await registries.save(asking, app.host, "user", "password", plain_http=True)
    await a_policy(asking, **everything_of(app), registry={"unresolved": "wait"})

    push = await told(replace(asking, vault=Vault()), at(app, "2.0.0"))

    assert "cannot be asked: a kept secret was encrypted with a key that is not in ROLLWAVE_ENCRYPTION_KEY" in (push.waits_for or "")


# Waiting is not for ever


async def test_one_policy_starts_while_another_waits(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await crowd(asking.db, 2, at(app, "1.0.0"), fleet="careful")
    await a_policy(asking, **everything_of(app), fleet="careful", registry={"min_age_minutes": 60})
    await a_policy(asking, **everything_of(app))
    app.push(APP, "2.0.0")

    push = await told(asking, at(app, "2.0.0"))
    assert [(found.policy_id, found.started) for found in await decided(asking, push)] == [(2, True)]
    assert push.waits_for == "policy 1: it is taken 60 minutes after it was first heard of"
    clock.advance(minutes=60)
    push = await looked_at(asking, push)

    assert [(found.policy_id, found.started) for found in await decided(asking, push)] == [(2, True), (1, True)]
    assert push.due_at is None


@pytest.mark.parametrize("change", ["delete", "disable"])
async def test_a_push_does_not_wait_for_a_policy_that_is_gone(asking: Context, app: LittleRegistry, change: str) -> None:
    policy = await a_policy(asking, **everything_of(app), registry={"min_age_minutes": 60})
    push = await told(asking, at(app, "2.0.0", A))
    assert push.due_at is not None

    if change == "delete":
        await policies.delete(asking, policy.id)
    else:
        await policies.update(asking, policy.id, {"enabled": False})
    push = await looked_at(asking, push)

    assert push.due_at is None
    assert await decision(asking, push) == "no policy matches this image"


async def test_a_push_goes_on_when_its_policy_demands_less(asking: Context, app: LittleRegistry) -> None:
    policy = await a_policy(asking, **everything_of(app), registry={"min_age_minutes": 60})
    push = await told(asking, at(app, "2.0.0", A))

    await policies.update(asking, policy.id, {"registry": {}})
    await looked_at(asking, push)

    assert [image.digest for image in await rolled_out(asking)] == [A]


# Told again


async def heard(ctx: Context, image: Image, key: str | None = None, body: bytes = b"the same words") -> DeliveryId:
    """A sender posts that an image was pushed."""
    received = Received(Sender.HARBOR, (image,), key)
    receipt = await deliveries.receive(ctx, received, None, {}, body)
    await take_in(ctx)
    return receipt.id


async def test_the_same_words_told_again_while_waiting_are_asked_about_anew(
    asking: Context, app: LittleRegistry, clock: MovableClock
) -> None:
    app.push(APP, "stable")
    await crowd(asking.db, 1, at(app, "stable"), fleet="moving")
    await a_policy(asking, **everything_of(app), fleet="moving", registry={"min_age_minutes": 60})
    app.push(APP, "stable")
    await heard(asking, app.image(APP, "stable"))
    clock.advance(minutes=30)
    newer = app.push(APP, "stable")

    await heard(asking, app.image(APP, "stable"))
    clock.advance(minutes=59)
    await take_in(asking)
    assert await rolled_out(asking) == [], "the newer one is as young as when it was first heard of"
    clock.advance(minutes=1)
    await take_in(asking)

    assert [image.digest for image in await rolled_out(asking)] == [newer]


async def test_the_same_image_told_again_is_as_old_as_when_it_was_told_first(
    asking: Context, app: LittleRegistry, clock: MovableClock
) -> None:
    await a_policy(asking, **everything_of(app), registry={"min_age_minutes": 60})
    digest = app.push(APP, "2.0.0")
    for _ in range(3):
        await heard(asking, app.image(APP, "2.0.0"))
        clock.advance(minutes=20)

    await take_in(asking)

    assert [image.digest for image in await rolled_out(asking)] == [digest]


async def test_an_image_whose_digest_is_not_known_is_as_old_as_its_last_push(operator: Context, clock: MovableClock) -> None:
    await crowd(operator.db, 3, "nginx:stable")
    await a_policy(operator, registry={"min_age_minutes": 60})
    await told(operator, "nginx:latest")
    clock.advance(minutes=50)
    await told(operator, "nginx:latest", "another sender")

    clock.advance(minutes=50)
    await take_in(operator)
    assert await rolled_out(operator) == []
    clock.advance(minutes=10)
    await take_in(operator)

    assert await rolled_out(operator) == [Image.parse("nginx:latest")]


async def test_a_push_that_waits_gives_way_to_a_newer_one_of_its_tag(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await a_policy(asking, **everything_of(app), approved_images_only=True)
    first = await told(asking, at(app, "2.0.0", A))
    clock.advance(minutes=1)
    await told(asking, at(app, "2.0.0", B))

    await catalogue.judge(asking, at(app, "2.0.0"), Standing.APPROVED, None)
    first = await looked_at(asking, first)

    assert [image.digest for image in await rolled_out(asking)] == [B]
    assert await decision(asking, first) == "it was pushed again before this push was decided: it waits for approval"


async def test_a_tag_that_is_pushed_all_the_time_is_taken_image_by_image_as_each_is_old_enough(
    asking: Context, app: LittleRegistry, clock: MovableClock
) -> None:
    await a_policy(asking, **everything_of(app), registry={"min_age_minutes": 60})
    await told(asking, at(app, "2.0.0", A))
    clock.advance(minutes=30)
    await told(asking, at(app, "2.0.0", B))

    clock.advance(minutes=30)
    await take_in(asking)
    assert [image.digest for image in await rolled_out(asking)] == [A]
    clock.advance(minutes=30)
    await take_in(asking)
    assert [image.digest for image in await rolled_out(asking)] == [A, B]


async def test_a_sender_that_may_not_speak_for_an_image_does_not_end_the_wait_of_one_that_may(
    asking: Context, app: LittleRegistry, clock: MovableClock
) -> None:
    await a_policy(asking, **everything_of(app), registry={"min_age_minutes": 60})
    push = await told(asking, at(app, "2.0.0", A))
    clock.advance(minutes=1)
    wanted = Wanted("of others", Sender.HARBOR, Scheme.HEADER, None, ["others/*"])
    endpoint, _ = await endpoints.create(asking, wanted)
    await deliveries.receive(asking, Received(Sender.HARBOR, (app.image(APP, "2.0.0"),), "1"), endpoint, {}, b"")

    clock.advance(minutes=59)
    await looked_at(asking, push)

    assert [image.digest for image in await rolled_out(asking)] == [A]


async def test_a_release_told_by_its_tag_and_within_a_quarter_of_an_hour_by_its_digest_is_one(
    operator: Context, clock: MovableClock
) -> None:
    await crowd(operator.db, 3, "nginx:1.0.0")
    await a_policy(operator)
    await told(operator, "nginx:2.0.0")

    clock.advance(minutes=14)
    same = await told(operator, f"nginx:2.0.0@{A}")
    clock.advance(minutes=2)
    other = await told(operator, f"nginx:2.0.0@{A}")

    assert await decision(operator, same) == "this release is known: rollout 1"
    assert await decision(operator, other) == "started rollout 2"


async def test_a_delivery_is_decided_anew_when_it_is_replayed(asking: Context, app: LittleRegistry) -> None:
    policy = await a_policy(asking, **everything_of(app), tags={"level": "patch"})
    delivery = await heard(asking, app.image(APP, "2.0.0"), key="1")
    digest = app.push(APP, "2.0.0")
    await policies.update(asking, policy.id, {"tags": {}})
    assert await rolled_out(asking) == []

    await deliveries.replay(asking, delivery)
    await take_in(asking)
    await deliveries.replay(asking, delivery)
    await take_in(asking)

    [push] = await all_pushes(asking)
    assert [image.digest for image in await rolled_out(asking)] == [digest]
    assert [found.decision for found in await decided(asking, push)][1:] == ["started rollout 1", "this release is known: rollout 1"]
    async with asking.db.reading() as conn:
        kinds = [row["type"] for row in await conn.fetch("select type from events")]
    assert kinds.count(EventType.ROLLOUT_CREATED) == 1


# Nobody is held up


async def test_a_registry_that_hangs_holds_up_neither_other_pushes_nor_polls_nor_the_database(
    database_url: str, operator: Context, clock: MovableClock
) -> None:
    async with (
        registry() as hanging,
        registry() as quick,
        client(seconds=30) as way,
        Database.connect(database_url, clock=clock, size=2) as small,
    ):
        ctx = replace(operator, db=small, registries=way)
        hanging.interrupt = hang
        for little in (hanging, quick):
            await name(ctx, little)
            await a_policy(ctx, **everything_of(little), registry={"poll_minutes": 5})
        for number in range(10):
            for little in (hanging, quick):
                await crowd(ctx.db, 1, str(little.image(f"acme/app{number}", "1.0.0")))
            quick.push(f"acme/app{number}", "2.0.0")
        async with ctx.db.transaction() as conn:
            now = await ctx.db.now(conn)
            for little in (hanging, quick):
                await pushes.insert(conn, "test", [little.image(f"acme/app{number}", "2.0.0") for number in range(10)], now)

        intake = asyncio.create_task(take_in(ctx))
        await eventually(lambda: _started(ctx), 10)
        polls = asyncio.create_task(poll(ctx))
        await eventually(lambda: _polled(ctx), 10)
        quick.push("acme/app0", "3.0.0")
        await _insert(ctx, quick.image("acme/app0", "3.0.0"))
        await eventually(lambda: _started(ctx), 11)

        assert not intake.done()
        assert not polls.done()
        for task in (intake, polls):
            task.cancel()
        await asyncio.gather(intake, polls, return_exceptions=True)


async def _started(ctx: Context) -> int:
    return len(await all_rollouts(ctx))


async def _polled(ctx: Context) -> int:
    async with ctx.db.reading() as conn:
        found: int = await conn.fetchval("select count(*) from polled_repositories where asked_at is not null")
    return found


async def _insert(ctx: Context, image: Image) -> None:
    async with ctx.db.transaction() as conn:
        await pushes.insert(conn, "test", [image], await ctx.db.now(conn))


async def test_a_push_that_is_being_looked_at_is_left_to_who_does(asking: Context, app: LittleRegistry) -> None:
    await a_policy(asking, **everything_of(app))
    app.push(APP, "2.0.0")
    await _insert(asking, app.image(APP, "2.0.0"))

    await asyncio.gather(*(take_in(asking) for _ in range(5)))

    assert len(app.asked("/manifests/")) == 1
    assert len(await rolled_out(asking)) == 1


async def test_who_died_while_looking_is_replaced_after_a_minute(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await a_policy(asking, **everything_of(app))
    app.push(APP, "2.0.0")
    app.interrupt = hang
    await _insert(asking, app.image(APP, "2.0.0"))
    task = asyncio.create_task(take_in(asking))
    await eventually(lambda: _asked(app), 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    app.interrupt = None

    await take_in(asking)
    assert await rolled_out(asking) == []
    clock.advance(minutes=1)
    await take_in(asking)

    assert len(await rolled_out(asking)) == 1


async def _asked(little: LittleRegistry) -> int:
    return len(little.requests)


async def test_pushes_of_one_repository_decided_at_once_do_not_wait_for_each_other_for_ever(asking: Context, app: LittleRegistry) -> None:
    await a_policy(asking, **everything_of(app), approved_images_only=True)
    for minor in range(12):
        app.push(APP, f"1.{minor}.1")
        await _insert(asking, app.image(APP, f"1.{minor}.1"))

    await asyncio.gather(
        take_in(asking), *(catalogue.judge(asking, at(app, f"1.{minor}.1"), Standing.APPROVED, None) for minor in range(12))
    )
    await take_in(asking)

    assert await waits_for(asking) == []
    [last] = [rollout.image.tag for rollout in await all_rollouts(asking) if rollout.status is not Status.SUPERSEDED]
    assert last == "1.11.1"


async def test_a_rollout_says_what_it_came_of(asking: Context, app: LittleRegistry) -> None:
    policy = await a_policy(asking, **everything_of(app))
    app.push(APP, "2.0.0")
    await told(asking, at(app, "2.0.0"))
    await images.create_rollout(asking, policy.id, at(app, "3.0.0"))
    await images.create_rollout(asking, policy.id, at(app, "3.0.0", A))

    causes = [(await rollouts.explain(asking, rollout.id)).cause for rollout in await all_rollouts(asking)]

    assert causes == ["started rollout 1", "an operator created it, by its tag", "an operator created it"]


async def test_a_registry_that_wanted_to_be_left_alone_is_asked_at_once_when_an_operator_sets_it_anew(
    asking: Context, app: LittleRegistry
) -> None:
    digest = app.push(APP, "2.0.0")
    await a_policy(asking, **everything_of(app), registry={"unresolved": "wait"})
    app.busy = {"Retry-After": "21600"}
    held = await told(asking, at(app, "2.0.0"))
    assert "wants to be asked again in 21600 s (429)" in (held.waits_for or "")
    app.busy = None

    await registries.save(asking, app.host, None, None, plain_http=True)
    await take_in(asking)

    assert [str(rollout.image) for rollout in await all_rollouts(asking)] == [at(app, "2.0.0", digest)]
