"""Registries that cannot call are asked: what is news to a policy, how often, and by whom."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web

from domain.catalogue import Standing
from domain.policies import Policy
from domain.polling import Polled
from domain.pushes import POLLING
from domain.requests import Request
from domain.rollouts import Rollout
from domain.statuses import Status
from monitor.intake import take_in
from monitor.janitor import tidy
from monitor.polling import poll
from monitor.reconciler import reconcile
from registries.oci.session import client
from resolvers import catalogue, policies, polling, registries, rollouts
from resolvers.context import Context
from storage.database import Database
from tests.api import Api, eventually, flat
from tests.clock import MovableClock
from tests.factories import a_policy, finished, name
from tests.factories import at as now
from tests.registry import LittleRegistry, registry
from tests.told import APP, all_pushes, all_rollouts, at, decided, decision, everything_of, rolled_out, told
from tools.crowd import crowd

INTERVAL = timedelta(minutes=10)


async def polling_policy(ctx: Context, little: LittleRegistry, **more: Any) -> Policy:
    """A policy that has the registry asked every ten minutes."""
    return await a_policy(ctx, **{**everything_of(little), "registry": {"poll_minutes": 10}, **more})


async def round_of(ctx: Context, clock: MovableClock | None = None, **later: float) -> None:
    """Ask whatever is due by now, and decide what follows; time passes before, more than an interval unless it is said."""
    if clock is not None:
        clock.advance(**(later or {"minutes": 11.5}))
    await poll(ctx)
    await take_in(ctx)


async def done(ctx: Context) -> Rollout:
    """The newest rollout, once every device runs its image and has it as its own."""
    await reconcile(ctx.db)
    rollout = await finished(ctx.db, (await all_rollouts(ctx))[-1].id)
    await tidy(ctx.db)
    return rollout


async def tags(ctx: Context) -> list[str | None]:
    """The tag of every rollout, oldest first."""
    return [image.tag for image in await rolled_out(ctx)]


async def the_polled(ctx: Context) -> Polled:
    [polled] = await polling.page(ctx)
    return polled


@pytest.fixture
async def app(asking: Context, little: LittleRegistry) -> LittleRegistry:
    """A registry with the app at 1.0.0, which three devices run."""
    little.push(APP, "1.0.0")
    await crowd(asking.db, 3, at(little, "1.0.0"))
    return little


# What is news


async def test_the_first_look_finds_nothing_new_where_devices_run_the_newest(asking: Context, app: LittleRegistry) -> None:
    await polling_policy(asking, app)

    await round_of(asking)

    assert app.asked() == [f"GET /v2/{APP}/tags/list?n=1000", f"HEAD /v2/{APP}/manifests/1.0.0"]
    assert await all_pushes(asking) == []
    assert (await the_polled(asking)).problem is None


async def test_the_first_look_finds_what_was_pushed_before_anybody_looked(asking: Context, app: LittleRegistry) -> None:
    app.push(APP, "1.5.0")
    digest = app.push(APP, "2.0.0")
    await polling_policy(asking, app)

    await round_of(asking)

    assert await rolled_out(asking) == [app.image(APP, "2.0.0", digest)]
    [push] = await all_pushes(asking)
    assert (push.source, await decision(asking, push)) == (POLLING, "started rollout 1")


async def test_a_new_version_is_like_a_push_once(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await polling_policy(asking, app)
    await round_of(asking)
    digest = app.push(APP, "1.1.0")

    for _ in range(3):
        await round_of(asking, clock)
    await done(asking)
    for _ in range(3):
        await round_of(asking, clock)

    assert await rolled_out(asking) == [app.image(APP, "1.1.0", digest)]
    assert len(await all_pushes(asking)) == 1


async def test_a_moving_tag_that_devices_run_is_news_whenever_it_moved(
    asking: Context, little: LittleRegistry, clock: MovableClock
) -> None:
    first = little.push(APP, "stable")
    await crowd(asking.db, 3, at(little, "stable"))
    await polling_policy(asking, little)
    await round_of(asking)
    await done(asking)
    await round_of(asking, clock)
    second = little.push(APP, "stable")
    await round_of(asking, clock)
    await round_of(asking, clock)

    assert [image.digest for image in await rolled_out(asking)] == [first, second]
    assert len(await all_pushes(asking)) == 2


async def test_a_moving_tag_that_moved_back_is_news_again(asking: Context, little: LittleRegistry, clock: MovableClock) -> None:
    first = little.push(APP, "stable", text="one")
    await crowd(asking.db, 3, at(little, "stable", first))
    await polling_policy(asking, little)
    second = little.push(APP, "stable")
    await round_of(asking)
    await done(asking)

    little.tag(APP, "stable", first)
    await round_of(asking, clock)

    assert [image.digest for image in await rolled_out(asking)] == [second, first]


async def test_a_version_that_was_pushed_again_with_another_image_is_news(
    asking: Context, app: LittleRegistry, clock: MovableClock
) -> None:
    await polling_policy(asking, app)
    await round_of(asking)
    digest = app.push(APP, "1.0.0")

    await round_of(asking, clock)

    assert await rolled_out(asking) == [app.image(APP, "1.0.0", digest)]


async def test_a_version_that_devices_run_by_another_digest_is_news_at_the_first_look(asking: Context, little: LittleRegistry) -> None:
    old = little.push(APP, "1.0.0")
    await crowd(asking.db, 3, at(little, "1.0.0", old))
    new = little.push(APP, "1.0.0")
    await polling_policy(asking, little)

    await round_of(asking)

    assert [image.digest for image in await rolled_out(asking)] == [new]


async def test_the_version_that_a_rollout_brings_by_its_tag_is_no_news(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await polling_policy(asking, app)
    app.push(APP, "1.1.0")
    await registries.delete(asking, app.host)
    await told(asking, at(app, "1.1.0"))
    await name(asking, app)

    clock.advance(hours=1)
    await round_of(asking)
    await round_of(asking, clock)

    assert await rolled_out(asking) == [app.image(APP, "1.1.0")]


async def test_what_polling_and_a_webhook_tell_is_one_release(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await polling_policy(asking, app)
    app.push(APP, "1.1.0")
    await told(asking, at(app, "1.1.0"))
    await round_of(asking)
    await round_of(asking, clock)
    assert len(await all_pushes(asking)) == 1, "asking finds what a webhook told"

    app.push(APP, "1.2.0")
    await round_of(asking, clock)
    later = await told(asking, at(app, "1.2.0"))

    assert await decision(asking, later) == "this release is known: rollout 2"
    assert await tags(asking) == ["1.1.0", "1.2.0"]


async def test_a_webhook_and_a_look_at_the_same_moment_make_one_rollout(asking: Context, app: LittleRegistry) -> None:
    await polling_policy(asking, app)
    app.push(APP, "1.1.0")

    await asyncio.gather(told(asking, at(app, "1.1.0")), round_of(asking), round_of(asking))
    await take_in(asking)

    assert await tags(asking) == ["1.1.0"]


async def test_a_release_that_was_rolled_back_is_neither_started_nor_told_of_again(
    asking: Context, app: LittleRegistry, clock: MovableClock
) -> None:
    await polling_policy(asking, app)
    app.push(APP, "1.1.0")
    await round_of(asking)
    await reconcile(asking.db)
    [rollout] = await all_rollouts(asking)
    await rollouts.request(asking, rollout.id, Request.ROLL_BACK, "it is bad")
    assert (await finished(asking.db, rollout.id)).status is Status.ROLLED_BACK

    for _ in range(5):
        await round_of(asking, clock)

    assert await tags(asking) == ["1.1.0"]
    assert [len(await decided(asking, push)) for push in await all_pushes(asking)] == [1]


async def test_what_was_refused_writes_no_row_at_every_look(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await polling_policy(asking, app, approved_images_only=True)
    digest = app.push(APP, "1.1.0")
    await round_of(asking)
    await catalogue.judge(asking, at(app, "1.1.0", digest), Standing.REJECTED, None)
    for _ in range(4):
        await round_of(asking, clock)
    before = len(await all_pushes(asking))

    await catalogue.judge(asking, at(app, "1.1.0", digest), Standing.APPROVED, "on second thoughts")
    for _ in range(4):
        await round_of(asking, clock)

    assert await tags(asking) == ["1.1.0"]
    assert (before, len(await all_pushes(asking))) == (2, 3)


async def test_a_tag_that_is_gone_again_moves_nobody(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await polling_policy(asking, app)
    app.push(APP, "2.0.0")
    await round_of(asking)
    await done(asking)
    del app.tags[APP]["2.0.0"]

    await round_of(asking, clock)

    assert await tags(asking) == ["2.0.0"]
    assert (await the_polled(asking)).problem is None


async def test_tags_come_page_by_page(asking: Context) -> None:
    async with registry(page=3) as little:
        await name(asking, little)
        for minor in range(10):
            little.push(APP, f"1.{minor}.0")
        await crowd(asking.db, 1, at(little, "1.0.0"))
        await polling_policy(asking, little)

        await round_of(asking)

        assert await tags(asking) == ["1.9.0"]
        assert len(little.asked("tags/list")) == 4
        assert len(little.asked("/manifests/")) == 1


# Policies


async def test_each_policy_gets_what_its_rules_take(asking: Context, app: LittleRegistry) -> None:
    await crowd(asking.db, 2, at(app, "1.0.0"), fleet="patches")
    await crowd(asking.db, 2, at(app, "1.0.0"), fleet="deaf")
    await polling_policy(asking, app)
    await polling_policy(asking, app, fleet="patches", tags={"level": "patch"})
    await polling_policy(asking, app, fleet="deaf", tags={"range": ">=3"})
    app.push(APP, "1.0.1")
    app.push(APP, "2.0.0")

    await round_of(asking)

    assert sorted((rollout.policy_id, rollout.image.tag) for rollout in await all_rollouts(asking)) == [(1, "2.0.0"), (2, "1.0.1")]
    assert len(app.asked("tags/list")) == 1


async def test_devices_of_a_fleet_with_a_policy_of_its_own_do_not_choose_for_the_others(asking: Context, little: LittleRegistry) -> None:
    for tag in ("1.0-alpine", "1.0-debian", "1.1-alpine", "2.0-debian"):
        little.push(APP, tag)
    await crowd(asking.db, 2, at(little, "1.0-alpine"))
    await crowd(asking.db, 2, at(little, "1.0-debian"), fleet="debian")
    await polling_policy(asking, little)
    await a_policy(asking, **everything_of(little), fleet="debian")

    await round_of(asking)

    assert [(rollout.policy_id, rollout.image.tag) for rollout in await all_rollouts(asking)] == [(1, "1.1-alpine")]


async def test_a_policy_that_is_made_later_for_another_fleet_gets_the_newest_tag_too(
    asking: Context, app: LittleRegistry, clock: MovableClock
) -> None:
    await crowd(asking.db, 2, at(app, "1.0.0"), fleet="late")
    await polling_policy(asking, app, fleet="early")
    await crowd(asking.db, 2, at(app, "1.0.0"), fleet="early")
    app.push(APP, "2.0.0")
    await round_of(asking)
    await round_of(asking, clock)
    assert [rollout.policy_id for rollout in await all_rollouts(asking)] == [1]

    await polling_policy(asking, app, fleet="late")
    await round_of(asking, clock)
    await round_of(asking, clock)

    assert [rollout.policy_id for rollout in await all_rollouts(asking)] == [1, 2]


async def test_the_policy_in_the_greatest_hurry_says_how_often(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await polling_policy(asking, app, registry={"poll_minutes": 60})
    await polling_policy(asking, app, registry={"poll_minutes": 5}, fleet="any")
    await round_of(asking)

    for _ in range(10):
        await round_of(asking, clock, minutes=6)

    assert len(app.asked("tags/list")) == 11


async def test_an_interval_that_is_shortened_counts_at_once(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    policy = await polling_policy(asking, app, registry={"poll_minutes": 24 * 60})
    await round_of(asking)
    await round_of(asking, clock, minutes=30)
    assert len(app.asked("tags/list")) == 1

    await policies.update(asking, policy.id, {"registry": {"poll_minutes": 20}})
    await round_of(asking)

    assert len(app.asked("tags/list")) == 2


@pytest.mark.parametrize("change", ["delete", "disable", "never", "nobody runs it"])
async def test_a_repository_that_nobody_wants_any_more_is_not_asked_about(
    asking: Context, app: LittleRegistry, clock: MovableClock, change: str
) -> None:
    policy = await polling_policy(asking, app)
    await round_of(asking)
    match change:
        case "delete":
            await policies.delete(asking, policy.id)
        case "disable":
            await policies.update(asking, policy.id, {"enabled": False})
        case "never":
            await policies.update(asking, policy.id, {"registry": {}})
        case _:
            async with asking.db.transaction() as conn:
                await conn.execute("delete from services")

    await round_of(asking, clock)
    await round_of(asking, clock)

    assert len(app.asked("tags/list")) == 1
    assert await polling.page(asking) == []


async def test_only_repositories_that_devices_run_and_a_policy_means_are_asked_about(asking: Context, app: LittleRegistry) -> None:
    for path in ("acme/other", "acme/unused"):
        app.push(path, "1.0.0")
    await crowd(asking.db, 1, str(app.image("acme/other", "1.0.0")))
    await a_policy(asking, image_pattern=f"{app.host}/{APP}", registry={"poll_minutes": 10})

    await round_of(asking)

    assert [polled.repository for polled in await polling.page(asking)] == [f"{app.host}/{APP}"]
    assert app.asked("other") == []


# How often, and by whom


async def test_of_two_instances_one_asks_about_a_repository_each_interval(
    asking: Context, little: LittleRegistry, database_url: str, clock: MovableClock
) -> None:
    for number in range(12):
        little.push(f"acme/app{number}", "1.0.0")
        await crowd(asking.db, 1, str(little.image(f"acme/app{number}", "1.0.0")))
    await polling_policy(asking, little)
    async with Database.connect(database_url, clock=clock) as db, client(seconds=5) as way:
        other = replace(asking, db=db, registries=way)
        for _ in range(4):
            await asyncio.gather(*(poll(ctx) for ctx in (asking, other, asking, other)))
            clock.advance(minutes=11.5)

    counts = [len(little.asked(f"acme/app{number}/tags/list")) for number in range(12)]
    assert counts == [4] * 12


async def test_intervals_vary_a_little(asking: Context, little: LittleRegistry) -> None:
    for number in range(12):
        little.push(f"acme/app{number}", "1.0.0")
        await crowd(asking.db, 1, str(little.image(f"acme/app{number}", "1.0.0")))
    await polling_policy(asking, little)

    await round_of(asking)

    pauses = [polled.due_at - polled.asked_at for polled in await polling.page(asking) if polled.asked_at]
    assert len(pauses) == 12
    assert all(INTERVAL * 0.9 <= pause <= INTERVAL * 1.1 for pause in pauses)
    assert len(set(pauses)) > 1


async def down(_: web.Request) -> web.Response:
    return web.Response(status=503)


async def test_a_registry_in_trouble_is_asked_less_and_less_and_recovers(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await polling_policy(asking, app)
    app.interrupt = down
    pauses = []
    for _ in range(9):
        await round_of(asking)
        polled = await the_polled(asking)
        pauses.append(round((polled.due_at - await now(asking.db)).total_seconds() / 30))
        clock.ahead += polled.due_at - await now(asking.db) + timedelta(seconds=1)

    assert pauses == [1, 2, 4, 8, 16, 32, 64, 120, 120]
    assert (polled.failures, polled.asked_at) == (9, None)
    assert polled.problem == f"{app.host} is in trouble (503)"
    app.interrupt = None
    await round_of(asking)

    polled = await the_polled(asking)
    assert (polled.failures, polled.problem, polled.asked_at is not None) == (0, None, True)


async def test_a_registry_is_left_alone_for_as_long_as_it_wants(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await polling_policy(asking, app)
    app.busy = {"Retry-After": "7200"}
    await round_of(asking)

    polled = await the_polled(asking)
    assert polled.due_at - await now(asking.db) > timedelta(seconds=7190)
    assert polled.problem == f"{app.host} wants to be asked again in 7200 s (429)"


async def test_a_registry_that_is_named_late_is_asked_at_once(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await registries.delete(asking, app.host)
    await polling_policy(asking, app)
    for _ in range(6):
        await round_of(asking, clock)
    assert "not among the registries" in ((await the_polled(asking)).problem or "")

    await name(asking, app)
    await round_of(asking)

    assert len(app.asked("tags/list")) == 1


async def test_who_died_while_asking_is_replaced(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await polling_policy(asking, app)

    async def hang(_: web.Request) -> web.Response:
        await asyncio.sleep(3600)
        raise AssertionError

    app.interrupt = hang
    task = asyncio.create_task(poll(asking))
    await eventually(lambda: _asked(app), 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    app.interrupt = None

    await round_of(asking)
    assert (await the_polled(asking)).asked_at is None
    await round_of(asking, clock)

    assert (await the_polled(asking)).asked_at is not None


async def _asked(little: LittleRegistry) -> int:
    return len(little.requests)


# As people see it


async def test_a_fleet_follows_a_registry_that_never_calls(api: Api, little: LittleRegistry, clock: MovableClock) -> None:
    little.push(APP, "1.0.0")
    [agent] = await api.devices(at(little, "1.0.0"))
    await api.change("setRegistry", host=little.host, plainHttp=True)
    digest = little.push(APP, "1.1.0")
    await api.policy(imagePattern=f"{little.host}/**", registry={"pollMinutes": 10})

    await eventually(lambda: api.image(agent.uuid), at(little, "1.1.0", digest), seconds=20)

    shown = await api.graphql(
        """{ polledRepositories { nodes { repository { name } failures problem askedAt } }
             pushes { nodes { source image { reference } resolved { reference } decisions { started } } } }"""
    )
    [polled] = shown["polledRepositories"]["nodes"]
    assert (polled["repository"], polled["failures"], polled["problem"]) == ({"name": f"{little.host}/{APP}"}, 0, None)
    [push] = flat(shown["pushes"]["nodes"])
    assert push == {"source": "POLLING", "image": at(little, "1.1.0", digest), "resolved": None, "decisions": [{"started": True}]}
