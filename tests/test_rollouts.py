"""Rollouts on a real database: who is offered what, when, and what becomes of it."""

from datetime import timedelta

import pytest

from domain.errors import Conflict, IllegalMove
from domain.events import Cursor, EventType
from domain.health import Outcome
from domain.ids import DeviceId, PolicyId, RolloutId
from domain.requests import Request
from domain.statuses import DeviceStatus, Status
from domain.times import shown
from monitor.janitor import tidy
from monitor.reconciler import reconcile
from resolvers import aside, devices, events, images, policies, previews, rollouts
from resolvers.context import Context
from resolvers.targets import set_target
from storage import members, targets
from storage.database import Database
from tests.clock import MovableClock
from tests.factories import a_policy, a_rollout, everybody_says, finished, offered, polled, push, read
from tools.crowd import crowd
from tools.pushing import pushed


async def _shown(db: Database, device: DeviceId) -> str:
    """The image a device is told to run."""
    async with db.reading() as conn:
        target = await targets.target(conn, device)
    assert target is not None
    return str(target.apps["1001"]["services"][0]["imageName"])


async def _offered(db: Database, rollout: RolloutId) -> list[DeviceId]:
    async with db.reading() as conn:
        return await offered(conn, rollout)


async def _says(db: Database, rollout: RolloutId, device: DeviceId, outcome: Outcome) -> None:
    async with db.transaction() as conn:
        await members.report(conn, rollout, device, outcome, None, await db.now(conn))
    await reconcile(db)


async def _statuses(operator: Context, rollout: RolloutId) -> list[DeviceStatus]:
    return [member.status for member in await rollouts.devices(operator, rollout, -1, 100)]


async def test_a_good_image_reaches_everybody_in_batches_of_a_tenth_a_half_and_all(operator: Context) -> None:
    rollout = await a_rollout(operator, 20)
    sizes = []
    while not rollout.status.is_final:
        sizes.append(rollout.frontier)
        await everybody_says(operator.db, rollout.id, Outcome.RUNNING)
        await reconcile(operator.db)
        rollout = await read(operator.db, rollout.id)

    assert sizes == [2, 10, 20]
    assert rollout.status is Status.COMPLETED


async def test_auto_offers_the_image_to_everybody_at_once(operator: Context) -> None:
    assert (await a_rollout(operator, 20, update_strategy="auto")).frontier == 20


async def test_manual_offers_nobody_anything_until_an_operator_starts_it(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 20, update_strategy="manual")
    clock.advance(days=30)
    await reconcile(operator.db)
    assert ((await read(operator.db, rollout.id)).status, rollout.frontier) == (Status.PENDING, 0)

    await rollouts.request(operator, rollout.id, Request.START)
    await reconcile(operator.db)

    assert (await read(operator.db, rollout.id)).frontier == 2


async def test_devices_that_are_awake_go_first(operator: Context) -> None:
    asleep = await crowd(operator.db, 30, awake=False)
    awake = await crowd(operator.db, 3)
    await a_policy(operator)
    rollout = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)

    assert set(await _offered(operator.db, rollout)) == set(awake)
    assert not set(await _offered(operator.db, rollout)) & set(asleep)


async def test_two_rollouts_do_not_try_the_same_devices_first(operator: Context) -> None:
    await crowd(operator.db, 100)
    await a_policy(operator)
    first = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)
    tried = await _offered(operator.db, first)
    second = await push(operator, "nginx:3.0.0")
    await reconcile(operator.db)

    assert set(tried) != set(await _offered(operator.db, second))


async def test_a_bad_image_takes_each_device_back_to_its_own_previous_image(operator: Context) -> None:
    old = {device: f"nginx:1.{minor}.0" for minor in range(4) for device in await crowd(operator.db, 2, f"nginx:1.{minor}.0")}
    await a_policy(operator, update_strategy="auto")
    rollout = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)
    assert {await _shown(operator.db, device) for device in old} == {"nginx:2.0.0"}

    await everybody_says(operator.db, rollout, Outcome.FAILED)
    await reconcile(operator.db)

    assert {device: await _shown(operator.db, device) for device in old} == old
    assert (await read(operator.db, rollout)).status is Status.ROLLING_BACK
    assert (await finished(operator.db, rollout)).status is Status.ROLLED_BACK


async def test_a_rollback_is_done_when_devices_report_it_and_not_before(operator: Context) -> None:
    rollout = await a_rollout(operator, 4, update_strategy="auto")
    await everybody_says(operator.db, rollout.id, Outcome.FAILED)
    await reconcile(operator.db)
    back, *others = [member.device_id for member in await rollouts.devices(operator, rollout.id, -1, 10)]
    async with operator.db.transaction() as conn:
        await members.returned(conn, rollout.id, back, True, await operator.db.now(conn))
    await reconcile(operator.db)

    assert (await read(operator.db, rollout.id)).status is Status.ROLLING_BACK
    assert sorted(await _statuses(operator, rollout.id)) == [DeviceStatus.ROLLED_BACK] + [DeviceStatus.ROLLING_BACK] * len(others)


async def test_a_device_that_never_reports_its_return_does_not_hold_the_rollback_for_ever(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 4, update_strategy="auto", deadline_minutes=30)
    await everybody_says(operator.db, rollout.id, Outcome.FAILED)
    await reconcile(operator.db)
    clock.advance(minutes=30)
    await reconcile(operator.db)

    ended = await read(operator.db, rollout.id)
    assert ended.status is Status.ROLLED_BACK
    assert "4 devices have not reported their return" in (ended.reason or "")


async def test_a_fifth_of_those_who_answered_may_fail_and_no_more(operator: Context) -> None:
    rollout = await a_rollout(operator, 20, update_strategy="auto", max_failure_rate=0.2, min_outcomes=5)
    one, two, three, *rest = await _offered(operator.db, rollout.id)
    for device in rest[:8]:
        await _says(operator.db, rollout.id, device, Outcome.RUNNING)
    await _says(operator.db, rollout.id, one, Outcome.FAILED)
    await _says(operator.db, rollout.id, two, Outcome.FAILED)
    assert (await read(operator.db, rollout.id)).status is Status.IN_PROGRESS
    await _says(operator.db, rollout.id, three, Outcome.FAILED)

    stopped = await read(operator.db, rollout.id)
    assert (stopped.status, stopped.reason) == (Status.ROLLING_BACK, "3 of 11 devices failed; the policy allows 20%")


async def test_the_first_failure_of_many_still_to_answer_stops_nothing(operator: Context) -> None:
    rollout = await a_rollout(operator, 100, min_outcomes=5)
    first, *_ = await _offered(operator.db, rollout.id)
    await _says(operator.db, rollout.id, first, Outcome.FAILED)

    assert (await read(operator.db, rollout.id)).status is Status.IN_PROGRESS


async def test_failures_which_are_known_at_once_do_not_outweigh_devices_that_still_soak(operator: Context) -> None:
    rollout = await a_rollout(
        operator, 100, update_strategy="auto", health_check_enabled=True, soak_minutes=10, max_failure_rate=0.2, min_outcomes=5
    )
    everybody = await _offered(operator.db, rollout.id)
    for device in everybody[:45]:
        await _says(operator.db, rollout.id, device, Outcome.RUNNING)
    for device in everybody[45:55]:
        await _says(operator.db, rollout.id, device, Outcome.FAILED)
    assert (await read(operator.db, rollout.id)).status is Status.IN_PROGRESS, "10 of 55 is within a fifth"

    for device in everybody[55:58]:
        await _says(operator.db, rollout.id, device, Outcome.FAILED)
    assert (await read(operator.db, rollout.id)).status is Status.ROLLING_BACK


async def test_without_automatic_rollback_too_many_failures_pause_and_an_operator_may_go_on(operator: Context) -> None:
    rollout = await a_rollout(operator, 4, auto_rollback_enabled=False)
    await everybody_says(operator.db, rollout.id, Outcome.FAILED)
    await reconcile(operator.db)
    assert (await read(operator.db, rollout.id)).status is Status.PAUSED

    await rollouts.request(operator, rollout.id, Request.RESUME, "a known flaw of the test rig")
    await reconcile(operator.db)

    now = await read(operator.db, rollout.id)
    assert (now.status, now.frontier) == (Status.IN_PROGRESS, 2)
    await everybody_says(operator.db, rollout.id, Outcome.FAILED)
    await reconcile(operator.db)
    assert (await read(operator.db, rollout.id)).status is Status.PAUSED, "a further failure was not accepted"


async def test_a_device_that_took_the_image_and_fell_silent_counts_as_failed_after_the_deadline(
    operator: Context, clock: MovableClock
) -> None:
    rollout = await a_rollout(operator, 1, deadline_minutes=30)
    await polled(operator.db, await _offered(operator.db, rollout.id))
    clock.advance(minutes=29)
    await reconcile(operator.db)
    assert await _statuses(operator, rollout.id) == [DeviceStatus.UPDATING]
    clock.advance(minutes=1)
    await reconcile(operator.db)

    assert (await read(operator.db, rollout.id)).status is Status.ROLLING_BACK


async def test_a_device_that_never_polls_is_replaced_by_the_next_in_rank(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 10, pickup_minutes=15)
    clock.advance(minutes=14)
    await reconcile(operator.db)
    assert (await read(operator.db, rollout.id)).frontier == 1
    clock.advance(minutes=1)
    await reconcile(operator.db)

    now = await read(operator.db, rollout.id)
    assert (now.stage, now.frontier) == (0, 2)


async def test_a_device_offline_for_a_month_holds_nobody_up(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 10)
    offline = (await _offered(operator.db, rollout.id))[0]
    for _ in range(10):
        for device in await _offered(operator.db, rollout.id):
            if device != offline:
                await _says(operator.db, rollout.id, device, Outcome.RUNNING)
        clock.advance(days=3)
        await reconcile(operator.db)

    assert (await read(operator.db, rollout.id)).status is Status.COMPLETED
    assert sorted(await _statuses(operator, rollout.id)) == [DeviceStatus.SCHEDULED] + [DeviceStatus.UPDATED] * 9


async def test_a_fleet_of_which_nobody_answers_is_not_called_completed(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 3)
    for _ in range(10):
        clock.advance(days=1)
        await reconcile(operator.db)

    now = await read(operator.db, rollout.id)
    assert (now.status, now.frontier) == (Status.IN_PROGRESS, 3)


async def test_a_delay_of_half_a_minute_is_half_a_minute(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 10, batch_delay_minutes=0.5)
    await everybody_says(operator.db, rollout.id, Outcome.RUNNING)
    await reconcile(operator.db)
    clock.advance(seconds=29)
    await reconcile(operator.db)
    assert (await read(operator.db, rollout.id)).frontier == 1
    clock.advance(seconds=1)
    await reconcile(operator.db)

    assert (await read(operator.db, rollout.id)).frontier == 5


async def test_with_health_checks_a_batch_waits_for_the_soak_and_a_relapse_counts(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 4, health_check_enabled=True, soak_minutes=10)
    [device] = await _offered(operator.db, rollout.id)
    await _says(operator.db, rollout.id, device, Outcome.RUNNING)
    clock.advance(minutes=9)
    await reconcile(operator.db)
    assert (await read(operator.db, rollout.id)).frontier == 1
    await _says(operator.db, rollout.id, device, Outcome.FAILED)

    assert (await read(operator.db, rollout.id)).status is Status.ROLLING_BACK


async def test_a_newer_release_takes_over_and_devices_go_straight_to_it(operator: Context) -> None:
    everybody = await crowd(operator.db, 10)
    await a_policy(operator)
    first = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)
    second = await push(operator, "nginx:3.0.0")
    await reconcile(operator.db)

    assert (await read(operator.db, first)).status is Status.SUPERSEDED
    assert (await finished(operator.db, second)).status is Status.COMPLETED
    assert {await _shown(operator.db, device) for device in everybody} == {"nginx:3.0.0"}


@pytest.mark.parametrize(("first_did", "returns_to"), [(Outcome.RUNNING, "nginx:2.0.0"), (None, "nginx:1.0.0")])
async def test_a_failed_release_returns_a_device_to_the_last_image_that_ran_well_on_it(
    operator: Context, first_did: Outcome | None, returns_to: str
) -> None:
    """2.0.0 was superseded on its way: where it had proved itself it is what to return to, and where it had not, 1.0.0 is."""
    await crowd(operator.db, 10)
    await a_policy(operator, batch_delay_minutes=60)
    first = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)
    [tried] = await _offered(operator.db, first)
    if first_did:
        await _says(operator.db, first, tried, first_did)
    second = await push(operator, "nginx:3.0.0")
    await reconcile(operator.db)
    while tried not in await _offered(operator.db, second):
        await everybody_says(operator.db, second, Outcome.RUNNING)
        await _later(operator)
    assert await _shown(operator.db, tried) == "nginx:3.0.0"

    await rollouts.request(operator, second, Request.ROLL_BACK)

    assert await _shown(operator.db, tried) == returns_to


async def _later(operator: Context) -> None:
    clock = operator.db.now
    assert isinstance(clock, MovableClock)
    await reconcile(operator.db)
    clock.advance(hours=1)
    await reconcile(operator.db)


async def test_until_the_newer_release_reaches_it_a_device_keeps_what_it_was_given(operator: Context) -> None:
    await crowd(operator.db, 100)
    await a_policy(operator)
    first = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)
    tried = await _offered(operator.db, first)
    second = await push(operator, "nginx:3.0.0")
    await reconcile(operator.db)
    waiting = set(tried) - set(await _offered(operator.db, second))

    assert waiting
    assert {await _shown(operator.db, device) for device in waiting} == {"nginx:2.0.0"}


async def test_a_device_that_joins_late_goes_to_the_end_and_is_reached_in_the_last_batch(operator: Context) -> None:
    rollout = await a_rollout(operator, 4)
    late = await _told_by_hand(operator, "nginx:1.0.0")
    places = await rollouts.devices(operator, rollout.id, -1, 10)
    assert (places[-1].device_id, places[-1].status, (await read(operator.db, rollout.id)).size) == (late, DeviceStatus.PENDING, 5)

    assert (await finished(operator.db, rollout.id)).status is Status.COMPLETED
    assert await _shown(operator.db, late) == "nginx:2.0.0"


async def _told_by_hand(operator: Context, image: str) -> DeviceId:
    [device] = await crowd(operator.db, 1, "redis:7")
    found = await devices.by_id(operator, device)
    assert found is not None
    apps = {"1001": {"appId": 1001, "services": [{"serviceName": "web", "imageName": image}]}}
    await set_target(operator, found.uuid, apps)
    return device


async def test_a_cancelled_rollout_leaves_everybody_where_they_are(operator: Context) -> None:
    rollout = await a_rollout(operator, 10)
    [tried] = await _offered(operator.db, rollout.id)
    await rollouts.request(operator, rollout.id, Request.CANCEL, "wrong day")
    await reconcile(operator.db)
    await tidy(operator.db)

    assert (await read(operator.db, rollout.id)).status is Status.CANCELLED
    assert await _shown(operator.db, tried) == "nginx:2.0.0"
    others = [member.device_id for member in await rollouts.devices(operator, rollout.id, 0, 10)]
    assert {await _shown(operator.db, device) for device in others} == {"nginx:1.0.0"}


async def test_a_rollout_that_is_rolled_back_is_blocked_until_an_operator_unblocks_it(operator: Context) -> None:
    rollout = await a_rollout(operator, 4)
    await finished(operator.db, rollout.id, Outcome.FAILED)
    [policy] = await policies.page(operator, PolicyId(0), 10)
    with pytest.raises(Conflict, match="blocked"):
        await images.create_rollout(operator, policy.id, "nginx:2.0.0")

    assert await policies.unblock(operator, policy.id, "nginx:2.0.0")
    again = await images.create_rollout(operator, policy.id, "nginx:2.0.0")
    await reconcile(operator.db)

    assert (await finished(operator.db, again.id)).status is Status.COMPLETED


async def test_a_fleet_of_twenty_thousand_is_ranked_at_once(operator: Context) -> None:
    """The original's insert overflowed at 13,108 devices."""
    rollout = await a_rollout(operator, 20_000)

    assert (rollout.size, rollout.frontier, rollout.stages) == (20_000, 2_000, (2_000, 10_000, 20_000))
    async with operator.db.reading() as conn:
        ranks = await conn.fetchrow("select min(rank), max(rank), count(distinct rank) as many from members")
    assert ranks is not None
    assert tuple(ranks) == (0, 19_999, 20_000)


async def test_a_month_after_the_end_it_is_tidied_and_versions_have_risen_once(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 10)
    await finished(operator.db, rollout.id)
    assert await tidy(operator.db) == 0, "until then it can be taken back"
    clock.advance(days=30)
    assert await tidy(operator.db) == 10
    assert await tidy(operator.db) == 0
    async with operator.db.reading() as conn:
        assert await conn.fetchval("select array_agg(distinct version) from targets") == [2]
        assert await conn.fetchval("select array_agg(distinct image) from services") == ["nginx:2.0.0"]


async def test_a_request_that_is_not_legal_changes_nothing(operator: Context) -> None:
    rollout = await a_rollout(operator, 4)
    with pytest.raises(IllegalMove, match="cannot resume a rollout that is in progress"):
        await rollouts.request(operator, rollout.id, Request.RESUME)

    assert await read(operator.db, rollout.id) == rollout


async def test_a_policy_of_another_fleet_leaves_this_one_alone(operator: Context) -> None:
    berlin = await crowd(operator.db, 5, fleet="berlin")
    paris = await crowd(operator.db, 5, fleet="paris")
    await a_policy(operator, fleet="berlin", update_strategy="auto")
    rollout = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)

    assert set(await _offered(operator.db, rollout)) == set(berlin)
    assert {await _shown(operator.db, device) for device in paris} == {"nginx:1.0.0"}


async def test_a_newer_version_is_never_replaced_by_an_older_one_unless_by_hand(operator: Context) -> None:
    newer = await crowd(operator.db, 2, "nginx:1.27")
    older = await crowd(operator.db, 2, "nginx:1.25")
    policy = await a_policy(operator, update_strategy="auto")
    rollout = await push(operator, "nginx:1.26")
    await reconcile(operator.db)
    assert set(await _offered(operator.db, rollout)) == set(older)

    await finished(operator.db, rollout)
    by_hand = await images.create_rollout(operator, policy.id, "nginx:1.24")
    await reconcile(operator.db)

    assert set(await _offered(operator.db, by_hand.id)) == {*newer, *older}


async def test_every_move_is_told_under_its_name(operator: Context) -> None:
    rollout = await a_rollout(operator, 10)
    await finished(operator.db, rollout.id)
    history = await rollouts.history(operator, rollout.id)

    batch = [EventType.BATCH_STARTED, EventType.BATCH_COMPLETED]
    assert [move.event for move in history] == [
        EventType.ROLLOUT_ENROLLED, EventType.ROLLOUT_STARTED, *batch, *batch, *batch, EventType.ROLLOUT_COMPLETED,
    ]  # fmt: skip


async def test_a_push_that_concerns_nobody_is_not_remembered_as_rolled_out(operator: Context) -> None:
    await crowd(operator.db, 2, fleet="paris")
    await a_policy(operator, fleet="berlin")
    [decision] = await pushed(operator, "nginx:2.0.0")
    assert (decision.started, decision.decision) == (False, "no device that this policy governs runs nginx")

    await crowd(operator.db, 2, fleet="berlin")
    rollout = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)

    assert (await read(operator.db, rollout)).size == 2


async def test_a_push_of_what_everybody_runs_starts_nothing(operator: Context) -> None:
    await crowd(operator.db, 2, "nginx:2.0.0")
    await a_policy(operator)
    [decision] = await pushed(operator, "nginx:2.0.0")

    assert (decision.started, decision.decision) == (False, "every device already runs nginx:2.0.0")


async def test_after_it_is_unblocked_the_next_push_of_a_release_starts_it_again(operator: Context) -> None:
    rollout = await a_rollout(operator, 2)
    await finished(operator.db, rollout.id, Outcome.FAILED)
    await policies.unblock(operator, rollout.policy_id, "nginx:2.0.0")

    again = await push(operator, "nginx:2.0.0")

    assert again != rollout.id


@pytest.mark.parametrize("ending", [Request.CANCEL, None])
async def test_giving_a_device_another_image_after_the_end_does_not_rewrite_the_history(operator: Context, ending: Request | None) -> None:
    rollout = await a_rollout(operator, 1)
    if ending:
        await everybody_says(operator.db, rollout.id, Outcome.RUNNING)
        await rollouts.request(operator, rollout.id, ending)
    else:
        await finished(operator.db, rollout.id)
    [member] = await rollouts.devices(operator, rollout.id, -1, 10)
    apps = {"1001": {"appId": 1001, "services": [{"serviceName": "web", "imageName": "nginx:9"}]}}
    await set_target(operator, member.device_uuid, apps)

    assert await _statuses(operator, rollout.id) == [DeviceStatus.UPDATED]
    assert await _shown(operator.db, member.device_id) == "nginx:9"


async def _told(operator: Context, device: DeviceId, image: str) -> None:
    """An operator tells a device what to run."""
    found = await devices.by_id(operator, device)
    assert found is not None
    await set_target(operator, found.uuid, {"1001": {"appId": 1001, "services": [{"serviceName": "web", "imageName": image}]}})


async def test_a_healthy_device_that_is_caught_restarting_has_the_deadline_before_it_counts_as_failed(
    operator: Context, clock: MovableClock
) -> None:
    rollout = await a_rollout(operator, 1, health_check_enabled=True, soak_minutes=60, deadline_minutes=30)
    [device] = await _offered(operator.db, rollout.id)
    await _says(operator.db, rollout.id, device, Outcome.RUNNING)
    clock.advance(minutes=31)
    async with operator.db.transaction() as conn:
        await members.report(conn, rollout.id, device, None, None, await operator.db.now(conn))
    await reconcile(operator.db)
    assert await _statuses(operator, rollout.id) == [DeviceStatus.UPDATING]
    clock.advance(minutes=30)
    await reconcile(operator.db)

    assert (await read(operator.db, rollout.id)).status is Status.ROLLING_BACK


async def test_a_device_that_left_a_rollout_stays_out_however_often_it_is_told_something(operator: Context) -> None:
    rollout = await a_rollout(operator, 4)
    [device] = await _offered(operator.db, rollout.id)
    for image in ("nginx:1.0.5", "nginx:1.0.5", "redis:7", "nginx:1.0.0"):
        await _told(operator, device, image)
        assert await _shown(operator.db, device) == image
    await finished(operator.db, rollout.id)

    assert await _shown(operator.db, device) == "nginx:1.0.0"
    assert (await _statuses(operator, rollout.id))[0] is DeviceStatus.SKIPPED


async def test_a_device_that_left_is_replaced_so_that_a_batch_tests_what_it_should(operator: Context) -> None:
    rollout = await a_rollout(operator, 10, update_strategy="manual")
    first = (await rollouts.devices(operator, rollout.id, -1, 1))[0].device_id
    await _told(operator, first, "nginx:1.0.5")
    await rollouts.request(operator, rollout.id, Request.START)
    await reconcile(operator.db)

    now = await read(operator.db, rollout.id)
    assert (now.stage, now.frontier, now.settled_at) == (0, 2, None)
    assert first not in await _offered(operator.db, rollout.id)


async def test_a_rollout_that_is_left_by_everybody_ends(operator: Context) -> None:
    rollout = await a_rollout(operator, 1, update_strategy="manual")
    [member] = await rollouts.devices(operator, rollout.id, -1, 10)
    await _told(operator, member.device_id, "redis:7")
    await rollouts.request(operator, rollout.id, Request.START)
    await reconcile(operator.db)

    assert (await read(operator.db, rollout.id)).status is Status.COMPLETED


async def test_a_rollout_for_devices_that_are_gone_before_they_are_ranked_ends(operator: Context) -> None:
    [device] = await crowd(operator.db, 1)
    await a_policy(operator, update_strategy="manual")
    rollout = await push(operator, "nginx:2.0.0")
    await _told(operator, device, "redis:7")
    await reconcile(operator.db)

    ended = await read(operator.db, rollout)
    assert (ended.status, ended.reason) == (Status.COMPLETED, "no device needed it")


async def test_a_rollout_whose_devices_are_all_elsewhere_says_where(operator: Context) -> None:
    _, pinned, left = await crowd(operator.db, 3)
    everybody = await a_policy(operator, update_strategy="manual")
    older = await images.create_rollout(operator, everybody.id, "nginx:1.5.0")
    await reconcile(operator.db)
    named = await devices.by_id(operator, pinned)
    assert named is not None
    await aside.pin(operator, named.uuid, "a demo")
    await _told(operator, left, "redis:7")
    other = await a_policy(operator, image_pattern="nginx:2.*", update_strategy="manual")
    rollout = await images.create_rollout(operator, other.id, "nginx:2.0.0")
    await reconcile(operator.db)

    ended = await read(operator.db, rollout.id)
    assert (ended.status, ended.reason) == (Status.COMPLETED, "it is for no device: 1 pinned, 1 in another rollout of it")
    assert (await read(operator.db, older.id)).status is Status.IN_PROGRESS


async def test_under_a_policy_whose_time_is_over_nothing_begins(operator: Context, clock: MovableClock) -> None:
    await crowd(operator.db, 2)
    async with operator.db.reading() as conn:
        not_after = await operator.db.now(conn) + timedelta(hours=1)
    policy = await a_policy(operator, schedule={"not_after": not_after})
    clock.advance(hours=2)
    over = f"the time of policy {policy.id} was over at {shown(not_after)}"
    [decision] = await pushed(operator, "nginx:2.0.0")
    assert (decision.started, decision.decision) == (False, over)
    assert (await previews.preview(operator, policy.id, "nginx:2.0.0", [], 0)).refusal == over
    with pytest.raises(Conflict, match=over):
        await images.create_rollout(operator, policy.id, "nginx:2.0.0")


async def test_creating_what_is_under_way_does_not_begin_it_again(operator: Context) -> None:
    rollout = await a_rollout(operator, 3, update_strategy="manual")
    with pytest.raises(Conflict, match=f"rollout {rollout.id} brings it already: retry it, promote it or roll it back instead"):
        await images.create_rollout(operator, rollout.policy_id, "nginx:2.0.0")
    told = await previews.preview(operator, rollout.policy_id, "nginx:2.0.0", [], 0)
    assert told.refusal == f"rollout {rollout.id} brings it already: retry it, promote it or roll it back instead"
    await rollouts.request(operator, rollout.id, Request.CANCEL)

    assert (await images.create_rollout(operator, rollout.policy_id, "nginx:2.0.0")).id > rollout.id


async def test_devices_that_join_while_an_operator_is_awaited_are_staged_like_the_others(operator: Context) -> None:
    rollout = await a_rollout(operator, 1, update_strategy="manual")
    for _ in range(9):
        await _told_by_hand(operator, "nginx:1.0.0")
    await rollouts.request(operator, rollout.id, Request.START)
    await reconcile(operator.db)

    now = await read(operator.db, rollout.id)
    assert (now.size, now.stages, now.frontier) == (10, (1, 5, 10), 1)


async def test_by_hand_a_policy_for_everybody_leaves_fleets_that_have_their_own_alone(operator: Context) -> None:
    await crowd(operator.db, 3, fleet="berlin")
    others = await crowd(operator.db, 3)
    await a_policy(operator, fleet="berlin")
    everybody = await a_policy(operator, enabled=False, update_strategy="auto")
    rollout = await images.create_rollout(operator, everybody.id, "nginx:2.0.0")
    await reconcile(operator.db)

    assert set(await _offered(operator.db, rollout.id)) == set(others)


async def test_failures_that_were_accepted_do_not_hide_others(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 10, update_strategy="auto", auto_rollback_enabled=False, max_failure_rate=0.25)
    everybody = await _offered(operator.db, rollout.id)
    for device in everybody[:7]:
        await _says(operator.db, rollout.id, device, Outcome.RUNNING)
    for device in everybody[7:]:
        await _says(operator.db, rollout.id, device, Outcome.FAILED)
    assert (await read(operator.db, rollout.id)).status is Status.PAUSED
    await rollouts.request(operator, rollout.id, Request.RESUME)
    clock.advance(minutes=1)
    async with operator.db.transaction() as conn:
        now = await operator.db.now(conn)
        for device in everybody[7:]:
            await members.report(conn, rollout.id, device, Outcome.RUNNING, None, now)
        for device in everybody[:3]:
            await members.report(conn, rollout.id, device, Outcome.FAILED, None, now)
    await reconcile(operator.db)

    assert (await read(operator.db, rollout.id)).status is Status.PAUSED


async def test_a_device_is_not_said_to_be_scheduled_for_a_batch_that_opened_after_it_left(operator: Context) -> None:
    rollout = await a_rollout(operator, 10)
    left = (await rollouts.devices(operator, rollout.id, 2, 1))[0]
    await _told(operator, left.device_id, "nginx:1.0.5")
    await finished(operator.db, rollout.id)
    happened = await events.page(operator, rollout.id, Cursor(), 1000)

    scheduled = [event.device_uuid for event in happened if event.type == EventType.DEVICE_SCHEDULED]
    assert len(scheduled) == 9
    assert left.device_uuid not in scheduled


async def test_where_any_share_may_fail_a_rollout_ends_although_one_device_is_offline(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 4, max_failure_rate=1)
    offline = (await _offered(operator.db, rollout.id))[0]
    for _ in range(8):
        for device in await _offered(operator.db, rollout.id):
            if device != offline:
                await _says(operator.db, rollout.id, device, Outcome.FAILED)
        clock.advance(hours=1)
        await reconcile(operator.db)

    assert (await read(operator.db, rollout.id)).status is Status.COMPLETED


async def test_a_silent_fleet_passes_no_health_check(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 3, health_check_enabled=True)
    for _ in range(6):
        clock.advance(minutes=16)
        await reconcile(operator.db)

    happened = [event.type for event in await events.page(operator, rollout.id, Cursor(), 1000)]
    assert EventType.BATCH_COMPLETED in happened
    assert EventType.HEALTH_CHECK_PASSED not in happened


async def test_a_rollout_to_one_fleet_leaves_what_another_may_still_take_back_alone(operator: Context) -> None:
    berlin, paris = await crowd(operator.db, 2, fleet="berlin"), await crowd(operator.db, 2, fleet="paris")
    await a_policy(operator, update_strategy="auto", fleet="berlin")
    everybody = await a_policy(operator, update_strategy="auto", fleet="paris")
    [first, second] = [decision.rollout_id for decision in await pushed(operator, "nginx:2.0.0")]
    for rollout in (first, second):
        assert rollout is not None
        await finished(operator.db, rollout)
    newer = await images.create_rollout(operator, everybody.id, "nginx:3.0.0")
    await reconcile(operator.db)
    assert {await _shown(operator.db, device) for device in paris} == {"nginx:3.0.0"}
    assert newer.fleet == "paris"

    taken_back = await rollouts.request(operator, RolloutId(1), Request.ROLL_BACK)

    shown = {await _shown(operator.db, device) for device in (berlin if taken_back.fleet == "berlin" else paris)}
    assert (taken_back.fleet, shown) == ("berlin", {"nginx:1.0.0"})
