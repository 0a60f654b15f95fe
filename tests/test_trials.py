"""What a policy would make of an image, or of the tags that a registry has; asking changes nothing."""

from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from domain.actors import Actor
from domain.catalogue import Standing
from domain.errors import BadInput, Forbidden, NotFound
from domain.ids import PolicyId
from domain.requests import Request
from domain.trials import Trial
from monitor.reconciler import reconcile
from resolvers import catalogue, policies, registries, rollouts
from resolvers.context import Context
from resolvers.trials import trial
from server.process import Running
from tests.api import Api, everything, flat
from tests.factories import a_policy, finished
from tests.registry import LittleRegistry
from tests.signing import pem
from tests.told import APP, all_rollouts, at, everything_of, told
from tools.crowd import crowd

A = f"sha256:{'a' * 64}"
KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
async def app(asking: Context, little: LittleRegistry) -> LittleRegistry:
    """A registry with the app at 1.0.0, which three devices run."""
    little.push(APP, "1.0.0")
    await crowd(asking.db, 3, at(little, "1.0.0"))
    return little


async def tried(ctx: Context, little: LittleRegistry, tag: str | None = None, digest: str | None = None, **settings: Any) -> Trial:
    """What a policy with these settings would make of it; asking changed nothing."""
    policy = await a_policy(ctx, **{**everything_of(little), **settings})
    name = at(little, tag, digest) if tag or digest else f"{little.host}/{APP}"
    return await unchanged(ctx, policy.id, name)


async def unchanged(ctx: Context, policy: PolicyId, name: str) -> Trial:
    before = await everything(ctx.db)
    found = await trial(ctx, policy, name)
    assert await everything(ctx.db) == before
    return found


# One image


async def test_an_image_that_would_start_a_rollout_is_shown_with_its_digest(asking: Context, app: LittleRegistry) -> None:
    digest = app.push(APP, "2.0.0")

    assert await tried(asking, app, "2.0.0") == Trial(app.image(APP, "2.0.0", digest), True, False, "it would start a rollout")


async def test_what_is_tried_is_what_happens(asking: Context, app: LittleRegistry) -> None:
    app.push(APP, "2.0.0")
    found = await tried(asking, app, "2.0.0")

    await told(asking, at(app, "2.0.0"))

    assert [rollout.image for rollout in await all_rollouts(asking)] == [found.image]


@pytest.mark.parametrize(
    ("tag", "settings", "why"),
    [
        ("0.9.0", {}, "0.9.0 is older than 1.0.0"),
        ("2.0.0", {"tags": {"level": "minor"}}, "2.0.0 is a major step from 1.0.0"),
        ("1.0.1", {"tags": {"exclude": ["*.1"]}}, "1.0.1 is excluded by *.1"),
        ("1.0.0", {"fleet": "moon"}, "no device that this policy governs runs"),
        ("2.0.0", {"schedule": {"not_after": "2001-01-01T00:00:00Z"}}, "the time of policy 1 was over"),
    ],
)
async def test_what_is_not_taken_comes_with_the_reason_and_nobody_is_asked_far_away_for_nothing(
    asking: Context, app: LittleRegistry, tag: str, settings: dict[str, Any], why: str
) -> None:
    app.push(APP, tag)

    found = await tried(asking, app, tag, **settings)

    assert (found.would_start, found.waits) == (False, False)
    assert why in found.why


async def test_a_pattern_that_does_not_mean_the_image_says_so(asking: Context, app: LittleRegistry) -> None:
    found = await tried(asking, app, "2.0.0", image_pattern="nginx*")

    assert (found.would_start, found.waits) == (False, False)
    assert found.why == f"image: {at(app, '2.0.0')} does not match the policy's pattern nginx*"
    assert app.requests == []


async def test_what_every_device_runs_is_not_started(asking: Context, little: LittleRegistry) -> None:
    digest = little.push(APP, "1.0.0")
    await crowd(asking.db, 1, at(little, "1.0.0", digest))

    found = await tried(asking, little, "1.0.0")

    assert found.why == f"every device already runs {at(little, '1.0.0', digest)}"


async def test_what_is_under_way_or_blocked_is_known(asking: Context, app: LittleRegistry) -> None:
    app.push(APP, "2.0.0")
    policy = await a_policy(asking, **everything_of(app))
    await told(asking, at(app, "2.0.0"))
    await reconcile(asking.db)

    assert (await unchanged(asking, policy.id, at(app, "2.0.0"))).why == "this release is known: rollout 1"

    [rollout] = await all_rollouts(asking)
    await rollouts.request(asking, rollout.id, Request.ROLL_BACK, "it is bad")
    await finished(asking.db, rollout.id)
    found = await unchanged(asking, policy.id, at(app, "2.0.0"))
    assert (found.would_start, found.why) == (False, "this release is blocked: it is bad")


async def test_without_its_registry_a_version_would_go_by_its_tag(asking: Context, app: LittleRegistry) -> None:
    await registries.delete(asking, app.host)

    found = await tried(asking, app, "2.0.0")

    assert (found.image, found.would_start) == (app.image(APP, "2.0.0"), True)
    assert found.why == f"it would start a rollout, by its tag: {app.host} is not among the registries that may be asked (setRegistry)"


async def test_without_its_registry_a_policy_that_insists_would_wait(asking: Context, app: LittleRegistry) -> None:
    await registries.delete(asking, app.host)

    found = await tried(asking, app, "2.0.0", registry={"unresolved": "wait"})

    assert (found.would_start, found.waits) == (False, True)
    assert found.why.startswith("its digest is not known: ")


async def test_a_tag_that_is_not_there_would_be_awaited(asking: Context, app: LittleRegistry) -> None:
    found = await tried(asking, app, "2.0.0")

    assert (found.would_start, found.waits, found.why) == (False, True, f"{app.host} has no {at(app, '2.0.0')}")


async def test_a_young_image_would_wait(asking: Context, app: LittleRegistry) -> None:
    found = await tried(asking, app, "2.0.0", A, registry={"min_age_minutes": 90})

    assert (found.would_start, found.waits, found.why) == (False, True, "it is taken 90 minutes after it was first heard of")


async def test_an_image_that_nobody_approved_would_wait_and_nobody_is_asked(asking: Context, app: LittleRegistry) -> None:
    found = await tried(asking, app, "2.0.0", A, approved_images_only=True)

    assert (found.would_start, found.waits, found.why) == (False, True, "it waits for approval")
    await catalogue.judge(asking, at(app, "2.0.0"), Standing.REJECTED, None)
    found = await unchanged(asking, PolicyId(1), at(app, "2.0.0", A))
    assert (found.would_start, found.waits, found.why) == (False, False, "it is rejected")


async def test_an_image_without_what_devices_need_would_be_refused(asking: Context, app: LittleRegistry) -> None:
    async with asking.db.transaction() as conn:
        await conn.execute("""update devices set labels = '{"platform": "linux/arm/v7"}'""")
    app.push(APP, "2.0.0", platforms=("linux/amd64", "linux/arm64"))

    found = await tried(asking, app, "2.0.0", registry={"check_platforms": True})

    assert (found.would_start, found.waits) == (False, False)
    assert found.why == "it has nothing for linux/arm/v7, only for linux/amd64, linux/arm64"


async def test_an_image_without_a_signature_would_wait_for_it(asking: Context, app: LittleRegistry) -> None:
    digest = app.push(APP, "2.0.0")
    found = await tried(asking, app, "2.0.0", provenance={"require": "signature", "public_key": pem(KEY)})
    assert (found.would_start, found.waits, found.why) == (False, True, "no signature of this image was found")

    app.sign(APP, digest, KEY)

    assert (await unchanged(asking, PolicyId(1), at(app, "2.0.0"))).would_start


async def test_a_policy_may_be_tried_before_it_is_enabled(asking: Context, app: LittleRegistry) -> None:
    assert (await tried(asking, app, "2.0.0", A, enabled=False)).would_start


# All of a registry's tags


async def test_of_a_repository_the_newest_tag_is_chosen_and_the_others_say_why_not(asking: Context, app: LittleRegistry) -> None:
    for tag in ("0.9.0", "1.1.0", "1.2.0-rc.1", "2.0.0", "nightly", "sha256-abc.sig"):
        app.push(APP, tag)

    found = await tried(asking, app, tags={"level": "minor"})

    assert (found.image, found.would_start) == (app.image(APP, "1.1.0", app.tags[APP]["1.1.0"]), True)
    assert {verdict.tag: (verdict.why_not or "").partition(";")[0] for verdict in found.tags} == {
        "2.0.0": "2.0.0 is a major step from 1.0.0",
        "1.2.0-rc.1": "1.2.0-rc.1 is a prerelease",
        "1.1.0": "",
        "1.0.0": "1.1.0 is newer",
        "0.9.0": "0.9.0 is older than 1.0.0, which every device runs",
        "nightly": "nightly is not a version",
        "sha256-abc.sig": "sha256-abc.sig is excluded by *.sig",
    }


async def test_of_a_repository_tags_that_the_pattern_does_not_mean_say_so(asking: Context, app: LittleRegistry) -> None:
    app.push(APP, "2.0.0")
    pattern = f"{app.host}/{APP}:1.*"

    found = await tried(asking, app, image_pattern=pattern)

    assert [(verdict.tag, verdict.why_not) for verdict in found.tags] == [
        ("1.0.0", None), ("2.0.0", f"2.0.0 does not match {pattern}"),
    ]  # fmt: skip


async def test_of_a_repository_that_the_pattern_does_not_mean_nobody_is_asked(asking: Context, app: LittleRegistry) -> None:
    policy = await a_policy(asking, image_pattern="nginx:1.*")

    found = await unchanged(asking, policy.id, f"{app.host}/{APP}")

    assert found.why == f"the policy's pattern nginx:1.* means no image of {app.host}/{APP}"
    assert app.requests == []


async def test_of_a_repository_of_which_nothing_is_taken_nothing_is_chosen(asking: Context, app: LittleRegistry) -> None:
    found = await tried(asking, app, tags={"range": ">=7"})

    assert (found.image, found.would_start, found.waits, found.why) == (None, False, False, "none of its tags is taken")
    assert len(found.tags) == 1


async def test_a_fleet_with_a_policy_of_its_own_does_not_choose_for_the_others(asking: Context, app: LittleRegistry) -> None:
    await crowd(asking.db, 1, at(app, "0.5.0"), fleet="old")
    await a_policy(asking, **everything_of(app), fleet="old")
    app.push(APP, "0.9.0")

    found = await tried(asking, app)

    assert found.image is not None
    assert found.image.tag == "1.0.0"
    assert {verdict.tag: verdict.why_not for verdict in found.tags}["0.9.0"] == "0.9.0 is older than 1.0.0, which every device runs"


async def test_tags_that_cannot_be_asked_for_are_not_known(asking: Context, app: LittleRegistry) -> None:
    await registries.delete(asking, app.host)

    found = await tried(asking, app)

    assert (found.image, found.would_start, found.waits) == (None, False, False)
    assert found.why == f"its tags are not known: {app.host} is not among the registries that may be asked (setRegistry)"


# Who, and how


async def test_only_who_may_read_may_try_and_only_what_is_there(asking: Context, app: LittleRegistry) -> None:
    policy = await a_policy(asking, **everything_of(app))
    stranger = replace(asking, actor=Actor("stranger"))

    with pytest.raises(Forbidden):
        await trial(stranger, policy.id, at(app, "2.0.0"))
    with pytest.raises(NotFound, match="there is no policy 7"):
        await trial(asking, PolicyId(7), at(app, "2.0.0"))
    with pytest.raises(BadInput, match="lower case"):
        await trial(asking, policy.id, "NGINX")
    await policies.delete(asking, policy.id)
    with pytest.raises(NotFound, match="there is no policy 1"):
        await trial(asking, policy.id, at(app, "2.0.0"))
    assert app.requests == []


async def test_an_operator_tries_a_policy_on_a_real_list_of_tags(server: Running, api: Api, little: LittleRegistry) -> None:
    little.push(APP, "1.0.0")
    digest = little.push(APP, "1.1.0")
    await api.devices(at(little, "1.0.0"))
    await api.change("setRegistry", host=little.host, plainHttp=True)
    policy = await api.policy(imagePattern=f"{little.host}/**")
    asked = """query ($policy: ID!, $image: ImageReference!) { testPolicy(policy: $policy, image: $image) {
      ... on PolicyTest { image { reference } wouldStart waits why tags { tag whyNot } }
      ... on Error { refused: code message }
    } }"""
    before = await everything(server.db)

    answer = flat(await api.graphql(asked, policy=policy, image=f"{little.host}/{APP}"))

    assert answer["testPolicy"] == {
        "image": at(little, "1.1.0", digest), "wouldStart": True, "waits": False, "why": "it would start a rollout",
        "tags": [{"tag": "1.1.0", "whyNot": None}, {"tag": "1.0.0", "whyNot": "1.1.0 is newer"}],
    }  # fmt: skip
    assert await everything(server.db) == before
