"""Whoever changes something says which version of it he had read, and overwrites nothing that he has not seen."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.actors import Actor
from domain.catalogue import Standing
from domain.endpoints import Sender
from domain.errors import StaleVersion
from domain.ids import EndpointId, PolicyId, ProvisioningKeyId, RolloutId, TokenId
from domain.patches import Patch
from domain.provisioning import Wanted as WantedKey
from domain.requests import Request
from domain.tokens import Wanted as WantedToken
from monitor.reconciler import reconcile
from resolvers import aside, catalogue, devices, endpoints, identity, images, policies, provisioning, registries, rollouts, targets, tokens
from resolvers.context import Context
from resolvers.endpoints import Wanted as WantedEndpoint
from storage import devices as stored
from tests.api import everything, web
from tests.factories import a_policy, at
from tools.crowd import crowd

POLICY, ROLLOUT, ENDPOINT, KEY, TOKEN = PolicyId(1), RolloutId(1), EndpointId(1), ProvisioningKeyId(1), TokenId(1)
IMAGE = "ghcr.io/acme/app:1"
Changes = Callable[[Context, str, int | None], Awaitable[object]]


@pytest.fixture
async def ada(operator: Context) -> Context:
    """Somebody who may change everything, where there is one of each."""
    ada = replace(operator, actor=Actor.administrator("ada"))
    await crowd(ada.db, 10)
    await a_policy(ada)
    await images.create_rollout(ada, POLICY, "nginx:2.0.0")
    await reconcile(ada.db)
    await endpoints.create(ada, WantedEndpoint("ci", Sender.GENERIC))
    await provisioning.create(ada, WantedKey("hall"))
    await registries.save(ada, "ghcr.io", None, None, plain_http=False)
    await catalogue.judge(ada, IMAGE, Standing.APPROVED, None)
    await tokens.create(ada, WantedToken("grace"))
    return ada


async def uuid_of(ctx: Context, number: int = 1) -> str:
    """A device."""
    async with ctx.db.reading() as conn:
        return str(await conn.fetchval("select uuid from devices order by id offset $1 limit 1", number - 1))


async def a_day_later(ctx: Context) -> Any:
    return await at(ctx.db) + timedelta(days=1)


async def holds(ctx: Context, uuid: str, version: int | None) -> object:
    return await aside.hold(ctx, uuid, await a_day_later(ctx), None, expected_version=version)


async def rolls_a_device_back(ctx: Context, _: str, version: int | None) -> object:
    [first] = await rollouts.devices(ctx, ROLLOUT, -1, 1)
    return await rollouts.roll_back_device(ctx, ROLLOUT, first.device_uuid, expected_version=version)


EVERY: dict[str, Changes] = {
    "update a policy": lambda ctx, _, v: policies.update(ctx, POLICY, {"priority": 1}, expected_version=v),
    "disable a policy": lambda ctx, _, v: policies.set_enabled(ctx, POLICY, False, expected_version=v),
    "delete a policy": lambda ctx, _, v: policies.delete(ctx, POLICY, expected_version=v),
    "unblock a release": lambda ctx, _, v: policies.unblock(ctx, POLICY, "nginx:2.0.0", expected_version=v),
    "pause a rollout": lambda ctx, _, v: rollouts.request(ctx, ROLLOUT, Request.PAUSE, expected_version=v),
    "replan a rollout": lambda ctx, _, v: rollouts.replan(ctx, ROLLOUT, expected_version=v),
    "roll a batch back": lambda ctx, _, v: rollouts.roll_back_batch(ctx, ROLLOUT, 1, expected_version=v),
    "roll a device back": rolls_a_device_back,
    "label a device": lambda ctx, uuid, v: devices.set_labels(ctx, uuid, {"site": "north"}, expected_version=v),
    "pin a device": lambda ctx, uuid, v: aside.pin(ctx, uuid, None, expected_version=v),
    "hold a device": holds,
    "release a device": lambda ctx, uuid, v: aside.release(ctx, uuid, expected_version=v),
    "accept a device": lambda ctx, uuid, v: identity.accept(ctx, uuid, expected_version=v),
    "revoke a device": lambda ctx, uuid, v: identity.revoke(ctx, uuid, expected_version=v),
    "restore a device": lambda ctx, uuid, v: identity.restore(ctx, uuid, expected_version=v),
    "reset a key": lambda ctx, uuid, v: identity.reset_key(ctx, uuid, expected_version=v),
    "set a target": lambda ctx, uuid, v: targets.set_target(ctx, uuid, web("redis:7"), None, v),
    "patch a target": lambda ctx, uuid, v: targets.patch_target(ctx, uuid, Patch.of("1001", "web", "redis:7", None, remove=False), v),
    "rotate a secret": lambda ctx, _, v: endpoints.rotate(ctx, ENDPOINT, 0, expected_version=v),
    "disable an endpoint": lambda ctx, _, v: endpoints.set_enabled(ctx, ENDPOINT, False, expected_version=v),
    "delete an endpoint": lambda ctx, _, v: endpoints.delete(ctx, ENDPOINT, expected_version=v),
    "revoke a provisioning key": lambda ctx, _, v: provisioning.revoke(ctx, KEY, expected_version=v),
    "set a registry": lambda ctx, _, v: registries.save(ctx, "ghcr.io", "ci", "p4ss", plain_http=False, expected_version=v),
    "remove a registry": lambda ctx, _, v: registries.delete(ctx, "ghcr.io", expected_version=v),
    "judge an image": lambda ctx, _, v: catalogue.judge(ctx, IMAGE, Standing.REJECTED, None, expected_version=v),
    "revoke a token": lambda ctx, _, v: tokens.revoke(ctx, TOKEN, expected_version=v),
}


async def test_whoever_expects_another_version_than_there_is_changes_nothing_and_is_told_which_there_is(ada: Context) -> None:
    uuid, before = await uuid_of(ada), await everything(ada.db)

    for what, change in EVERY.items():
        with pytest.raises(StaleVersion, match=r"is at version \d+, not 99: read it again") as refused:
            await change(ada, uuid, 99)
        assert refused.value.current in (1, 2, (await rollouts.page(ada, RolloutId(9), 1))[0].revision), what

    assert await everything(ada.db) == before


@pytest.mark.parametrize("what", sorted(set(EVERY) - {"unblock a release", "replan a rollout"}))
async def test_whoever_expects_what_there_is_changes_it(ada: Context, what: str) -> None:
    uuid = await uuid_of(ada)
    with pytest.raises(StaleVersion) as refused:
        await EVERY[what](ada, uuid, 99)

    await EVERY[what](ada, uuid, refused.value.current)


async def test_of_many_who_read_the_same_version_one_changes_it(ada: Context) -> None:
    uuid = await uuid_of(ada)

    for change in (
        lambda number: policies.update(ada, POLICY, {"priority": number + 1}, expected_version=1),
        lambda number: devices.set_labels(ada, uuid, {"site": str(number)}, expected_version=1),
        lambda number: catalogue.judge(ada, IMAGE, Standing.REJECTED, str(number), expected_version=1),
        lambda number: registries.save(ada, "ghcr.io", str(number), "x", plain_http=False, expected_version=1),
        lambda number: registries.save(ada, "quay.io", str(number), "x", plain_http=False, expected_version=0),
        lambda number: catalogue.judge(ada, "ghcr.io/acme/other:1", Standing.REJECTED, str(number), expected_version=0),
        lambda number: endpoints.rotate(ada, ENDPOINT, number, expected_version=1),
    ):
        came = await asyncio.gather(*[change(number) for number in range(6)], return_exceptions=True)
        assert sorted(isinstance(one, StaleVersion) for one in came) == [False, *[True] * 5], came


# When a version rises


async def versions(ctx: Context) -> dict[str, int]:
    """Of one of each."""
    async with ctx.db.reading() as conn:
        row = await conn.fetchrow(
            """
            select (select version from policies) as policy, (select min(version) from devices) as device,
                   (select version from webhook_endpoints) as endpoint, (select version from provisioning_keys) as key,
                   (select version from known_images) as image, (select version from tokens) as token
            """
        )
    assert row is not None
    return dict(row)


async def test_what_devices_and_tokens_do_raises_no_version(ada: Context) -> None:
    before = await versions(ada)

    async with ada.db.transaction() as conn:
        await conn.execute("update devices set last_seen_at = now(), is_offline = true, sends_version = true")
        await conn.execute("update devices set key_hash = sha256('another'), old_key_hash = key_hash, old_key_until = now()")
        await conn.execute("update provisioning_keys set uses = uses + 1")
        await conn.execute("update tokens set last_used_at = now()")

    assert await versions(ada) == before


async def test_whatever_is_decided_of_a_device_raises_its_version_once(ada: Context) -> None:
    uuid = await uuid_of(ada)
    seen = [(await devices.set_labels(ada, uuid, {"site": "north"})).version]
    seen += [(await aside.pin(ada, uuid, None)).version, (await aside.release(ada, uuid)).version]
    seen += [(await aside.hold(ada, uuid, await a_day_later(ada), None)).version, (await aside.release(ada, uuid)).version]
    seen += [(await identity.revoke(ada, uuid)).version, (await identity.restore(ada, uuid)).version]
    seen += [(await identity.reset_key(ada, uuid)).version]
    async with ada.db.transaction() as conn:
        found = await stored.by_uuid(conn, uuid)
        assert found is not None
        await conn.execute("update devices set key_hash = sha256('new') where id = $1", found.id)  # it registers again

    assert seen == list(range(2, 10))
    now = await devices.one(ada, uuid)
    assert now is not None
    assert now.version == 10


async def test_what_changes_nothing_raises_no_version(ada: Context) -> None:
    uuid = await uuid_of(ada)
    labelled = await devices.set_labels(ada, uuid, {"site": "north"})

    for asked in (
        devices.set_labels(ada, uuid, {"site": "north"}), aside.release(ada, uuid), identity.accept(ada, uuid), identity.restore(ada, uuid),
    ):  # fmt: skip
        assert (await asked).version == labelled.version
    assert (await endpoints.set_enabled(ada, ENDPOINT, True)).version == 1


async def test_a_registry_that_is_removed_and_named_again_has_a_version_that_nobody_has_read(ada: Context) -> None:
    seen = []
    for _ in range(3):
        for _ in range(2):
            saved, _ = await registries.save(ada, "quay.io", None, None, plain_http=False)
            seen.append(saved.version)
        await registries.delete(ada, "quay.io", expected_version=saved.version)

    assert len(set(seen)) == len(seen)
    with pytest.raises(StaleVersion) as refused:
        await registries.save(ada, "quay.io", None, None, plain_http=False, expected_version=seen[-1])
    assert refused.value.current == 0


async def test_nothing_is_expected_unless_it_is_said(ada: Context) -> None:
    uuid = await uuid_of(ada)

    for number in range(2):
        await policies.update(ada, POLICY, {"priority": number})
        await devices.set_labels(ada, uuid, {"site": str(number)})
