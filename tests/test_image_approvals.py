"""Images that operators have to approve before a policy takes them."""

import asyncio
from datetime import timedelta

import pytest

from domain.actors import Actor, Permission
from domain.catalogue import KnownImage, KnownImageFilter, Standing
from domain.errors import BadInput, Conflict, Forbidden
from domain.events import EventType
from domain.policies import Policy
from monitor.intake import take_in
from resolvers import catalogue, images, policies
from resolvers.context import Context
from resolvers.previews import preview
from server.process import Running
from storage import pushes
from tests.api import Api, eventually, everything
from tests.clock import MovableClock
from tests.factories import a_policy
from tests.factories import at as now
from tests.told import all_rollouts, decision, looked_at, rolled_out, told, waits_for
from tools.crowd import crowd

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
RELEASE = f"nginx:2.0.0@{A}"
APPROVED, REJECTED, DEPRECATED, PENDING = Standing.APPROVED, Standing.REJECTED, Standing.DEPRECATED, Standing.PENDING


@pytest.fixture
async def policy(operator: Context) -> Policy:
    """A policy of three devices that takes approved images only."""
    await crowd(operator.db, 3, "nginx:1.0.0")
    return await a_policy(operator, approved_images_only=True)


async def judged(ctx: Context, name: str, verdict: Standing, remark: str | None = None) -> KnownImage:
    """An operator says what they think, and whatever waited for that is decided."""
    said = await catalogue.judge(ctx, name, verdict, remark)
    await take_in(ctx)
    return said


async def known(ctx: Context) -> list[tuple[str, Standing]]:
    """What is known of images, oldest first."""
    return [(one.name, one.standing) for one in await catalogue.page(ctx, 2**62, 100)][::-1]


async def events(ctx: Context, *kinds: EventType) -> list[tuple[str, str]]:
    """What was recorded of images: the kind and the image."""
    async with ctx.db.reading() as conn:
        rows = await conn.fetch("select type, data from events where type = any ($1::text[]) order by seq", [str(kind) for kind in kinds])
    return [(row["type"], row["data"]["image"]) for row in rows]


# Asking


async def test_an_unknown_image_waits_and_asks_once_however_often_it_is_pushed(operator: Context, policy: Policy) -> None:
    for _ in range(5):
        await told(operator, RELEASE)

    assert await known(operator) == [(RELEASE, PENDING)]
    assert await rolled_out(operator) == []
    assert await waits_for(operator) == [f"policy {policy.id}: it waits for approval"]
    assert await events(operator, EventType.IMAGE_APPROVAL_REQUESTED) == [(EventType.IMAGE_APPROVAL_REQUESTED, RELEASE)]


async def test_nobody_is_asked_about_what_would_not_be_taken_anyway(operator: Context, policy: Policy) -> None:
    await policies.update(operator, policy.id, {"tags": {"level": "patch"}, "registry": {"min_age_minutes": 60}})

    await told(operator, RELEASE)
    await told(operator, f"nginx:1.0.1@{B}")

    assert await known(operator) == []


async def test_a_policy_that_does_not_demand_it_asks_nobody(operator: Context) -> None:
    await crowd(operator.db, 3, "nginx:1.0.0")
    await a_policy(operator)

    await told(operator, RELEASE)

    assert await known(operator) == []
    assert len(await rolled_out(operator)) == 1


async def test_another_digest_under_the_same_tag_asks_anew(operator: Context, policy: Policy) -> None:
    await told(operator, RELEASE)
    await judged(operator, RELEASE, APPROVED)

    await told(operator, f"nginx:2.0.0@{B}")

    assert await known(operator) == [(RELEASE, APPROVED), (f"nginx:2.0.0@{B}", PENDING)]
    assert [image.digest for image in await rolled_out(operator)] == [A]


async def test_two_policies_ask_once(operator: Context, policy: Policy) -> None:
    await crowd(operator.db, 1, "nginx:1.0.0", fleet="other")
    await a_policy(operator, fleet="other", approved_images_only=True)

    await told(operator, RELEASE)

    assert await known(operator) == [(RELEASE, PENDING)]
    await judged(operator, RELEASE, APPROVED)
    assert len(await rolled_out(operator)) == 2


# Saying


@pytest.mark.parametrize("name", [RELEASE, f"nginx@{A}", "nginx:2.0.0", "nginx", "docker.io/library/nginx"])
async def test_what_waits_goes_on_at_once_when_it_is_approved_and_its_question_is_answered(
    operator: Context, policy: Policy, name: str
) -> None:
    push = await told(operator, RELEASE)

    await judged(operator, name, APPROVED)

    assert (await looked_at(operator, push)).due_at is None
    assert await decision(operator, push) == "started rollout 1"
    assert [standing for _, standing in await known(operator)] == [APPROVED]


@pytest.mark.parametrize("name", [f"nginx:2.0.0@{B}", f"nginx@{B}", "nginx:2.0.1", "redis", f"redis:2.0.0@{A}"])
async def test_what_waits_goes_on_waiting_when_another_is_approved(operator: Context, policy: Policy, name: str) -> None:
    push = await told(operator, RELEASE)

    await judged(operator, name, APPROVED)

    assert (await looked_at(operator, push)).due_at is not None
    assert (RELEASE, PENDING) in await known(operator)


@pytest.mark.parametrize("verdict", [REJECTED, DEPRECATED])
@pytest.mark.parametrize("name", [RELEASE, "nginx:2.0.0", "nginx"])
async def test_what_is_refused_is_not_rolled_out(operator: Context, policy: Policy, verdict: Standing, name: str) -> None:
    push = await told(operator, RELEASE)

    await judged(operator, name, verdict)
    again = await told(operator, RELEASE)

    assert await decision(operator, push) == await decision(operator, again) == f"it is {verdict}"
    assert await rolled_out(operator) == []


async def test_what_is_approved_beforehand_does_not_wait(operator: Context, policy: Policy) -> None:
    await judged(operator, "nginx:2.0.0", APPROVED)

    await told(operator, RELEASE)

    assert len(await rolled_out(operator)) == 1


async def test_in_a_repository_that_is_approved_one_image_may_be_rejected(operator: Context, policy: Policy) -> None:
    await judged(operator, "nginx", APPROVED)
    await judged(operator, "nginx:2.0.0", REJECTED)

    refused = await told(operator, RELEASE)
    await told(operator, f"nginx:2.0.1@{B}")

    assert await decision(operator, refused) == "it is rejected"
    assert [image.tag for image in await rolled_out(operator)] == ["2.0.1"]


async def test_what_was_rejected_may_be_approved_later_and_is_taken_when_it_is_pushed_again(operator: Context, policy: Policy) -> None:
    await judged(operator, RELEASE, REJECTED)
    await told(operator, RELEASE)

    await judged(operator, RELEASE, APPROVED)
    await told(operator, RELEASE)

    assert len(await rolled_out(operator)) == 1


async def test_a_rollout_under_way_goes_on_when_its_image_is_rejected(operator: Context, policy: Policy) -> None:
    await judged(operator, RELEASE, APPROVED)
    await told(operator, RELEASE)
    before = await all_rollouts(operator)

    await judged(operator, RELEASE, REJECTED)

    assert await all_rollouts(operator) == before


async def test_who_said_what_when_and_why_is_on_record(operator: Context, policy: Policy, clock: MovableClock) -> None:
    await told(operator, RELEASE)
    asked_at = await now(operator.db)
    clock.advance(hours=1)

    said = await judged(operator, RELEASE, REJECTED, "it logs passwords")
    clock.advance(hours=1)
    await judged(operator, RELEASE, APPROVED, "not any more")

    assert (said.standing, said.decided_by, said.remark) == (REJECTED, "ops", "it logs passwords")
    [one] = await catalogue.page(operator, 2**62, 10, KnownImageFilter(APPROVED))
    assert (one.id, one.decided_by, one.remark) == (said.id, "ops", "not any more")
    assert one.decided_at is not None
    assert abs(one.requested_at - asked_at) < timedelta(minutes=1)
    assert timedelta(minutes=119) < one.decided_at - one.requested_at < timedelta(minutes=121)
    kinds = (EventType.IMAGE_APPROVAL_REQUESTED, EventType.IMAGE_REJECTED, EventType.IMAGE_APPROVED)
    assert await events(operator, *kinds) == [(kind, RELEASE) for kind in kinds]


async def test_only_operators_say_what_they_think(operator: Context, policy: Policy) -> None:
    reader = Context(operator.db, operator.feed, Actor("reader", frozenset({Permission.READ})))
    before = await everything(operator.db)

    with pytest.raises(Forbidden, match="reader may not operate"):
        await catalogue.judge(reader, RELEASE, APPROVED, None)

    assert await everything(operator.db) == before
    assert await known(reader) == []


@pytest.mark.parametrize(
    ("name", "remark", "why"),
    [
        ("", None, "missing"),
        ("nginx:", None, "not a tag"),
        ("nginx@sha256:a", None, "not a digest"),
        ("nginx", "x" * 1001, "remark: at most"),
    ],
)
async def test_what_makes_no_sense_is_refused(operator: Context, name: str, remark: str | None, why: str) -> None:
    before = await everything(operator.db)

    with pytest.raises(BadInput, match=why):
        await catalogue.judge(operator, name, APPROVED, remark)

    assert await everything(operator.db) == before


# By hand


@pytest.mark.parametrize("verdict", [None, PENDING, REJECTED, DEPRECATED])
async def test_naming_an_image_by_hand_does_not_approve_it(operator: Context, policy: Policy, verdict: Standing | None) -> None:
    if verdict is PENDING:
        await told(operator, RELEASE)
    elif verdict is not None:
        await judged(operator, RELEASE, verdict)
    before = await everything(operator.db)

    said = verdict if verdict in (REJECTED, DEPRECATED) else "not approved"
    with pytest.raises(Conflict, match=f"is {said}, and policy {policy.id} takes approved images only: approve it$"):
        await images.create_rollout(operator, policy.id, RELEASE)

    assert await everything(operator.db) == before
    refusal = (await preview(operator, policy.id, RELEASE, (), 0)).refusal
    assert refusal is not None
    assert f"is {said}" in refusal


async def test_an_approved_image_is_rolled_out_by_hand(operator: Context, policy: Policy) -> None:
    await judged(operator, RELEASE, APPROVED)

    with pytest.raises(Conflict, match="approve it, or name it with the digest that is approved"):
        await images.create_rollout(operator, policy.id, "nginx:2.0.0")

    assert (await images.create_rollout(operator, policy.id, RELEASE)).image.digest == A


async def test_images_that_move_together_must_all_be_approved(operator: Context) -> None:
    for name in ("acme/api", "acme/web"):
        await crowd(operator.db, 1, f"{name}:1")
    policy = await a_policy(operator, image_pattern="acme/*", approved_images_only=True)
    await judged(operator, "acme/api", APPROVED)

    with pytest.raises(Conflict, match="acme/web:2 is not approved"):
        await images.create_rollout(operator, policy.id, "acme/api:2", ["acme/web:2"])

    await judged(operator, "acme/web", APPROVED)
    await images.create_rollout(operator, policy.id, "acme/api:2", ["acme/web:2"])


# As people do it


async def test_an_operator_finds_the_question_and_answers_it(server: Running, api: Api) -> None:
    [agent] = await api.devices("nginx:1.0.0")
    await api.policy(approvedImagesOnly=True)
    status, _ = await api.webhook({"image": "nginx", "tag": "2.0.0", "digest": A})
    assert status == 202
    asked = "query ($of: KnownImageFilterInput) { knownImages(filter: $of) { nodes { name standing decidedBy remark } } }"

    async def pending() -> list[str]:
        found = await api.graphql(asked, of={"standing": "PENDING"})
        return [node["name"] for node in found["knownImages"]["nodes"]]

    await eventually(pending, [RELEASE])
    assert await api.image(agent.uuid) == "nginx:1.0.0"
    shown = await api.graphql("{ pushes(filter: {waiting: true}) { nodes { waitsFor } } }")
    assert shown["pushes"]["nodes"] == [{"waitsFor": "policy 1: it waits for approval"}]
    approved = await api.change("approveImage", "knownImage { standing }", name=RELEASE, remark="seen")
    assert approved == {"knownImage": {"standing": "APPROVED"}}

    await eventually(lambda: api.image(agent.uuid), RELEASE)
    assert await pending() == []
    [said] = (await api.graphql(asked))["knownImages"]["nodes"]
    assert said == {"name": RELEASE, "standing": "APPROVED", "decidedBy": "ops", "remark": "seen"}


async def test_a_stranger_approves_nothing(server: Running, api: Api) -> None:
    before = await everything(server.db)

    for what in ("approve", "reject", "deprecate"):
        code, _ = await api.stranger().refused(f'mutation {{ {what}Image(input: {{name: "nginx"}}) {{ __typename }} }}')
        assert code == "UNAUTHENTICATED"

    assert await everything(server.db) == before
    code, why = await api.refused('mutation { approveImage(input: {name: "nginx", remark: "\\u0000"}) { __typename } }')
    assert (code, why) == ("BAD_USER_INPUT", "a string holds a null character")


async def test_an_operator_judges_an_image_in_the_moment_in_which_its_push_asks(operator: Context, policy: Policy) -> None:
    push = await told(operator, RELEASE)
    async with operator.db.transaction() as conn:
        await conn.execute("delete from known_images")

    async with operator.db.transaction() as conn:
        await images.alone(conn, [push.image])
        assert await pushes.locked(conn, push)
        judging = asyncio.create_task(catalogue.judge(operator, RELEASE, REJECTED, None))
        await asyncio.sleep(0.2)
        await catalogue.request(conn, push.image, await operator.db.now(conn))
    await judging

    assert await known(operator) == [(RELEASE, REJECTED)]
