"""Maintenance windows on a real database: who is told of an image, when, by the clock of which place."""

from itertools import pairwise
from typing import Any

import pytest

from domain.ids import DeviceId, RolloutId
from domain.rollouts import ROLLBACK_WINDOW
from domain.statuses import DeviceStatus, Status
from domain.waits import On, Wait
from monitor.janitor import tidy
from monitor.reconciler import reconcile
from resolvers import devices, policies, rollouts
from resolvers.targets import set_target
from server.process import Running
from storage import rollouts as stored
from tests.api import Api, eventually, image_of
from tests.clock import MovableClock
from tests.factories import a_policy, push
from tests.field import Field

OLD, NEW = "nginx:1.0.0", "nginx:2.0.0"
AT_TWO = {"windows": [{"cron": "0 2 * * *", "minutes": 120}]}  # in June 00:00 UTC in Berlin, 06:00 in New York


async def _rollout(field: Field, **settings: Any) -> RolloutId:
    """A rollout in windows from two to four at night, from ten minutes before midnight, UTC."""
    await field.until("2031-06-10T23:50")
    async with field.operator.db.transaction() as conn:
        await conn.execute("update devices set last_seen_at = $1 where last_seen_at is not null", await field.operator.db.now(conn))
    await a_policy(field.operator, **{"update_strategy": "auto", "schedule": AT_TWO, **settings})
    rollout = await push(field.operator, NEW)
    await reconcile(field.operator.db)
    return rollout


async def _at(field: Field, moment: str) -> None:
    await field.until(f"2031-06-{moment}")
    await reconcile(field.operator.db)


async def _told(field: Field, some: list[DeviceId]) -> list[str]:
    return [await field.polls(device) for device in some]


async def _seen_by_people(field: Field, some: list[DeviceId]) -> list[tuple[str, int]]:
    targets = [await devices.target(field.operator, device) for device in some]
    return [(str(target.apps["1001"]["services"][0]["imageName"]), target.version) for target in targets]


async def _told_by_hand(field: Field, image: str, **labels: Any) -> DeviceId:
    [device] = await field.devices(1, "redis:7", **labels)
    apps = {"1001": {"appId": 1001, "services": [{"serviceName": "web", "imageName": image}]}}
    await set_target(field.operator, await field.uuid(device), apps)
    return device


async def test_outside_its_window_nobody_is_offered_anything(field: Field) -> None:
    some = await field.devices(3)
    rollout = await _rollout(field)
    for moment in ("10T23:55", "11T00:30", "11T01:59:50"):
        await _at(field, moment)
        assert await field.offered(rollout) == []
        assert await _told(field, some) == [OLD] * 3
    explained = await rollouts.explain(field.operator, rollout)
    assert isinstance(explained.next, Wait)
    assert (explained.next.on, str(explained.next.until)) == (On.WINDOW, "2031-06-11 02:00:00+00:00")
    await _at(field, "11T02:00:10")

    assert await _told(field, some) == [NEW] * 3


async def test_who_took_the_image_in_time_keeps_it_and_who_did_not_is_not_told_until_the_window_opens_again(field: Field) -> None:
    some = await field.devices(4)
    rollout = await _rollout(field)
    await _at(field, "11T03:00")
    took, missed = some[:2], some[2:]
    await field.obey(took)
    await _at(field, "11T04:00:10")

    assert await _told(field, took) == [NEW] * 2
    assert await _told(field, missed) == [OLD] * 2
    await _at(field, "11T12:00")
    assert await _told(field, missed) == [OLD] * 2
    await _at(field, "12T02:00:10")
    assert await _told(field, missed) == [NEW] * 2
    await field.obey(missed)
    await reconcile(field.operator.db)
    assert (await field.read(rollout)).status is Status.COMPLETED


async def test_a_window_that_closes_is_seen_over_http_by_who_polls_then(server: Running, api: Api, clock: MovableClock) -> None:
    early, late = await api.devices("nginx:1.27", "nginx:1.27")
    async with server.db.reading() as conn:
        now = await server.db.now(conn)
    window = {"cron": f"{(now.minute + 2) % 60} * * * *", "minutes": 10}
    await api.policy(schedule={"windows": [window], "timezone": "UTC"})
    await api.push("nginx:1.28")

    async def told(agent: Any) -> tuple[str, int]:
        agent.etag = None
        _, body = await agent.poll()
        return image_of(body), body["version"]

    async def zones() -> list[bool]:
        async with server.db.reading() as conn:
            rollout = await stored.one(conn, RolloutId(1))
        assert rollout is not None
        return [zone.is_open for zone in rollout.zones]

    before = await told(late)
    await eventually(api.status, "IN_PROGRESS")
    clock.advance(minutes=2.2)
    await eventually(lambda: told(early), ("nginx:1.28", before[1] + 1))
    await early.report("nginx:1.28")
    clock.advance(minutes=10)
    await eventually(zones, [False])
    assert (await told(early), await told(late)) == (("nginx:1.28", before[1] + 1), before)
    clock.advance(minutes=50)
    await eventually(lambda: told(late), ("nginx:1.28", before[1] + 1))


@pytest.mark.parametrize(
    ("zone", "opens"),
    [
        ("Europe/Berlin", "11T00:00"), ("America/New_York", "11T06:00"), ("Asia/Kolkata", "11T20:30"),
        ("Middle/Earth", "11T02:00"), ("", "11T02:00"), (None, "11T02:00"),
    ],
)  # fmt: skip
async def test_two_at_night_is_two_where_the_device_is(field: Field, zone: str | None, opens: str) -> None:
    """A device that names no time zone, or one that there is not, goes by that of the plan."""
    labels: dict[str, Any] = {} if zone is None else {"timezone": zone}
    some = await field.devices(1, **labels)
    await _rollout(field)
    day, hour = opens.split("T")
    await _at(field, f"{day}T{int(hour[:2]) - 1:02}:59:30" if hour[3:] == "00" and hour[:2] != "00" else "10T23:59:30")
    assert await _told(field, some) == [OLD]
    await _at(field, f"{opens}:10")
    assert await _told(field, some) == [NEW]


async def test_the_label_that_names_the_time_zone_and_the_zone_of_the_others_can_be_chosen(field: Field) -> None:
    york, others = await field.devices(1, tz="America/New_York"), await field.devices(1, timezone="America/New_York")
    await _rollout(field, schedule={**AT_TWO, "timezone": "Europe/Berlin", "timezone_label": "tz"})
    await _at(field, "11T00:01")
    assert (await _told(field, york), await _told(field, others)) == ([OLD], [NEW])
    await field.obey(others)
    await _at(field, "11T06:01")
    assert await _told(field, york) == [NEW]


async def test_a_window_that_names_its_zone_is_the_same_for_all(field: Field) -> None:
    some = await field.devices(1, timezone="Europe/Berlin") + await field.devices(1, timezone="America/New_York")
    rollout = await _rollout(field, schedule={"windows": [{"cron": "0 2 * * *", "minutes": 120, "timezone": "Asia/Tokyo"}]})
    assert [zone.name for zone in (await field.read(rollout)).zones] == [""]
    await _at(field, "11T16:59:50")
    assert await _told(field, some) == [OLD] * 2
    await _at(field, "11T17:00:10")
    assert await _told(field, some) == [NEW] * 2


async def test_a_time_zone_that_opens_later_catches_up_at_the_pace_of_the_plan(field: Field) -> None:
    berlin = await field.devices(10, timezone="Europe/Berlin")
    york = await field.devices(10, timezone="America/New_York")
    rollout = await _rollout(field, pace={"devices_per_minute": 2}, pickup_minutes=60)
    await _at(field, "11T00:00:10")
    for _ in range(30):
        await field.later(seconds=30.1)
    assert (set(await field.offered(rollout)), (await field.read(rollout)).frontier) == (set(berlin), 20)
    await field.obey(berlin)
    await _at(field, "11T06:00:10")
    counts = []
    for _ in range(24):
        await field.later(seconds=30.1)
        counts.append(len(set(await field.offered(rollout)) & set(york)))

    assert all(later - before <= 1 for before, later in pairwise([0, *counts]))
    assert (counts[-1], (await field.read(rollout)).frontier) == (10, 20)


async def test_those_who_catch_up_are_waited_for_as_long_as_the_others_were(field: Field) -> None:
    """Their ranks were passed hours ago, and their window has been open for longer than the plan is patient."""
    await field.devices(10, timezone="Europe/Berlin")
    york = await field.devices(10, timezone="America/New_York")
    rollout = await _rollout(field, pace={"devices_per_minute": 1}, pickup_minutes=5)
    await _at(field, "11T00:00:10")
    for _ in range(30):
        await field.later(minutes=1)
        await field.obey(await field.offered(rollout))
    await _at(field, "11T06:00:10")
    for _ in range(8):
        await field.later(minutes=1)
        await field.obey(await field.offered(rollout))
    before = set(await field.offered(rollout))
    for _ in range(4):
        await field.later(minutes=1)
    new = set(await field.offered(rollout)) - before

    assert new <= set(york)
    progress = (await rollouts.explain(field.operator, rollout)).progress
    assert (progress.untaken, progress.silent) == (len(new), 0)


async def test_a_device_that_joins_from_another_time_zone_does_not_hold_the_others_up(field: Field) -> None:
    some = await field.devices(20, timezone="Europe/Berlin")
    rollout = await _rollout(field, pace={"devices_per_minute": 1})
    await _at(field, "11T00:00:10")
    for _ in range(5):
        await field.later(minutes=1)
    late = await _told_by_hand(field, OLD, timezone="Africa/Johannesburg")  # where it is as late
    before = (await field.read(rollout)).frontier
    await field.later(minutes=1)

    assert (await field.read(rollout)).frontier == before + 1
    assert [zone.name for zone in (await field.read(rollout)).zones] == ["Europe/Berlin", "Africa/Johannesburg"]
    for _ in range(20):
        await field.later(minutes=1)
    assert set(await field.offered(rollout)) == {*some, late}


async def test_a_batch_waits_for_a_time_zone_that_had_no_window_yet_but_not_for_one_that_slept_through_it(field: Field) -> None:
    berlin = await field.devices(2, timezone="Europe/Berlin")
    york = await field.devices(2, timezone="America/New_York")
    rollout = await _rollout(field)
    await _at(field, "11T00:01")
    await field.obey(berlin)
    await reconcile(field.operator.db)
    assert sorted(await field.statuses(rollout)) == [DeviceStatus.DEFERRED] * 2 + [DeviceStatus.UPDATED] * 2
    explained = await rollouts.explain(field.operator, rollout)
    assert isinstance(explained.next, Wait)
    assert (explained.next.on, str(explained.next.until)) == (On.WINDOW, "2031-06-11 06:00:00+00:00")
    await _at(field, "11T06:01")
    await field.obey(york[:1])
    await _at(field, "11T08:01")

    assert (await field.read(rollout)).status is Status.COMPLETED


async def test_a_device_that_slept_through_a_completed_rollout_is_told_in_its_window_and_after_thirty_days_at_any_time(
    field: Field,
) -> None:
    some = await field.devices(4)
    rollout = await _rollout(field)
    await _at(field, "11T02:01")
    await field.obey(some[:2])
    await _at(field, "11T04:01")
    assert (await field.read(rollout)).status is Status.COMPLETED
    assert await tidy(field.operator.db) == 0
    assert await _told(field, some[2:]) == [OLD] * 2
    await _at(field, "12T02:01")
    assert await _told(field, some[2:3]) == [NEW]
    await _at(field, "12T05:00")
    assert await _told(field, some[3:]) == [OLD]
    took = await _seen_by_people(field, some[:3])
    field.clock.advance(days=ROLLBACK_WINDOW.days)
    await reconcile(field.operator.db)
    await tidy(field.operator.db)

    assert await _seen_by_people(field, some[:3]) == took, "folding is seen by nobody"
    assert await _told(field, some) == [NEW] * 4


async def test_a_device_that_failed_and_waits_for_its_window_is_told_nothing_new_without_a_new_version(field: Field) -> None:
    """It came from an image that was never proven on it: taken back it shows its base, and goes on doing so."""
    [device] = await field.devices(1)
    policy = await a_policy(field.operator, update_strategy="auto", max_failure_rate=1, retries={"failed": 3, "backoff_minutes": 130})
    await push(field.operator, "nginx:1.5.0")
    await reconcile(field.operator.db)
    assert await field.polls(device) == "nginx:1.5.0"
    await policies.update(field.operator, policy.id, {"schedule": AT_TWO})
    await field.until("2031-06-11T02:01")
    rollout = await push(field.operator, NEW)
    await reconcile(field.operator.db)
    assert await field.polls(device) == NEW
    await field.fails(device)
    assert await field.polls(device) == OLD
    await _at(field, "11T04:30")
    assert await field.polls(device) == OLD, "its window is closed"
    await _at(field, "12T02:01")
    await _at(field, "12T04:01")
    assert await field.polls(device) == OLD, "it slept through the window it was to be tried again in"
    await _at(field, "13T02:01")
    assert await field.polls(device) == NEW
    assert (await field.read(rollout)).status is Status.IN_PROGRESS


async def test_a_failure_is_not_forgotten_because_the_next_try_falls_outside_the_window(field: Field) -> None:
    await field.devices(10)
    rollout = await _rollout(field, update_strategy="staged", retries={"failed": 1, "backoff_minutes": 130})
    await _at(field, "11T02:01")
    [device] = await field.offered(rollout)
    await field.fails(device)
    await _at(field, "11T04:00:10")
    await _at(field, "11T12:00")
    assert (await field.statuses(rollout))[0] is DeviceStatus.RETRYING
    await _at(field, "12T02:01")
    assert await field.offered(rollout) == [device]
    await field.fails(device)
    await reconcile(field.operator.db)

    assert (await field.read(rollout)).status is Status.ROLLING_BACK


async def test_a_window_closes_also_while_a_failed_batch_is_taken_back(field: Field) -> None:
    await field.devices(10)
    rollout = await _rollout(
        field, update_strategy="staged", rollback_mode="failed_batch_first", pickup_minutes=30, max_failure_rate=0.5,
        stages=[{"devices": 4}, {"devices": 8, "max_failure_rate": 0}, {"share_percent": 100}],
    )  # fmt: skip
    await _at(field, "11T02:01")
    asleep, *awake = await field.offered(rollout)
    await field.obey(awake)
    await _at(field, "11T03:45")
    await field.obey(set(await field.offered(rollout)) - {asleep})  # the one that replaces it
    await reconcile(field.operator.db)
    for device in set(await field.offered(rollout)) - {asleep, *awake}:
        await field.fails(device)
    await reconcile(field.operator.db)
    assert (await field.read(rollout)).status is Status.ROLLING_BACK
    assert asleep in await field.offered(rollout), "its batch had not failed"
    await _at(field, "11T04:01")

    assert (await field.read(rollout)).frontier > 0
    assert await field.polls(asleep) == OLD


async def test_a_rollout_does_not_begin_before_its_time_and_is_cancelled_after_it(field: Field) -> None:
    some = await field.devices(10)
    rollout = await _rollout(
        field, schedule={"not_before": "2031-06-11T12:00:00Z", "not_after": "2031-06-11T18:00:00Z"}, update_strategy="staged",
        batch_delay_minutes=600,
    )  # fmt: skip
    await _at(field, "11T11:59:50")
    assert (await field.read(rollout)).status is Status.PENDING
    await _at(field, "11T12:00:10")
    [first] = await field.offered(rollout)
    await field.obey([first])
    await reconcile(field.operator.db)
    await _at(field, "11T17:59:50")
    assert (await field.read(rollout)).status is Status.IN_PROGRESS
    await _at(field, "11T22:30")

    now = await field.read(rollout)
    assert (now.status, now.reason) == (Status.CANCELLED, "its time was over: 1 of 10 devices had been offered the image")
    assert sorted(await _told(field, some)) == [OLD] * 9 + [NEW]


async def test_a_report_while_the_window_is_open_is_no_reason_to_tell_the_device_when_it_is_closed(field: Field) -> None:
    [device] = await field.devices(1)
    await _rollout(field, step_minutes=10)
    await _at(field, "11T02:01")
    await field.says(device, OLD)
    await _at(field, "11T04:01")

    assert await field.polls(device) == OLD
