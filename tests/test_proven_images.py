"""Policies that want to know where an image runs, and where it comes from."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from monitor.intake import take_in
from resolvers import registries
from resolvers.context import Context
from tests.api import Api, eventually
from tests.clock import MovableClock
from tests.factories import a_policy
from tests.registry import LittleRegistry
from tests.signing import pem
from tests.told import APP, at, decision, everything_of, looked_at, rolled_out, told
from tools.crowd import crowd

KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
SIGNED = {"require": "signature", "public_key": pem(KEY)}


@pytest.fixture
async def app(asking: Context, little: LittleRegistry) -> LittleRegistry:
    """A registry with the app at 1.0.0, which three devices run."""
    little.push(APP, "1.0.0")
    await crowd(asking.db, 3, at(little, "1.0.0"))
    return little


async def proving(ctx: Context, little: LittleRegistry, **provenance: Any) -> None:
    await a_policy(ctx, **everything_of(little), provenance=provenance or SIGNED)


# Where it comes from


async def test_an_image_that_is_signed_is_taken(asking: Context, app: LittleRegistry) -> None:
    await proving(asking, app)
    digest = app.push(APP, "2.0.0")
    app.sign(APP, digest, KEY)

    await told(asking, at(app, "2.0.0"))

    assert [image.digest for image in await rolled_out(asking)] == [digest]


async def test_an_image_that_is_signed_later_is_taken_then(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await proving(asking, app)
    digest = app.push(APP, "2.0.0")
    push = await told(asking, at(app, "2.0.0"))
    assert push.waits_for == "policy 1: no signature of this image was found"
    for _ in range(20):
        clock.advance(minutes=15)
        await take_in(asking)
    assert await rolled_out(asking) == []

    app.sign(APP, digest, KEY)
    clock.advance(minutes=15)
    await take_in(asking)

    assert [image.digest for image in await rolled_out(asking)] == [digest]


async def test_an_image_signed_by_somebody_else_is_refused_after_a_day(asking: Context, app: LittleRegistry, clock: MovableClock) -> None:
    await proving(asking, app)
    app.sign(APP, app.push(APP, "2.0.0"), OTHER)
    push = await told(asking, at(app, "2.0.0"))
    assert "does not fit the configured key" in (push.waits_for or "")

    clock.advance(hours=23)
    assert (await looked_at(asking, push)).due_at is not None
    clock.advance(hours=1)
    assert (await looked_at(asking, push)).due_at is None

    assert "does not fit the configured key" in await decision(asking, push)
    assert await rolled_out(asking) == []


async def test_without_a_key_it_is_enough_that_it_is_signed(asking: Context, app: LittleRegistry) -> None:
    await proving(asking, app, require="signature")
    app.sign(APP, app.push(APP, "2.0.0"), OTHER)
    app.push(APP, "3.0.0")

    signed, unsigned = await told(asking, at(app, "2.0.0")), await told(asking, at(app, "3.0.0"))

    assert await decision(asking, signed) == "started rollout 1"
    assert unsigned.due_at is not None


async def test_an_attestation_is_not_a_signature(asking: Context, app: LittleRegistry) -> None:
    await proving(asking, app, require="attestation", public_key=pem(KEY), predicate_type="https://slsa.dev/provenance/v1")
    digest = app.push(APP, "2.0.0")
    app.sign(APP, digest, KEY)
    push = await told(asking, at(app, "2.0.0"))
    assert push.due_at is not None

    app.attest(APP, digest, KEY)
    await asyncio.sleep(0)
    assert (await told(asking, at(app, "2.0.0"))).due_at is None


@pytest.mark.parametrize("unresolved", ["by_tag", "auto", "wait"])
async def test_a_tag_is_never_proven(asking: Context, app: LittleRegistry, clock: MovableClock, unresolved: str) -> None:
    await a_policy(asking, **everything_of(app), provenance=SIGNED, registry={"unresolved": unresolved})
    app.sign(APP, app.push(APP, "2.0.0"), KEY)
    await registries.delete(asking, app.host)
    push = await told(asking, at(app, "2.0.0"))

    for _ in range(100):
        clock.advance(minutes=20)
        await take_in(asking)

    assert (await looked_at(asking, push)).due_at is not None
    assert await rolled_out(asking) == []


async def test_each_policy_asks_for_its_own_proof(asking: Context, app: LittleRegistry) -> None:
    await proving(asking, app)
    await crowd(asking.db, 1, at(app, "1.0.0"), fleet="others")
    await a_policy(asking, **everything_of(app), fleet="others", provenance={"require": "signature", "public_key": pem(OTHER)})
    app.sign(APP, app.push(APP, "2.0.0"), OTHER)

    push = await told(asking, at(app, "2.0.0"))

    assert await decision(asking, push) == "started rollout 1"
    assert "policy 1: no signature of this image is enough" in (push.waits_for or "")


# Where it runs


async def label(ctx: Context, platform: str) -> None:
    async with ctx.db.transaction() as conn:
        await conn.execute("update devices set labels = jsonb_build_object('platform', $1::text)", platform)


async def report(ctx: Context, architecture: str) -> None:
    async with ctx.db.transaction() as conn:
        await conn.execute(
            """
            insert into current_states (device_id, apps, info, reported_at)
            select id, '{}', jsonb_build_object('architecture', $1::text), now() from devices
            """,
            architecture,
        )


async def nothing(_: Context, __: str) -> None:
    """Devices that do not say what they are."""


@pytest.mark.parametrize(
    ("says", "what", "starts"),
    [
        (label, "linux/arm64", True),
        (label, "linux/arm/v7", False),
        (report, "arm64", True),
        (report, "armv7l", False),
        (report, "toaster", True),
        (nothing, "", True),
    ],
)
async def test_an_image_must_be_there_for_the_devices_that_say_what_they_are(
    asking: Context, app: LittleRegistry, says: Callable[[Context, str], Any], what: str, starts: bool
) -> None:
    await says(asking, what)
    await a_policy(asking, **everything_of(app), registry={"check_platforms": True})
    app.push(APP, "2.0.0", platforms=("linux/amd64", "linux/arm64"))

    push = await told(asking, at(app, "2.0.0"))

    assert (await rolled_out(asking) != []) is starts
    expected = "started rollout 1" if starts else "it has nothing for linux/arm/v7, only for linux/amd64, linux/arm64"
    assert await decision(asking, push) == expected


async def test_a_label_counts_before_a_report(asking: Context, app: LittleRegistry) -> None:
    await report(asking, "armv7l")
    await label(asking, "linux/amd64")
    await a_policy(asking, **everything_of(app), registry={"check_platforms": True})
    app.push(APP, "2.0.0")

    await told(asking, at(app, "2.0.0"))

    assert len(await rolled_out(asking)) == 1


async def test_devices_of_other_fleets_do_not_count(asking: Context, app: LittleRegistry) -> None:
    await label(asking, "linux/amd64")
    [other] = await crowd(asking.db, 1, at(app, "1.0.0"), fleet="others")
    async with asking.db.transaction() as conn:
        await conn.execute("""update devices set labels = '{"platform": "linux/s390x"}' where id = $1""", other)
    await a_policy(asking, **everything_of(app), registry={"check_platforms": True})
    await a_policy(asking, **everything_of(app), fleet="others")
    app.push(APP, "2.0.0")

    push = await told(asking, at(app, "2.0.0"))

    assert push.due_at is None
    assert len(await rolled_out(asking)) == 2


# As people see it


async def test_a_pipeline_signs_after_it_pushes(api: Api, little: LittleRegistry) -> None:
    little.push(APP, "1.0.0")
    [agent] = await api.devices(at(little, "1.0.0"))
    await api.change("setRegistry", host=little.host, plainHttp=True)
    await api.policy(imagePattern=f"{little.host}/**", provenance={"require": "SIGNATURE", "publicKey": pem(KEY)})
    digest = little.push(APP, "2.0.0")
    status, _ = await api.webhook({"image": f"{little.host}/{APP}", "tag": "2.0.0"})
    assert status == 202

    async def waits() -> list[str]:
        shown = await api.graphql("{ pushes(filter: {waiting: true}) { nodes { waitsFor } } }")
        return [node["waitsFor"] for node in shown["pushes"]["nodes"]]

    await eventually(waits, ["policy 1: no signature of this image was found"])
    little.sign(APP, digest, KEY)

    await eventually(lambda: api.image(agent.uuid), at(little, "2.0.0", digest), seconds=15)
    assert await waits() == []
