"""Plans on a real database: stages, canaries, approvals, retries, timers, quarantine."""

from typing import Any

import pytest

from domain.actors import Actor
from domain.errors import BadInput, Conflict, IllegalMove
from domain.ids import DeviceId, RolloutId
from domain.requests import Request
from domain.rollouts import Rollout
from domain.statuses import DeviceStatus, Status
from monitor.reconciler import reconcile
from resolvers import policies, rollouts
from resolvers.context import Context
from resolvers.feed import Feed
from storage.database import Database
from tests.factories import a_policy, push
from tests.field import Field

REST = {"share_percent": 100}
NOBODY = "00000000-0000-4000-8000-000000000000"


async def _rollout(field: Field, image: str = "nginx:2.0.0", **settings: Any) -> RolloutId:
    """A rollout under a policy of its own, as far as it goes at once."""
    await a_policy(field.operator, **settings)
    return await _pushed(field, image)


async def _pushed(field: Field, image: str) -> RolloutId:
    rollout = await push(field.operator, image)
    await reconcile(field.operator.db)
    return rollout


async def _frontier(field: Field, rollout: RolloutId) -> int:
    return (await field.read(rollout)).frontier


# Stages


async def test_stages_may_be_counted_in_devices(field: Field) -> None:
    await field.devices(20)
    rollout = await _rollout(field, stages=[{"devices": 1}, {"devices": 7}, REST])
    frontiers = []
    while not (now := await field.read(rollout)).status.is_final:
        frontiers.append(now.frontier)
        await field.obey(await field.offered(rollout))
        await reconcile(field.operator.db)

    assert frontiers == [1, 7, 20]


async def test_each_member_shows_the_number_of_its_batch_once_that_is_open(field: Field) -> None:
    await field.devices(6)
    rollout = await _rollout(field, stages=[{"devices": 1}, {"devices": 3}, REST])
    await field.obey(await field.offered(rollout))
    await reconcile(field.operator.db)

    numbers = [member.batch_number for member in await rollouts.devices(field.operator, rollout, -1, 10)]
    assert numbers == [1, 2, 2, None, None, None]
    async with field.operator.db.reading() as conn:
        rows = await conn.fetch("select batch_number from device_rollout_status order by rank")
    assert [row["batch_number"] for row in rows] == numbers


async def test_canaries_come_first_stage_by_stage_awake_or_not(field: Field) -> None:
    everybody = await field.devices(10)
    asleep = await field.devices(1, awake=False)
    second, first = everybody[3], everybody[7]
    named = [[await field.uuid(first)], [await field.uuid(second), await field.uuid(asleep[0])]]
    rollout = await _rollout(field, stages=[{"canaries": named[0]}, {"canaries": named[1]}, REST])

    assert await field.ranked(rollout) == [first, second, asleep[0], *(await field.ranked(rollout))[3:]]
    assert await field.offered(rollout) == [first]
    await field.obey([first])
    await reconcile(field.operator.db)
    assert await field.offered(rollout) == [first, second, asleep[0]]
    assert (await field.read(rollout)).stages == (1, 3, 11)


async def test_a_canary_that_is_not_in_the_fleet_holds_nobody_up(field: Field) -> None:
    [one, *_] = await field.devices(4)
    rollout = await _rollout(field, stages=[{"canaries": [NOBODY]}, {"canaries": [await field.uuid(one)]}, REST])

    assert await field.offered(rollout) == [one]
    await field.obey([one])
    await reconcile(field.operator.db)
    assert await _frontier(field, rollout) == 4
    assert [member.batch_number for member in await rollouts.devices(field.operator, rollout, -1, 10)] == [2, 3, 3, 3]


async def test_a_device_is_a_canary_once(field: Field) -> None:
    with pytest.raises(BadInput, match="canaries"):
        await a_policy(field.operator, stages=[{"canaries": [NOBODY]}, {"canaries": [NOBODY]}, REST])


async def test_each_stage_has_its_own_soak_and_its_own_delay(field: Field) -> None:
    await field.devices(3)
    rollout = await _rollout(
        field, health_check_enabled=True, soak_minutes=1,
        stages=[{"devices": 1, "soak_minutes": 10}, {"devices": 2, "delay_minutes": 20}, REST],
    )  # fmt: skip
    await field.obey(await field.offered(rollout))
    await field.later(minutes=9, seconds=30)
    assert (await _frontier(field, rollout), await field.statuses(rollout)) == (1, [DeviceStatus.UPDATED, *2 * [DeviceStatus.PENDING]])
    await field.later(seconds=31)
    assert await _frontier(field, rollout) == 2, "without a delay the next opens at once"
    await field.obey((await field.offered(rollout))[1:])
    await field.later(minutes=1, seconds=1)
    assert (await field.statuses(rollout))[:2] == [DeviceStatus.HEALTHY] * 2
    await field.later(minutes=19)
    assert await _frontier(field, rollout) == 2
    await field.later(minutes=1, seconds=1)
    assert await _frontier(field, rollout) == 3


async def test_the_limit_of_a_stage_counts_its_own_devices_and_the_policys_all_of_them(field: Field) -> None:
    await field.devices(20)
    rollout = await _rollout(
        field, max_failure_rate=0.5, min_outcomes=4, stages=[{"devices": 4}, {"devices": 8, "max_failure_rate": 0.2}, REST]
    )
    await field.fails((await field.offered(rollout))[0])
    await field.obey((await field.offered(rollout))[1:])
    await reconcile(field.operator.db)
    assert (await field.read(rollout)).stage == 1, "a quarter is less than the half that is allowed"
    await field.fails((await field.offered(rollout))[4])
    await field.obey((await field.offered(rollout))[5:])
    await reconcile(field.operator.db)

    now = await field.read(rollout)
    assert (now.status, now.reason) == (Status.ROLLING_BACK, "1 of 4 devices of the batch failed; the policy allows 20%")


async def test_a_stage_that_is_promoted_by_hand_waits_for_an_operator_and_no_longer(field: Field) -> None:
    await field.devices(4)
    rollout = await _rollout(field, stages=[{"devices": 1, "manual_promotion": True, "delay_minutes": 60}, {"devices": 2}, REST])
    await field.obey(await field.offered(rollout))
    await field.later(days=3)
    assert await _frontier(field, rollout) == 1
    assert "promote" in (await rollouts.explain(field.operator, rollout)).next.sentence  # type: ignore[union-attr]

    await rollouts.request(field.operator, rollout, Request.PROMOTE, "looks good")
    await reconcile(field.operator.db)

    assert await _frontier(field, rollout) == 2
    await field.obey(await field.offered(rollout))
    await reconcile(field.operator.db)
    assert await _frontier(field, rollout) == 4, "only the first stage was to be promoted by hand"


async def test_a_device_that_relapses_while_the_rollout_is_watched_counts(field: Field) -> None:
    await field.devices(1)
    rollout = await _rollout(field, update_strategy="auto", watch_minutes=60)
    [device] = await field.offered(rollout)
    await field.obey([device])
    await field.later(minutes=59)
    assert (await field.read(rollout)).status is Status.IN_PROGRESS
    await field.fails(device)
    await reconcile(field.operator.db)

    assert (await field.read(rollout)).status is Status.ROLLING_BACK


# Approvals


async def _decide(field: Field, who: str, rollout: Rollout, what: Request = Request.APPROVE, checksum: str | None = None) -> Rollout:
    ctx = Context(field.operator.db, Feed(), Actor.operator(who))
    decided = await rollouts.request(ctx, rollout.id, what, None, checksum or rollout.checksum)
    await reconcile(field.operator.db)
    return decided


async def test_two_of_two_approvals_start_it_and_one_person_cannot_give_both(field: Field) -> None:
    await field.devices(2)
    rollout = await field.read(await _rollout(field, approvals=2, update_strategy="manual"))
    with pytest.raises(IllegalMove, match="2 more approvals"):
        await rollouts.request(field.operator, rollout.id, Request.START)
    await _decide(field, "ann", rollout)
    with pytest.raises(Conflict, match="ann has approved it already"):
        await _decide(field, "ann", rollout)
    assert ((await field.read(rollout.id)).status, (await field.read(rollout.id)).approved_by) == (Status.PENDING, ("ann",))
    await _decide(field, "bob", rollout)

    now = await field.read(rollout.id)
    assert (now.status, now.approved_by, now.frontier) == (Status.IN_PROGRESS, ("ann", "bob"), 1)


@pytest.mark.parametrize("what", [Request.APPROVE, Request.REJECT])
async def test_a_decision_about_something_else_changes_nothing(field: Field, what: Request) -> None:
    await field.devices(2)
    rollout = await field.read(await _rollout(field, approvals=1))
    with pytest.raises(Conflict, match="another release or plan"):
        await _decide(field, "ann", rollout, what, checksum="0" * 32)
    with pytest.raises(Conflict, match="another release or plan"):
        await rollouts.request(field.operator, rollout.id, what)

    assert await field.read(rollout.id) == rollout


async def test_replanning_voids_approvals_and_decisions_made_for_the_old_plan(field: Field) -> None:
    await field.devices(10)
    policy = await a_policy(field.operator, approvals=2)
    old = await field.read(await _pushed(field, "nginx:2.0.0"))
    await _decide(field, "ann", old)
    await policies.update(field.operator, policy.id, {"staged_batches": 2, "approvals": 1})
    new = await rollouts.replan(field.operator, old.id)

    assert (new.approved_by, new.stages, new.status) == ((), (1, 10), Status.PENDING)
    with pytest.raises(Conflict):
        await _decide(field, "bob", old)
    await _decide(field, "bob", new)
    assert (await field.read(old.id)).status is Status.IN_PROGRESS


async def test_more_approvals_than_are_needed_are_refused_and_hold_nothing_up(field: Field) -> None:
    await field.devices(2)
    await field.until("2031-06-10T00:00")
    rollout = await field.read(await _rollout(field, approvals=1, schedule={"not_before": "2031-06-11T00:00:00Z"}))
    await _decide(field, "ann", rollout)
    with pytest.raises(IllegalMove, match="approvals it needs"):
        await _decide(field, "bob", rollout)
    await field.later(days=1, seconds=1)

    assert (await field.read(rollout.id)).status is Status.IN_PROGRESS


async def test_undecided_until_the_deadline_it_is_cancelled(field: Field) -> None:
    await field.devices(2)
    rollout = await field.read(await _rollout(field, approvals=2, approval_deadline_minutes=60))
    await _decide(field, "ann", rollout)
    await field.later(minutes=59)
    assert (await field.read(rollout.id)).status is Status.PENDING
    await field.later(minutes=1)

    now = await field.read(rollout.id)
    assert (now.status, now.reason) == (Status.CANCELLED, "nobody decided in time: 1 of 2 approvals were missing")


async def test_who_rejects_it_ends_it_and_is_named(field: Field) -> None:
    await field.devices(2)
    rollout = await field.read(await _rollout(field, approvals=2))
    await _decide(field, "ann", rollout)
    await _decide(field, "bob", rollout, Request.REJECT)

    now = await field.read(rollout.id)
    assert (now.status, now.reason, await field.offered(rollout.id)) == (Status.CANCELLED, "rejected by bob", [])


# Retries


async def _one(field: Field, **settings: Any) -> tuple[DeviceId, RolloutId]:
    [device] = await field.devices(1)
    return device, await _rollout(field, **{"update_strategy": "auto", "max_failure_rate": 0, **settings})


async def test_a_failed_device_goes_back_and_is_tried_again_after_one_two_and_four_times_the_backoff(field: Field) -> None:
    device, rollout = await _one(field, retries={"failed": 3, "backoff_minutes": 5})
    for tried, wait in enumerate((5, 10, 20)):
        await field.fails(device)
        await reconcile(field.operator.db)
        assert await field.polls(device) == "nginx:1.0.0"
        assert await field.statuses(rollout) == [DeviceStatus.RETRYING]
        await field.later(minutes=wait - 0.5)
        assert await field.polls(device) == "nginx:1.0.0"
        await field.later(seconds=31)
        assert await field.polls(device) == "nginx:2.0.0"
        assert field.told[device] == ("nginx:2.0.0", 2 + 2 * (tried + 1)), "each way there and back is a version of its own"
    await field.fails(device)
    await reconcile(field.operator.db)

    assert (await field.read(rollout)).status is Status.ROLLING_BACK


async def test_a_device_that_is_to_be_tried_again_is_no_failure_yet_and_the_batch_waits_for_it(field: Field) -> None:
    device, rollout = await _one(field, retries={"failed": 1})
    await field.fails(device)
    await field.later(minutes=4)
    assert (await field.read(rollout)).status is Status.IN_PROGRESS
    assert await field.polls(device) == "nginx:1.0.0"
    await field.later(minutes=2)
    await field.obey([device])
    await reconcile(field.operator.db)

    assert (await field.read(rollout)).status is Status.COMPLETED


async def test_a_device_that_is_offered_the_image_again_is_waited_for_as_it_was_at_first(field: Field) -> None:
    """Its rank was passed long ago: that must not make it silent before it could poll."""
    device, rollout = await _one(field, retries={"failed": 1, "backoff_minutes": 60}, pickup_minutes=15)
    await field.fails(device)
    await field.later(minutes=61)
    explained = await rollouts.explain(field.operator, rollout)
    assert (explained.progress.untaken, explained.progress.silent) == (1, 0)
    await field.later(minutes=15)

    explained = await rollouts.explain(field.operator, rollout)
    assert (explained.progress.untaken, explained.progress.silent) == (0, 1)


async def test_tries_are_counted_by_kind_of_failure(field: Field) -> None:
    device, rollout = await _one(field, health_check_enabled=True, retries={"unhealthy": 1})
    await field.polls(device)
    await field.says(device, "nginx:2.0.0", health="unhealthy")
    await field.later(minutes=6)
    await field.polls(device)
    await field.later(seconds=1)
    assert await field.statuses(rollout) == [DeviceStatus.SCHEDULED]
    await field.fails(device, error="UpdateRefused")
    await reconcile(field.operator.db)

    assert (await field.read(rollout)).status is Status.ROLLING_BACK, "a refusal is not tried again"


async def test_a_device_that_falls_silent_is_tried_again_too(field: Field) -> None:
    device, rollout = await _one(field, retries={"timed_out": 1, "backoff_minutes": 5}, deadline_minutes=30)
    await field.polls(device)
    await field.later(minutes=30)
    assert await field.statuses(rollout) == [DeviceStatus.RETRYING]
    assert await field.polls(device) == "nginx:1.0.0"
    await field.later(minutes=5)
    assert await field.polls(device) == "nginx:2.0.0"
    await field.later(minutes=30)

    assert (await field.read(rollout)).status is Status.ROLLING_BACK


async def test_an_operator_may_have_all_that_failed_tried_again(field: Field) -> None:
    await field.devices(4)
    rollout = await _rollout(field, update_strategy="auto", auto_rollback_enabled=False)
    bad, *good = await field.offered(rollout)
    await field.obey(good)
    await field.fails(bad)
    await reconcile(field.operator.db)
    assert (await field.read(rollout)).status is Status.PAUSED
    await rollouts.request(field.operator, rollout, Request.RETRY)
    await rollouts.request(field.operator, rollout, Request.RESUME)
    await field.later(seconds=31)
    assert await field.polls(bad) == "nginx:1.0.0", "an offer that is renewed between two polls is not seen"
    await field.later(seconds=1)
    await field.obey([bad])
    await reconcile(field.operator.db)

    assert (await field.read(rollout)).status is Status.COMPLETED
    assert await field.statuses(rollout) == [DeviceStatus.UPDATED] * 4


async def test_who_is_tried_again_and_does_not_poll_is_offered_the_image_again_all_the_same(field: Field) -> None:
    device, rollout = await _one(field, retries={"failed": 1, "backoff_minutes": 5}, pickup_minutes=20)
    await field.fails(device)
    await field.later(minutes=19)
    assert await field.statuses(rollout) == [DeviceStatus.RETRYING]
    await field.later(minutes=1)

    assert await field.statuses(rollout) == [DeviceStatus.SCHEDULED]


async def test_a_device_that_fails_every_other_time_it_speaks_has_until_its_deadline(field: Field) -> None:
    """As in an outage of the registry: it cannot pull, tries again, and says nothing conclusive meanwhile."""
    device, rollout = await _one(field, deadline_minutes=10, min_outcomes=100, max_failure_rate=1)
    await field.polls(device)
    for _ in range(20):
        await field.says(device, "nginx:2.0.0", "exited")
        await field.says(device, "nginx:2.0.0", "downloading")
        await field.later(minutes=0.49)
    assert await field.statuses(rollout) == [DeviceStatus.UPDATING]
    await field.later(minutes=0.5)

    assert await field.statuses(rollout) == [DeviceStatus.TIMED_OUT]
    assert (await field.read(rollout)).status is Status.COMPLETED


async def test_a_device_that_restarts_again_and_again_has_until_its_deadline(field: Field) -> None:
    device, rollout = await _one(field, deadline_minutes=10, soak_minutes=5, health_check_enabled=True, max_failure_rate=1)
    await field.polls(device)
    for _ in range(9):
        await field.says(device, "nginx:2.0.0", "running")
        await field.later(minutes=1)
        await field.says(device, "nginx:2.0.0", "restarting")
    assert await field.statuses(rollout) == [DeviceStatus.UPDATING]
    await field.later(minutes=1)

    assert await field.statuses(rollout) == [DeviceStatus.TIMED_OUT]


# Timers


async def test_a_device_that_says_something_within_each_step_has_until_the_deadline_and_no_longer(field: Field) -> None:
    """The example of AWS IoT Jobs: 20 minutes for all of it, 7 for a step, from 12:00."""
    device, rollout = await _one(field, deadline_minutes=20, step_minutes=7)
    await field.until("2031-06-10T12:00")
    await field.polls(device)
    for moment in ("12:06", "12:12", "12:18"):
        await field.until(f"2031-06-10T{moment}")
        await reconcile(field.operator.db)
        assert await field.statuses(rollout) == [DeviceStatus.UPDATING]
        await field.says(device, "nginx:1.0.0")
    await field.until("2031-06-10T12:19:30")
    await reconcile(field.operator.db)
    assert await field.statuses(rollout) == [DeviceStatus.UPDATING]
    await field.until("2031-06-10T12:20:30")
    await reconcile(field.operator.db)

    assert (await field.read(rollout)).status is Status.ROLLING_BACK, "12:25 would be past the 20 minutes"


async def test_a_device_that_says_nothing_for_a_step_has_timed_out_before_the_deadline(field: Field) -> None:
    device, rollout = await _one(field, deadline_minutes=20, step_minutes=7)
    await field.polls(device)
    await field.later(minutes=6, seconds=30)
    assert (await field.read(rollout)).status is Status.IN_PROGRESS
    await field.later(minutes=1)

    assert (await field.read(rollout)).status is Status.ROLLING_BACK


async def test_a_report_is_no_poll(field: Field) -> None:
    """A device that has not asked yet cannot know of the image, whatever it says of the one it runs."""
    device, rollout = await _one(field, step_minutes=7)
    await field.says(device, "nginx:1.0.0")
    assert await field.statuses(rollout) == [DeviceStatus.SCHEDULED]


# Quarantine


async def test_a_device_that_failed_in_so_many_rollouts_in_a_row_is_left_out_of_the_next(field: Field) -> None:
    bad, *good = await field.devices(4)
    await a_policy(field.operator, update_strategy="auto", max_failure_rate=1, quarantine_after=2)
    for image in ("nginx:2.0.0", "nginx:3.0.0"):
        rollout = await _pushed(field, image)
        assert bad in await field.ranked(rollout)
        await field.obey(good)
        await field.fails(bad, image)
        await reconcile(field.operator.db)
        assert (await field.read(rollout)).status is Status.COMPLETED

    third = await _pushed(field, "nginx:4.0.0")

    assert sorted(await field.ranked(third)) == good
    assert await _aside(field.operator.db, bad) == ("quarantined", "it failed in 2 rollouts in a row")


async def test_a_device_that_ran_an_image_well_in_between_is_not_set_aside(field: Field) -> None:
    bad, *good = await field.devices(4)
    await a_policy(field.operator, update_strategy="auto", max_failure_rate=1, quarantine_after=2)
    for image, works in (("nginx:2.0.0", False), ("nginx:3.0.0", True), ("nginx:4.0.0", False)):
        await _pushed(field, image)
        await field.obey(good)
        await (field.obey([bad]) if works else field.fails(bad, image))
        await reconcile(field.operator.db)

    assert await _aside(field.operator.db, bad) == (None, None)


async def _aside(db: Database, device: DeviceId) -> tuple[str | None, str | None]:
    async with db.reading() as conn:
        row = await conn.fetchrow("select aside, aside_reason from devices where id = $1", device)
    assert row is not None
    return row["aside"], row["aside_reason"]


async def test_a_canary_that_sleeps_is_replaced_by_nobody_and_an_operator_decides(field: Field) -> None:
    [canary, *others] = await field.devices(4)
    stages = [{"canaries": [await field.uuid(canary)]}, {"share_percent": 100}]
    await a_policy(field.operator, update_strategy="staged", stages=stages, pickup_minutes=5, batch_delay_minutes=0)
    rollout = await push(field.operator, "nginx:2.0.0")
    await reconcile(field.operator.db)
    await field.later(hours=1)
    wait = (await rollouts.explain(field.operator, rollout)).next
    assert getattr(wait, "sentence", "") == "nobody in batch 1 shows anything; it waits for an operator to promote it all the same"
    assert {await field.polls(device) for device in others} == {"nginx:1.0.0"}
    with pytest.raises(Conflict, match="batch 1 is open, not 2"):
        await rollouts.request(field.operator, rollout, Request.PROMOTE, batch=2)
    await rollouts.request(field.operator, rollout, Request.PROMOTE, batch=1)
    await reconcile(field.operator.db)

    assert {await field.polls(device) for device in others} == {"nginx:2.0.0"}


async def test_nobody_starts_a_rollout_before_its_time(field: Field) -> None:
    await field.devices(1)
    await a_policy(field.operator, update_strategy="scheduled", schedule={"not_before": "2100-01-01T00:00:00Z"})
    rollout = await push(field.operator, "nginx:2.0.0")
    await reconcile(field.operator.db)

    with pytest.raises(IllegalMove, match="cannot start it before 2100-01-01 00:00 UTC"):
        await rollouts.request(field.operator, rollout, Request.START)
