"""What a rollout would do: the same as it does once it is created, and nothing until then."""

import random
from collections import Counter
from datetime import timedelta

import pytest

from domain.errors import BadInput, NotFound, Refused
from domain.health import Outcome
from domain.ids import DeviceId, PolicyId, RolloutId
from domain.previews import LeftOut, Preview, sentence
from domain.requests import Request
from monitor.reconciler import reconcile
from resolvers import aside, devices, images, policies, rollouts
from resolvers.context import Context
from resolvers.previews import preview
from resolvers.targets import set_target
from storage import members
from tests.api import everything
from tests.clock import MovableClock
from tests.factories import a_policy, a_rollout, at, finished, offered, push, read
from tools.crowd import crowd
from tools.pushing import pushed


async def _uuid(operator: Context, device: DeviceId) -> str:
    found = await devices.by_id(operator, device)
    assert found is not None
    return found.uuid


async def _uuids(operator: Context, rollout: RolloutId) -> set[str]:
    return {member.device_uuid for member in await rollouts.devices(operator, rollout, -1, 1000)}


def _counts(told: Preview) -> dict[LeftOut, int]:
    return {sample.why: sample.devices for sample in told.left_out}


async def _set_some_aside(operator: Context, known: list[DeviceId], dice: random.Random) -> None:
    for device in dice.sample(known, len(known) // 4):
        uuid = await _uuid(operator, device)
        if dice.random() < 0.5:
            await aside.pin(operator, uuid, None)
        else:
            await aside.hold(operator, uuid, await at(operator.db) + timedelta(days=1), "busy")


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_previewed_is_what_happens(operator: Context, seed: int) -> None:
    dice = random.Random(seed)
    images_in_use = ("nginx:1.0.0", "nginx:1.5.0", "nginx:2.0.0", "nginx:3.0.0")
    known = [
        device
        for fleet in ("a", "b", None)
        for image in images_in_use
        for device in await crowd(operator.db, dice.randint(0, 6), image, fleet=fleet)
    ]
    canaries = [await _uuid(operator, device) for device in dice.sample(known, 4)]
    stages = [{"canaries": canaries[:2]}, {"canaries": canaries[2:]}, {"share_percent": 40}, {"share_percent": 100}]
    everywhere = await a_policy(operator, stages=stages)
    fleet_a = await a_policy(operator, fleet="a")
    await a_policy(operator, image_pattern="nginx:1.*", fleet="b", update_strategy="auto")
    for image in dice.sample(["nginx:1.7.0", "nginx:2.0.0"], dice.randint(0, 2)):
        await pushed(operator, image)
    await reconcile(operator.db)
    await _set_some_aside(operator, known, dice)

    for policy, image in ((everywhere, "nginx:2.0.0"), (fleet_a, "nginx:2.0.0"), (everywhere, "nginx:1.9.0")):
        before = await everything(operator.db)
        told = await preview(operator, policy.id, image, (), 100)
        assert await everything(operator.db) == before
        if told.refusal is not None:
            with pytest.raises(Refused, match=told.refusal.replace("*", ".")):
                await images.create_rollout(operator, policy.id, image)
            continue
        created = await images.create_rollout(operator, policy.id, image)
        await reconcile(operator.db)
        now = await read(operator.db, created.id)
        assert (now.size, now.stages) == ((told.sizes or (0,))[-1], told.sizes)
        left_out = [device.uuid for sample in told.left_out for device in sample.first]
        assert len(left_out) == len(set(left_out)) == sum(_counts(told).values())
        assert {await _uuid(operator, device) for device in known} - await _uuids(operator, created.id) == set(left_out)


async def test_images_that_move_together_are_previewed_together(operator: Context) -> None:
    runs = [
        {"api": "acme/api:1", "web": "acme/web:1"}, {"web": "acme/web:1"}, {"api": "acme/api:2", "web": "acme/web:1"},
        {"api": "acme/api:2", "web": "acme/web:2"}, {"api": "acme/api:1", "web": "acme/web:1"}, {"api": "acme/api:1"},
    ]  # fmt: skip
    known = [await _uuid(operator, device) for device in await crowd(operator.db, len(runs), "redis:7")]
    for uuid, services in zip(known, runs, strict=True):
        told = [{"serviceName": name, "imageName": image} for name, image in services.items()]
        await set_target(operator, uuid, {"1001": {"appId": 1001, "services": told}})
    await aside.pin(operator, known[4], None)
    policy = await a_policy(operator, image_pattern="acme/*", update_strategy="auto")
    before = await images.create_rollout(operator, policy.id, "acme/web:1.5")

    told_of = await preview(operator, policy.id, "acme/api:2", ["acme/web:2"], 10)
    created = await images.create_rollout(operator, policy.id, "acme/api:2", ["acme/web:2"])
    await reconcile(operator.db)

    assert [rollout.id for rollout in told_of.proposal.supersedes] == [before.id]
    assert _counts(told_of) == {LeftOut.SAME_IMAGE: 1, LeftOut.PINNED: 1}
    assert sentence(LeftOut.SAME_IMAGE, told_of.left_out[0].first[0]) == "it is told to run acme/api:2 and acme/web:2 already"
    assert await _uuids(operator, created.id) == {known[0], known[1], known[2], known[5]}
    assert (await read(operator.db, created.id)).stages == told_of.sizes == (4,)


async def test_every_reason_is_named_and_counted(operator: Context) -> None:
    await crowd(operator.db, 2, "nginx:1.0.0", fleet="own")
    await crowd(operator.db, 3, "nginx:2.0.0")
    in_another = await crowd(operator.db, 2)
    everybody = await a_policy(operator)
    await a_policy(operator, image_pattern="nginx:1.*", priority=1)
    await push(operator, "nginx:1.1.0")
    await reconcile(operator.db)
    pinned, held = await crowd(operator.db, 2)
    await aside.pin(operator, await _uuid(operator, pinned), "a fair")
    await aside.hold(operator, await _uuid(operator, held), await at(operator.db) + timedelta(days=1), None)
    taking_part = await crowd(operator.db, 6)
    await a_policy(operator, fleet="own")

    told = await preview(operator, everybody.id, "nginx:2.0.0", (), 1)

    assert (told.refusal, told.sizes[-1]) == (None, len(taking_part))
    assert _counts(told) == {
        LeftOut.OWN_POLICY: 2, LeftOut.SAME_IMAGE: 3, LeftOut.PINNED: 1, LeftOut.HELD: 1, LeftOut.OTHER_ROLLOUT: len(in_another),
    }  # fmt: skip
    assert all(len(sample.first) == 1 for sample in told.left_out)
    said = {sample.why: sentence(sample.why, sample.first[0]) for sample in told.left_out}
    assert said[LeftOut.OWN_POLICY] == "its fleet, own, has a policy of its own"
    assert said[LeftOut.SAME_IMAGE] == "it is told to run nginx:2.0.0 already"
    assert said[LeftOut.OTHER_ROLLOUT] == "it is in rollout 1, which is under way"
    assert said[LeftOut.PINNED].startswith("it was pinned by ops at ")
    assert said[LeftOut.PINNED].endswith(", until somebody releases it: a fair")
    of_fleet = await preview(operator, (await a_policy(operator, fleet="elsewhere")).id, "nginx:2.0.0", (), 0)
    assert of_fleet.refusal == "no device that this policy governs runs nginx"
    assert (of_fleet.sizes, set(_counts(of_fleet))) == ((), {LeftOut.OTHER_FLEET})


async def test_it_says_what_it_would_take_over_from_and_counts_those_devices_in(operator: Context) -> None:
    rollout = await a_rollout(operator, 10)

    told = await preview(operator, rollout.policy_id, "nginx:3.0.0", (), 10)

    assert [before.id for before in told.proposal.supersedes] == [rollout.id]
    assert (told.sizes, told.left_out) == ((1, 5, 10), ())


async def test_what_would_be_refused_is_said_in_the_same_words(operator: Context) -> None:
    rollout = await a_rollout(operator, 4)
    await rollouts.request(operator, rollout.id, Request.ROLL_BACK, "it hums")
    lone = await policies.create(operator, {"image_pattern": "redis", "update_strategy": "auto"})

    for policy, image in ((rollout.policy_id, "nginx:2.0.0"), (rollout.policy_id, "redis:7"), (lone.id, "redis:7")):
        told = await preview(operator, policy, image, (), 10)
        with pytest.raises(Refused) as refused:
            await images.create_rollout(operator, policy, image)
        assert told.refusal == str(refused.value) == told.forecast.why_not
    blocked = await preview(operator, rollout.policy_id, "nginx:2.0.0", (), 10)
    assert blocked.refusal == "nginx:2.0.0 is blocked: it hums; unblock it first"
    assert blocked.sizes[-1] == 4, "the rest is said as if it were not"


async def test_a_preview_of_nonsense_is_refused(operator: Context) -> None:
    policy = await a_policy(operator)
    gone = await policies.delete(operator, (await a_policy(operator)).id)

    for id, image, sample, refusal in (  # noqa: A001
        (PolicyId(99), "nginx:2", 10, NotFound), (gone.id, "nginx:2", 10, NotFound), (policy.id, "NGINX:2", 10, BadInput),
        (policy.id, "nginx:2", -1, BadInput), (policy.id, "nginx:2", 101, BadInput),
    ):  # fmt: skip
        with pytest.raises(refusal):
            await preview(operator, id, image, (), sample)


async def test_windows_open_zone_by_zone(operator: Context) -> None:
    known = await crowd(operator.db, 6)
    for device, zone in zip(known, ("Asia/Tokyo", "Asia/Tokyo", "Nowhere", "Etc/GMT+5"), strict=False):
        await devices.set_labels(operator, await _uuid(operator, device), {"timezone": zone})
    policy = await a_policy(operator, schedule={"windows": [{"cron": "0 2 * * *", "minutes": 60}], "timezone": "Europe/Berlin"})

    told = await preview(operator, policy.id, "nginx:2.0.0", (), 10)

    assert {opening.zone: opening.devices for opening in told.openings} == {"Asia/Tokyo": 2, "Europe/Berlin": 3, "Etc/GMT+5": 1}
    hours = {opening.zone: opening.at.hour for opening in told.openings if opening.at and opening.at.minute == 0}
    assert (hours.get("Asia/Tokyo", 17), hours.get("Etc/GMT+5", 7)) == (17, 7)
    assert [opening.at for opening in told.openings] == sorted(opening.at for opening in told.openings if opening.at)
    rollout = await images.create_rollout(operator, policy.id, "nginx:2.0.0")
    await reconcile(operator.db)
    assert {zone.name for zone in (await read(operator.db, rollout.id)).zones} == {opening.zone for opening in told.openings}


async def test_how_long_it_takes_is_learnt_from_rollouts_that_ended(operator: Context, clock: MovableClock) -> None:
    quick = {"update_strategy": "auto", "pickup_minutes": 60}
    await crowd(operator.db, 10)
    policy = await a_policy(operator, **quick)
    unknown = await preview(operator, policy.id, "nginx:2.0.0", (), 10)
    assert unknown.forecast.likely is not None
    assert unknown.forecast.likely - unknown.proposal.at == timedelta(minutes=60)
    assert "nothing has been rolled out yet" in unknown.forecast.basis
    rollout = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)
    async with operator.db.reading() as conn:
        offered_it = await offered(conn, rollout)
    for minute in range(1, 11):
        clock.advance(minutes=1)
        async with operator.db.transaction() as conn:
            await members.taken(conn, [offered_it[minute - 1]], await operator.db.now(conn))
            await members.report(conn, rollout, offered_it[minute - 1], Outcome.RUNNING, None, await operator.db.now(conn))
    await finished(operator.db, rollout)

    told = await preview(operator, policy.id, "nginx:3.0.0", (), 10)
    of_others = await preview(operator, (await a_policy(operator, **quick)).id, "nginx:3.0.0", (), 10)

    assert told.forecast.basis == "what 10 devices took in the last 1 rollouts of this policy"
    assert of_others.forecast.basis == "what 10 devices took in the last 1 rollouts of all policies"
    likely, late = (end and (end - told.proposal.at) / timedelta(minutes=1) for end in (told.forecast.likely, told.forecast.late))
    assert likely == pytest.approx(5.5, abs=0.1)
    assert late == pytest.approx(9.1, abs=0.1)


async def test_what_waits_for_people_has_no_end_that_anybody_could_tell(operator: Context) -> None:
    await crowd(operator.db, 10)
    approved = await a_policy(operator, approvals=2)
    promoted = await a_policy(operator, stages=[{"devices": 2, "manual_promotion": True}, {"share_percent": 100}])

    for policy, why in (
        (approved, "it begins once it is approved, for which 2 must decide"),
        (promoted, "after batch 1 it waits for an operator to promote it"),
    ):
        told = (await preview(operator, policy.id, "nginx:2.0.0", (), 10)).forecast
        assert (told.likely, told.late, told.why_not) == (None, None, why)


async def test_the_commonest_value_of_a_label_decides_how_many_waves_there_are(operator: Context) -> None:
    known = await crowd(operator.db, 8)
    for device, site in zip(known, "aaaab", strict=False):
        await devices.set_labels(operator, await _uuid(operator, device), {"site": site})
    pace = {"max_in_flight_per_label": {"label": "site", "devices": 2}}
    policy = await a_policy(operator, update_strategy="auto", pickup_minutes=10, pace=pace)

    told = await preview(operator, policy.id, "nginx:2.0.0", (), 10)

    assert told.forecast.likely is not None
    assert told.forecast.likely - told.proposal.at == timedelta(minutes=20)
    assert Counter(sample.why for sample in told.left_out) == {}
