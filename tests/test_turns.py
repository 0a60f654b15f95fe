"""Whose turn it is: those who sleep, wake, fail and are tried again, and those whose window closes, where only so many may go at once."""

from datetime import timedelta
from typing import Any

from domain.health import Outcome
from domain.ids import DeviceId, RolloutId
from domain.requests import Request
from domain.rollouts import Rollout
from domain.statuses import DeviceStatus, Status
from domain.waits import On, Wait
from monitor.reconciler import reconcile
from resolvers import rollouts
from resolvers.context import Context
from storage import members, turns
from storage.database import Database
from tests import talking
from tests.clock import MovableClock
from tests.factories import a_policy, a_rollout, at, everybody_says, offered, polled, push, read
from tools.crowd import crowd


async def _offered(db: Database, rollout: RolloutId) -> list[DeviceId]:
    async with db.reading() as conn:
        return await offered(conn, rollout)


async def _says(operator: Context, rollout: Rollout, device: DeviceId, outcome: Outcome | None) -> None:
    """A device polls and shows something; where the plan asks for it, it is taken back."""
    async with operator.db.transaction() as conn:
        now = await operator.db.now(conn)
        [offer] = [offer for offer in (await members.offers(conn, [device]))[device] if offer.rollout_id == rollout.id]
        await members.taken(conn, [device], now)
        await members.report(conn, rollout.id, device, outcome, None, now)
        if outcome and outcome.is_failure and (offer.returns_alone or offer.retry_at(outcome, now)):
            await turns.withdraw(conn, rollout.id, device, now, offer.retry_at(outcome, now))


async def _seen(operator: Context, *those: DeviceId) -> None:
    """Devices are heard of, and do not poll for their target."""
    async with operator.db.transaction() as conn:
        await conn.execute("update devices set last_seen_at = $2 where id = any ($1)", those, await operator.db.now(conn))


async def _labelled(operator: Context, label: str, values: dict[DeviceId, str]) -> None:
    async with operator.db.transaction() as conn:
        for device, value in values.items():
            await conn.execute("update devices set labels = labels || $2 where id = $1", device, {label: value})


async def _explained(operator: Context, rollout: Rollout) -> Wait:
    step = (await rollouts.explain(operator, rollout.id)).next
    assert isinstance(step, Wait)
    return step


async def _window(operator: Context, opens_in: float, minutes: float, zone: str | None = "UTC") -> dict[str, Any]:
    """A window that opens so many minutes from now."""
    opens = await at(operator.db) + timedelta(minutes=opens_in)
    return {"cron": f"{opens.minute} {opens.hour} * * *", "minutes": minutes, "timezone": zone}


async def test_a_device_that_is_tried_again_has_its_time_to_poll_again(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 1, pickup_minutes=15, retries={"failed": 1, "backoff_minutes": 20})
    [device] = await _offered(operator.db, rollout.id)
    await _says(operator, rollout, device, Outcome.FAILED)
    clock.advance(minutes=20)
    await reconcile(operator.db)

    progress = (await rollouts.explain(operator, rollout.id)).progress
    assert (progress.untaken, progress.silent) == (1, 0)
    clock.advance(minutes=15)
    progress = (await rollouts.explain(operator, rollout.id)).progress
    assert (progress.untaken, progress.silent) == (0, 1)


async def test_devices_that_wake_together_get_their_turns_back_one_by_one(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 4, update_strategy="auto", pickup_minutes=5, pace={"max_in_flight": 1})
    asleep: list[DeviceId] = []
    for _ in range(3):
        asleep += await _offered(operator.db, rollout.id)
        clock.advance(minutes=6)
        await reconcile(operator.db)
    clock.advance(minutes=6)
    await _seen(operator, *asleep)
    for _ in range(5):
        clock.advance(seconds=1)
        await reconcile(operator.db)
        assert len(await _offered(operator.db, rollout.id)) == 1


async def test_a_silent_device_that_is_taken_out_is_replaced_once(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 10, pickup_minutes=5)
    [silent] = await rollouts.devices(operator, rollout.id, -1, 1)
    clock.advance(minutes=6)
    await reconcile(operator.db)
    assert (await read(operator.db, rollout.id)).frontier == 2
    await rollouts.roll_back_device(operator, rollout.id, silent.device_uuid)
    await reconcile(operator.db)

    assert (await read(operator.db, rollout.id)).frontier == 2


async def test_who_ran_the_image_well_and_is_taken_out_after_failures_were_accepted_is_replaced(
    operator: Context, clock: MovableClock
) -> None:
    rollout = await a_rollout(operator, 10, deadline_minutes=5)
    await everybody_says(operator.db, rollout.id, Outcome.RUNNING)
    [good] = await rollouts.devices(operator, rollout.id, -1, 1)
    await rollouts.request(operator, rollout.id, Request.PAUSE)
    clock.advance(minutes=6)
    await rollouts.request(operator, rollout.id, Request.RESUME)
    await rollouts.roll_back_device(operator, rollout.id, good.device_uuid)

    assert (await rollouts.explain(operator, rollout.id)).progress.withdrawn == 1


async def test_a_time_zone_that_catches_up_lets_in_no_more_than_may_be_on_their_way(operator: Context, clock: MovableClock) -> None:
    """Its first devices were just let in: they are not silent, however long the others have had the image."""
    everybody = await crowd(operator.db, 8)
    await _labelled(operator, "timezone", {device: "Asia/Tokyo" if n % 4 else "UTC" for n, device in enumerate(everybody)})
    await a_policy(
        operator, update_strategy="auto", pickup_minutes=5, pace={"max_in_flight": 2},
        schedule={"windows": [await _window(operator, -1, 120, None)]},
    )  # fmt: skip
    rollout = await push(operator, "nginx:2.0.0")
    for _ in range(20):
        await reconcile(operator.db)
        for device in await _offered(operator.db, rollout):
            await _says(operator, await read(operator.db, rollout), device, Outcome.RUNNING)
    clock.advance(hours=14, minutes=50)
    for minute in range(40):
        clock.advance(minutes=1)
        await _seen(operator, *everybody)
        await reconcile(operator.db)
        untaken = [member for member in await rollouts.devices(operator, rollout, -1, 10) if member.status is DeviceStatus.SCHEDULED]
        assert len(untaken) <= 2
        for member in untaken if minute % 4 == 0 else ():
            await _says(operator, await read(operator.db, rollout), member.device_id, Outcome.RUNNING)
    assert (await read(operator.db, rollout)).status is Status.COMPLETED


async def test_a_window_that_opens_again_lets_in_no_more_than_may_be_on_their_way(operator: Context, clock: MovableClock) -> None:
    everybody = await crowd(operator.db, 8)
    await _labelled(operator, "timezone", {device: "Etc/GMT-1" if n % 2 else "UTC" for n, device in enumerate(everybody)})
    await a_policy(
        operator, update_strategy="auto", pickup_minutes=500, pace={"max_in_flight": 2},
        schedule={"windows": [await _window(operator, 120, 90, None)]},
    )  # fmt: skip
    rollout = await push(operator, "nginx:2.0.0")
    for _ in range(3 * 24 * 4):
        clock.advance(minutes=15)
        await _seen(operator, *everybody)
        await reconcile(operator.db)
        assert len(await _offered(operator.db, rollout)) <= 2


async def test_a_batch_does_not_open_for_a_pair_while_the_other_of_it_goes_back(operator: Context) -> None:
    pair = await crowd(operator.db, 2)
    await _labelled(operator, "rack", dict.fromkeys(pair, "r1"))
    await a_policy(
        operator, rollback_mode="failed_devices", max_failure_rate=1, pace={"max_in_flight_per_label": {"label": "rack", "devices": 1}}
    )
    rollout = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)
    [first] = await _offered(operator.db, rollout)
    await _says(operator, await read(operator.db, rollout), first, Outcome.FAILED)
    await reconcile(operator.db)
    assert await _offered(operator.db, rollout) == []
    assert (await _explained(operator, await read(operator.db, rollout))).on is On.DEVICES

    async with operator.db.transaction() as conn:
        await members.returned(conn, rollout, first, True, await operator.db.now(conn))
    await reconcile(operator.db)
    assert len(await _offered(operator.db, rollout)) == 1


async def test_a_rollout_paused_before_its_first_batch_waits_for_an_operator_whatever_windows_do(
    operator: Context, clock: MovableClock
) -> None:
    rollout = await a_rollout(operator, 2, schedule={"windows": [await _window(operator, 10, 60)]})
    await rollouts.request(operator, rollout.id, Request.PAUSE)
    clock.advance(minutes=15)
    await reconcile(operator.db)

    assert (await _explained(operator, rollout)).on is On.OPERATOR


async def test_a_device_that_is_tried_again_out_of_its_window_keeps_what_it_was_taken_back_to(
    operator: Context, clock: MovableClock
) -> None:
    """It was given 2.0.0, then 3.0.0, which failed: until it is given 3.0.0 again it runs 1.0.0, as it was told, and not 2.0.0."""
    [device] = await crowd(operator.db, 1)
    await a_policy(
        operator, health_check_enabled=True, soak_minutes=60, retries={"failed": 1, "backoff_minutes": 30}, pickup_minutes=600,
        schedule={"windows": [await _window(operator, -1, 10)]},
    )  # fmt: skip
    first = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)
    await polled(operator.db, [device])
    second = await push(operator, "nginx:3.0.0")
    await reconcile(operator.db)
    assert first != second
    await _says(operator, await read(operator.db, second), device, Outcome.FAILED)
    told = await talking.poll(operator, device)
    clock.advance(minutes=31)
    await reconcile(operator.db)

    assert (await talking.poll(operator, device)).apps == told.apps


async def test_devices_that_slept_through_their_window_are_not_expected_before_the_next(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 1, update_strategy="auto", schedule={"windows": [await _window(operator, -1, 10)]})
    clock.advance(minutes=30)
    await reconcile(operator.db)

    wait = await _explained(operator, rollout)
    assert wait.on is On.WINDOW
    assert wait.until is not None
    assert "1 silent device" in wait.sentence


async def test_a_time_zone_whose_window_opens_too_late_does_not_keep_a_rollout_from_ending(operator: Context, clock: MovableClock) -> None:
    here, there = await crowd(operator.db, 2)
    await _labelled(operator, "timezone", {here: "UTC", there: "Asia/Tokyo"})
    window, not_after = await _window(operator, -1, 60, None), await at(operator.db) + timedelta(hours=2)
    await a_policy(operator, update_strategy="auto", schedule={"windows": [window], "not_after": not_after})
    rollout = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)
    await _says(operator, await read(operator.db, rollout), here, Outcome.RUNNING)
    clock.advance(hours=15, minutes=30)
    await reconcile(operator.db)

    assert (await read(operator.db, rollout)).status is Status.CANCELLED
    assert await _offered(operator.db, rollout) == [here]
