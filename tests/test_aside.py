"""Devices that operators write labels on, and set aside: what rollouts do with them, and what they go on showing."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from domain.aside import AsideKind
from domain.devices import Report
from domain.errors import BadInput, Conflict, NotFound, Refused
from domain.health import Outcome
from domain.ids import DeviceId, RolloutId
from domain.requests import Request
from domain.statuses import DeviceStatus, Status
from monitor.janitor import tidy
from monitor.reconciler import reconcile
from resolvers import aside, devices, rollouts
from resolvers.context import Context
from resolvers.targets import set_target
from storage import members
from tests import talking
from tests.api import everything
from tests.clock import MovableClock
from tests.factories import a_policy, a_rollout, at, everybody_says, finished, minutes, offered, push, read
from tools.crowd import crowd

SetAside = Callable[[Context, DeviceId], Awaitable[None]]


async def _uuid(operator: Context, device: DeviceId) -> str:
    found = await devices.by_id(operator, device)
    assert found is not None
    return found.uuid


async def _shown(operator: Context, device: DeviceId) -> tuple[str, int]:
    """The image a device is told to run, and the version of that."""
    target = await devices.target(operator, device)
    return target.apps["1001"]["services"][0]["imageName"], target.version


async def _pin(operator: Context, device: DeviceId) -> None:
    await aside.pin(operator, await _uuid(operator, device), "a fair")


async def _hold(operator: Context, device: DeviceId, days: float = 1) -> None:
    await aside.hold(operator, await _uuid(operator, device), await at(operator.db) + timedelta(days=days), "a fair")


async def _release(operator: Context, device: DeviceId) -> None:
    await aside.release(operator, await _uuid(operator, device))


async def _members(operator: Context, rollout: RolloutId) -> list[DeviceId]:
    return [member.device_id for member in await rollouts.devices(operator, rollout, -1, 100)]


async def _statuses(operator: Context, rollout: RolloutId) -> dict[DeviceId, DeviceStatus]:
    return {member.device_id: member.status for member in await rollouts.devices(operator, rollout, -1, 100)}


async def _first_and_last(operator: Context, rollout: RolloutId) -> tuple[DeviceId, DeviceId]:
    first, *_, last = await _members(operator, rollout)
    return first, last


async def test_a_device_that_is_set_aside_joins_the_next_rollout_after_its_release(operator: Context) -> None:
    pinned, held, free = await crowd(operator.db, 3)
    await a_policy(operator, update_strategy="auto")
    await _pin(operator, pinned)
    await _hold(operator, held)
    first = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)
    assert await _members(operator, first) == [free]

    await _release(operator, pinned)
    await _release(operator, held)
    await reconcile(operator.db)
    assert await _members(operator, first) == [free], "it does not join late"
    second = await push(operator, "nginx:3.0.0")
    await reconcile(operator.db)

    assert set(await _members(operator, second)) == {pinned, held, free}


async def test_a_hold_ends_by_itself_and_a_pin_does_not(operator: Context, clock: MovableClock) -> None:
    pinned, held = await crowd(operator.db, 2)
    await a_policy(operator, update_strategy="auto")
    await _pin(operator, pinned)
    await _hold(operator, held, days=1)
    told = [(await aside.of_devices(operator, [device])).get(device) for device in (pinned, held)]
    assert [(one.kind, one.until is None, one.by, one.reason) for one in told if one] == [
        (AsideKind.PINNED, True, "ops", "a fair"), (AsideKind.HELD, False, "ops", "a fair"),
    ]  # fmt: skip
    clock.advance(days=1)

    assert (await aside.of_devices(operator, [held])).get(held) is None
    assert (await aside.of_devices(operator, [pinned])).get(pinned) == told[0]
    rollout = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)
    assert await _members(operator, rollout) == [held]


@pytest.mark.parametrize("set_aside", [_pin, _hold])
async def test_a_device_that_is_set_aside_before_its_turn_leaves_and_the_rollout_ends_without_it(
    operator: Context, set_aside: SetAside
) -> None:
    rollout = await a_rollout(operator, 10)
    first, last = await _first_and_last(operator, rollout.id)
    before = await _shown(operator, last)

    await set_aside(operator, last)

    assert (await _statuses(operator, rollout.id))[last] is DeviceStatus.SKIPPED
    assert (await finished(operator.db, rollout.id)).status is Status.COMPLETED
    assert await _shown(operator, last) == before == ("nginx:1.0.0", 1)
    assert await _shown(operator, first) == ("nginx:2.0.0", 2)


async def test_a_device_that_is_pinned_in_its_batch_is_replaced_and_keeps_the_image_whatever_becomes_of_it(operator: Context) -> None:
    rollout = await a_rollout(operator, 20)
    first, _ = await _first_and_last(operator, rollout.id)
    before = await _shown(operator, first)
    assert before == ("nginx:2.0.0", 2)

    await _pin(operator, first)
    await reconcile(operator.db)
    assert (await read(operator.db, rollout.id)).frontier == 3
    await everybody_says(operator.db, rollout.id, Outcome.FAILED)
    assert (await finished(operator.db, rollout.id, Outcome.FAILED)).status is Status.ROLLED_BACK
    await tidy(operator.db)

    assert await _shown(operator, first) == before


async def test_a_device_that_is_held_in_its_batch_goes_where_its_rollout_goes(operator: Context) -> None:
    rollout = await a_rollout(operator, 20)
    first, _ = await _first_and_last(operator, rollout.id)
    await _hold(operator, first)
    assert (await _statuses(operator, rollout.id))[first] is DeviceStatus.SCHEDULED
    assert await _shown(operator, first) == ("nginx:2.0.0", 2)

    await rollouts.request(operator, rollout.id, Request.ROLL_BACK)

    assert await _shown(operator, first) == ("nginx:1.0.0", 3)


async def test_a_device_that_is_pinned_after_the_end_keeps_the_image_when_the_rollout_is_taken_back(operator: Context) -> None:
    rollout = await a_rollout(operator, 2, update_strategy="auto")
    assert (await finished(operator.db, rollout.id)).status is Status.COMPLETED
    first, last = await _first_and_last(operator, rollout.id)
    await _pin(operator, first)
    assert (await _statuses(operator, rollout.id))[first] is DeviceStatus.UPDATED, "history is not rewritten"

    await rollouts.request(operator, rollout.id, Request.ROLL_BACK)

    assert [await _shown(operator, device) for device in (first, last)] == [("nginx:2.0.0", 2), ("nginx:1.0.0", 3)]


@pytest.mark.parametrize("set_aside", [_pin, _hold])
async def test_a_device_that_waits_with_an_image_of_an_older_rollout_keeps_that_one(operator: Context, set_aside: SetAside) -> None:
    await a_rollout(operator, 20, update_strategy="staged", health_check_enabled=True, soak_minutes=60, max_failure_rate=1)
    newer = await push(operator, "nginx:3.0.0")
    await reconcile(operator.db)
    async with operator.db.reading() as conn:
        waiting = await conn.fetchval("select device_id from members where rollout_id = $1 and from_image is not null and rank > 1", newer)
    before = await _shown(operator, waiting)
    assert before == ("nginx:2.0.0", 2)

    await set_aside(operator, waiting)

    assert await _shown(operator, waiting) == before
    assert (await _statuses(operator, newer))[waiting] is DeviceStatus.SKIPPED


async def test_a_device_that_waits_for_its_window_is_not_offered_the_image_when_it_opens_once_it_is_held(
    operator: Context, clock: MovableClock
) -> None:
    devices_of = await crowd(operator.db, 2)
    for device, zone in zip(devices_of, ("UTC", "Etc/GMT-12"), strict=True):
        await devices.set_labels(operator, await _uuid(operator, device), {"timezone": zone})
    schedule = {"windows": [{"cron": "0 3 * * *", "minutes": 60}]}
    await a_policy(operator, update_strategy="auto", schedule=schedule, pickup_minutes=10_000)
    rollout = await push(operator, "nginx:2.0.0")
    while DeviceStatus.DEFERRED not in (now := await _statuses(operator, rollout)).values():
        clock.advance(minutes=30)
        await reconcile(operator.db)
    [waiting] = [device for device, status in now.items() if status is DeviceStatus.DEFERRED]

    await _hold(operator, waiting, days=10)
    for _ in range(48):
        clock.advance(minutes=30)
        await reconcile(operator.db)

    assert await _shown(operator, waiting) == ("nginx:1.0.0", 1)
    assert (await _statuses(operator, rollout))[waiting] is DeviceStatus.SKIPPED


async def test_a_pinned_device_does_what_an_operator_tells_it_and_joins_no_rollout_for_it(operator: Context) -> None:
    rollout = await a_rollout(operator, 4, update_strategy="manual")
    [pinned] = await crowd(operator.db, 1, "redis:1.0.0")
    await _pin(operator, pinned)

    apps = {"1001": {"appId": 1001, "services": [{"serviceName": "web", "imageName": "nginx:1.0.0"}]}}
    await set_target(operator, await _uuid(operator, pinned), apps)

    assert await _shown(operator, pinned) == ("nginx:1.0.0", 2)
    assert pinned not in await _members(operator, rollout.id)


async def test_a_device_that_failed_in_so_many_rollouts_in_a_row_is_set_aside_until_it_is_released(operator: Context) -> None:
    await crowd(operator.db, 4)
    policy = await a_policy(operator, update_strategy="auto", auto_rollback_enabled=False, quarantine_after=2)
    assert policy.settings.quarantine_after == 2
    bad = None
    for version in (2, 3):
        rollout = await push(operator, f"nginx:{version}.0.0")
        await reconcile(operator.db)
        async with operator.db.reading() as conn:
            bad = bad or (await offered(conn, rollout))[0]
        service = {"serviceName": "web", "imageName": f"nginx:{version}.0.0", "status": "exited"}
        found = await devices.by_id(operator, bad)
        assert found is not None
        await talking.report(operator, bad, found.uuid, Report({"1001": {"services": [service]}}, None))
    assert bad is not None

    told = (await aside.of_devices(operator, [bad])).get(bad)
    assert told is not None
    assert (told.kind, told.by, told.reason) == (AsideKind.QUARANTINED, "rollwave", "it failed in 2 rollouts in a row")
    with pytest.raises(Conflict, match="release it first"):
        await _hold(operator, bad)
    await _release(operator, bad)
    assert (await aside.of_devices(operator, [bad])).get(bad) is None


async def test_a_hold_is_replaced_by_a_hold_and_a_pin_only_released(operator: Context) -> None:
    [device] = await crowd(operator.db, 1)
    await _hold(operator, device, days=1)
    await _hold(operator, device, days=2)
    await _pin(operator, device)
    before = await everything(operator.db)

    with pytest.raises(Conflict, match="pinned"):
        await _hold(operator, device, days=3)

    assert await everything(operator.db) == before
    await _release(operator, device)
    await _release(operator, device)
    assert (await aside.of_devices(operator, [device])).get(device) is None


async def test_what_makes_no_sense_is_refused_and_changes_nothing(operator: Context) -> None:
    rollout = await a_rollout(operator, 3)
    [device, *_] = await _members(operator, rollout.id)
    uuid, now = await _uuid(operator, device), await at(operator.db)
    before = await everything(operator.db)

    for until in (now, now - minutes(1), now + timedelta(days=4000), (now + timedelta(days=1)).replace(tzinfo=None)):
        with pytest.raises(BadInput, match="until"):
            await aside.hold(operator, uuid, until, None)
    for reason in ("", " ", "r" * 501):
        with pytest.raises(BadInput, match="reason"):
            await aside.pin(operator, uuid, reason)
    for unknown, refusal in (("00000000-0000-4000-8000-000000000000", NotFound), ("nonsense", BadInput)):
        for act in (aside.pin(operator, unknown, None), aside.release(operator, unknown), devices.set_labels(operator, unknown, {})):
            with pytest.raises(refusal):
                await act
    many = {str(number): "" for number in range(65)}
    wrong: list[object] = [
        None,
        [],
        "a",
        7,
        {"": "a"},
        {"n" * 64: "a"},
        {"a": "v" * 256},
        {"a": 1},
        {"a": None},
        {"a": {}},
        {"a": "\0"},
        many,
    ]
    for labels in wrong:
        with pytest.raises(Refused, match="label"):
            await devices.set_labels(operator, uuid, labels)

    assert await everything(operator.db) == before


async def test_labels_replace_those_before_and_are_read_when_a_rollout_ranks_its_devices(operator: Context) -> None:
    known = await crowd(operator.db, 2)
    uuids = [await _uuid(operator, device) for device in known]
    await devices.set_labels(operator, uuids[0], {"site": "north", "old": "yes"})
    for uuid in uuids:
        assert (await devices.set_labels(operator, uuid, {"site": "south", "ü" * 63: "v" * 255})).labels["site"] == "south"
    found = await devices.one(operator, uuids[0])
    assert found is not None
    assert set(found.labels) == {"site", "ü" * 63}
    await a_policy(operator, update_strategy="auto", pace={"max_in_flight_per_label": {"label": "site", "devices": 1}})
    rollout = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)
    assert (await read(operator.db, rollout)).frontier == 1

    await devices.set_labels(operator, uuids[1], {"site": "north"})
    await reconcile(operator.db)

    assert (await read(operator.db, rollout)).frontier == 1
    async with operator.db.transaction() as conn:
        [first] = await offered(conn, rollout)
        await members.report(conn, rollout, first, Outcome.RUNNING, None, await operator.db.now(conn))
    await reconcile(operator.db)
    assert (await read(operator.db, rollout)).frontier == 2
