"""The way back on a real database: by mode, after the end, of one batch, of one device."""

from typing import Any

import pytest

from domain.errors import BadInput, Conflict, IllegalMove
from domain.ids import DeviceId, RolloutId
from domain.requests import Request
from domain.rollouts import ROLLBACK_WINDOW
from domain.statuses import DeviceStatus, Status
from monitor.janitor import tidy
from monitor.reconciler import reconcile
from resolvers import images, rollouts
from tests.factories import a_policy, finished, push
from tests.field import Field

OLD, NEW = "nginx:1.0.0", "nginx:2.0.0"
STAGED = {"stages": [{"devices": 2}, {"devices": 4}, {"share_percent": 100}]}


async def _rollout(field: Field, **settings: Any) -> RolloutId:
    await a_policy(field.operator, **settings)
    rollout = await push(field.operator, NEW)
    await reconcile(field.operator.db)
    return rollout


async def _completed(field: Field, **settings: Any) -> RolloutId:
    """A rollout that everybody runs well."""
    rollout = await _rollout(field, **settings)
    while not (await field.read(rollout)).status.is_final:
        await field.obey(await field.offered(rollout))
        await reconcile(field.operator.db)
    assert (await field.read(rollout)).status is Status.COMPLETED
    return rollout


async def _told(field: Field, some: list[DeviceId]) -> list[str]:
    return [await field.polls(device) for device in some]


async def _take_back(field: Field, rollout: RolloutId, reason: str | None = None) -> None:
    await rollouts.request(field.operator, rollout, Request.ROLL_BACK, reason)
    await reconcile(field.operator.db)


# Modes


async def test_with_the_failed_batch_first_the_others_keep_the_image_until_it_is_back(field: Field) -> None:
    await field.devices(6)
    rollout = await _rollout(field, rollback_mode="failed_batch_first", max_failure_rate=0, min_outcomes=2, **STAGED)
    first = await field.offered(rollout)
    await field.obey(first)
    await reconcile(field.operator.db)
    second = [device for device in await field.offered(rollout) if device not in first]
    for device in second:
        await field.fails(device)
    await reconcile(field.operator.db)
    assert (await field.read(rollout)).status is Status.ROLLING_BACK
    assert (await _told(field, first), await _told(field, second)) == ([NEW] * 2, [OLD] * 2)
    await field.obey(second)
    await reconcile(field.operator.db)
    assert await _told(field, first) == [OLD] * 2
    await field.obey(first)
    await reconcile(field.operator.db)

    assert (await field.read(rollout)).status is Status.ROLLED_BACK
    assert await field.statuses(rollout) == [DeviceStatus.ROLLED_BACK] * 4 + [DeviceStatus.PENDING] * 2


async def test_where_only_failed_devices_return_the_others_keep_the_image_and_the_rollout_pauses(field: Field) -> None:
    await field.devices(6)
    rollout = await _rollout(field, rollback_mode="failed_devices", update_strategy="auto", max_failure_rate=0.2, min_outcomes=6)
    good, (bad, worse) = (everybody := await field.offered(rollout))[2:], everybody[:2]
    await field.obey(good)
    await field.fails(bad)
    await field.fails(worse)
    await reconcile(field.operator.db)

    now = await field.read(rollout)
    assert (now.status, now.reason) == (Status.PAUSED, "2 of 6 devices failed; the policy allows 20%")
    assert (await _told(field, good), await _told(field, [bad, worse])) == ([NEW] * 4, [OLD] * 2)
    await field.obey([bad])
    assert (await field.statuses(rollout))[:2] == [DeviceStatus.ROLLED_BACK, DeviceStatus.ROLLING_BACK]
    await rollouts.request(field.operator, rollout, Request.RESUME)
    await reconcile(field.operator.db)
    assert (await field.read(rollout)).status is Status.COMPLETED


async def test_a_silent_device_returns_alone_too(field: Field) -> None:
    await field.devices(3)
    rollout = await _rollout(field, rollback_mode="failed_devices", update_strategy="auto", max_failure_rate=0.5)
    silent, *good = await field.offered(rollout)
    await field.polls(silent)
    await field.obey(good)
    await field.later(minutes=30)

    assert (await field.read(rollout)).status is Status.COMPLETED
    assert await field.polls(silent) == OLD
    assert (await field.statuses(rollout))[0] is DeviceStatus.ROLLING_BACK
    await field.obey([silent])
    assert (await field.statuses(rollout))[0] is DeviceStatus.ROLLED_BACK


# After the end


async def test_a_completed_rollout_is_taken_back_in_one_step_to_each_devices_own_image(field: Field) -> None:
    some, others = await field.devices(2, OLD), await field.devices(2, "nginx:1.1.0")
    rollout = await _completed(field, update_strategy="auto")
    await field.later(days=29)
    await tidy(field.operator.db)
    await rollouts.request(field.operator, rollout, Request.ROLL_BACK, "it eats the disk")

    assert (await _told(field, some), await _told(field, others)) == ([OLD] * 2, ["nginx:1.1.0"] * 2)
    await field.obey(some + others)
    await reconcile(field.operator.db)
    now = await field.read(rollout)
    assert (now.status, now.reason) == (Status.ROLLED_BACK, "it eats the disk")
    versions = [field.told[device] for device in some + others]
    await tidy(field.operator.db)
    await _told(field, some + others)
    assert [field.told[device] for device in some + others] == versions, "folding is seen by nobody"


async def test_what_is_taken_back_is_blocked_with_who_and_why(field: Field) -> None:
    await field.devices(2)
    rollout = await _completed(field, update_strategy="auto")
    await _take_back(field, rollout, "it eats the disk")
    with pytest.raises(Conflict, match="it eats the disk"):
        await images.create_rollout(field.operator, (await field.read(rollout)).policy_id, NEW)
    async with field.operator.db.reading() as conn:
        row = await conn.fetchrow("select blocked_by, blocked_reason from releases")
    assert row is not None
    assert tuple(row) == ("ops", "it eats the disk")


async def test_a_rollout_that_ended_thirty_days_ago_is_not_taken_back(field: Field) -> None:
    some = await field.devices(2)
    rollout = await _completed(field, update_strategy="auto")
    field.clock.advance(days=ROLLBACK_WINDOW.days, seconds=1)
    before = await field.read(rollout)
    with pytest.raises(IllegalMove, match="too long ago"):
        await rollouts.request(field.operator, rollout, Request.ROLL_BACK)

    assert await field.read(rollout) == before
    assert await _told(field, some) == [NEW] * 2


async def test_a_rollout_of_another_fleet_leaves_a_completed_one_as_it_is(field: Field) -> None:
    paris, berlin = await field.devices(2), await field.devices(2)
    async with field.operator.db.transaction() as conn:
        await conn.execute("update devices set fleet = case when id = any ($1) then 'paris' else 'berlin' end", paris)
    rollout = await _completed(field, update_strategy="auto", fleet="paris")
    policy = await a_policy(field.operator, update_strategy="auto", fleet="berlin")
    await images.create_rollout(field.operator, policy.id, "nginx:3.0.0")
    await reconcile(field.operator.db)
    assert await _told(field, berlin) == ["nginx:3.0.0"] * 2
    await _take_back(field, rollout)

    assert await _told(field, paris) == [OLD] * 2


async def test_a_device_that_wakes_after_the_end_is_judged_as_the_others_were(field: Field) -> None:
    await field.devices(3)
    rollout = await _rollout(field, update_strategy="auto", health_check_enabled=True, soak_minutes=1)
    late, *others = await field.offered(rollout)
    await field.obey(others)
    await field.later(minutes=16)
    assert (await field.read(rollout)).status is Status.COMPLETED
    await field.obey([late])
    assert (await field.statuses(rollout))[0] is DeviceStatus.UPDATED
    await field.later(minutes=2)
    assert (await field.statuses(rollout))[0] is DeviceStatus.HEALTHY


async def test_a_device_that_wakes_after_the_end_and_fails_is_seen_to(field: Field) -> None:
    await field.devices(3)
    rollout = await _rollout(field, update_strategy="auto")
    late, *others = await field.offered(rollout)
    await field.obey(others)
    await field.later(minutes=16)
    await field.fails(late)

    assert (await field.statuses(rollout))[0] is DeviceStatus.FAILED
    assert (await field.read(rollout)).status is Status.COMPLETED


# One batch, one device


async def test_one_batch_is_taken_back_and_the_others_keep_the_image(field: Field) -> None:
    await field.devices(6)
    rollout = await _completed(field, **STAGED)
    everybody = await field.ranked(rollout)
    await rollouts.roll_back_batch(field.operator, rollout, 2)

    assert await _told(field, everybody) == [NEW, NEW, OLD, OLD, NEW, NEW]
    assert (await field.read(rollout)).status is Status.COMPLETED
    assert (await field.statuses(rollout))[2:4] == [DeviceStatus.ROLLING_BACK] * 2
    with pytest.raises(Conflict, match=f"nobody in batch 2 is offered the image of rollout {rollout} any more"):
        await rollouts.roll_back_batch(field.operator, rollout, 2)
    await field.obey(everybody)
    assert (await field.statuses(rollout))[2:4] == [DeviceStatus.ROLLED_BACK] * 2


async def test_a_batch_that_was_not_opened_cannot_be_taken_back(field: Field) -> None:
    await field.devices(6)
    rollout = await _rollout(field, **STAGED)
    for batch in (0, 2, 9):
        with pytest.raises(BadInput, match="no devices that are offered the image"):
            await rollouts.roll_back_batch(field.operator, rollout, batch)


async def test_who_is_taken_back_by_hand_is_replaced_by_nobody(field: Field) -> None:
    """Also one that never polled: it is gone, and not silent besides."""
    await field.devices(8)
    rollout = await _rollout(field, pickup_minutes=15, **STAGED)
    first = await field.offered(rollout)
    await rollouts.roll_back_device(field.operator, rollout, await field.uuid(first[0]))
    await reconcile(field.operator.db)
    assert (await field.read(rollout)).frontier == 2
    await field.polls((await field.offered(rollout))[0])
    await field.later(minutes=20)

    assert (await field.read(rollout)).frontier == 2


async def test_one_device_is_taken_back_and_stays_out_while_the_rollout_goes_on(field: Field) -> None:
    everybody = await field.devices(6)
    rollout = await _rollout(field, **STAGED)
    odd = (await field.offered(rollout))[0]
    await field.polls(odd)
    await rollouts.roll_back_device(field.operator, rollout, await field.uuid(odd))
    assert await field.polls(odd) == OLD
    while not (await field.read(rollout)).status.is_final:
        await field.obey(everybody)
        await reconcile(field.operator.db)

    assert sorted(await _told(field, everybody)) == [OLD] + [NEW] * 5
    with pytest.raises(Conflict, match="not offered"):
        await rollouts.roll_back_device(field.operator, rollout, await field.uuid(odd))
    await tidy(field.operator.db)
    field.clock.advance(days=31)
    before = [field.told[device] for device in everybody]
    await tidy(field.operator.db)
    await _told(field, everybody)
    assert [field.told[device] for device in everybody] == before, "folding is seen by nobody"


async def test_a_device_that_is_to_be_tried_again_can_be_taken_out(field: Field) -> None:
    [device, *_] = await field.devices(2)
    rollout = await _rollout(field, update_strategy="auto", retries={"failed": 3})
    await field.fails(device)
    await rollouts.roll_back_device(field.operator, rollout, await field.uuid(device))
    await field.later(minutes=10)

    assert await field.polls(device) == OLD


async def test_a_device_whose_batch_is_not_open_cannot_be_taken_back(field: Field) -> None:
    await field.devices(6)
    rollout = await _rollout(field, **STAGED)
    last = (await field.ranked(rollout))[-1]
    with pytest.raises(Conflict, match="not offered"):
        await rollouts.roll_back_device(field.operator, rollout, await field.uuid(last))


async def test_nobody_takes_the_place_of_those_who_were_taken_back_by_hand(field: Field) -> None:
    some = await field.devices(8)
    stages = [{"devices": 2, "manual_promotion": True}, {"share_percent": 100}]
    await a_policy(field.operator, update_strategy="staged", stages=stages)
    rollout = await push(field.operator, "nginx:2.0.0")
    await reconcile(field.operator.db)
    await field.obey(some)
    await reconcile(field.operator.db)
    await rollouts.roll_back_batch(field.operator, rollout, 1)
    await field.obey(some)
    await field.later(hours=1)

    assert (await field.read(rollout)).frontier == 2
    assert {await field.polls(device) for device in some} == {"nginx:1.0.0"}


async def test_what_another_rollout_has_followed_is_taken_back_by_taking_that_one_back(field: Field) -> None:
    await field.devices(2)
    await a_policy(field.operator, update_strategy="auto")
    first = await push(field.operator, "nginx:2.0.0")
    await finished(field.operator.db, first)
    second = await push(field.operator, "nginx:3.0.0")
    await finished(field.operator.db, second)

    with pytest.raises(Conflict, match=f"rollout {second} has followed it on its devices"):
        await rollouts.request(field.operator, first, Request.ROLL_BACK)
    with pytest.raises(Conflict, match=f"rollout {second} has followed it on its devices"):
        await rollouts.roll_back_batch(field.operator, first, 1)
    assert (await rollouts.request(field.operator, second, Request.ROLL_BACK)).status is Status.ROLLING_BACK
