"""Pace on a real database: how fast devices are let in, and how many are on their way at once."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from domain.health import Outcome
from domain.ids import DeviceId, RolloutId
from domain.requests import Request
from domain.statuses import DeviceStatus, Status
from monitor.reconciler import reconcile
from resolvers import explanations, rollouts
from resolvers.targets import set_target
from tests.factories import a_policy, everybody_says, push
from tests.field import Field

OVER = (DeviceStatus.HEALTHY, DeviceStatus.FAILED, DeviceStatus.TIMED_OUT)
PAIRS = {"max_in_flight_per_label": {"label": "pair", "devices": 1}}


async def _rollout(field: Field, **settings: Any) -> RolloutId:
    """A rollout that allows every failure, under a policy of its own, as far as it goes at once."""
    await a_policy(field.operator, **{"update_strategy": "auto", "max_failure_rate": 1, **settings})
    rollout = await push(field.operator, "nginx:2.0.0")
    await reconcile(field.operator.db)
    return rollout


async def _pairs(field: Field, count: int, *, awake: bool = True) -> list[tuple[DeviceId, DeviceId]]:
    """Pairs of devices, told by a label."""
    found = [await field.devices(2, awake=awake, pair=f"pair {number}") for number in range(count)]
    return [(left, right) for left, right in found]


async def _on_their_way(field: Field, rollout: RolloutId) -> list[DeviceId]:
    """Devices that may be down at any moment, as seen from outside: told of the image or about to be, and not proven."""
    at_risk = (DeviceStatus.SCHEDULED, DeviceStatus.UPDATING, DeviceStatus.RETRYING)
    return [member.device_id for member in await rollouts.devices(field.operator, rollout, -1, 10_000) if member.status in at_risk]


# Rates


async def test_devices_are_let_in_at_the_pace_of_the_exponential_rate_of_aws(field: Field) -> None:
    """Base 50 a minute, factor 2, here for every 400 devices: 50, 100, 200, 400 a minute, by their table."""
    await field.devices(1600)
    rollout = await _rollout(field, pace={"ramp": {"base_per_minute": 50, "factor": 2, "every_devices": 400}})
    for _ in range(1000):
        if (await field.read(rollout)).frontier == 1600:
            break
        await field.later(seconds=1)
    moves = [move for move in await rollouts.history(field.operator, rollout) if move.frontier]
    reached = [next(move.at for move in moves if move.frontier >= frontier) for frontier in (1, 400, 800, 1200, 1600)]

    # 400 devices at 50 a minute take 8 minutes, then half as long each time.
    assert [(end - begin).total_seconds() for begin, end in pairwise(reached)] == pytest.approx([480, 240, 120, 60], abs=3)


async def test_a_rate_is_kept_by_the_minute_and_idle_time_is_not_saved_up(field: Field) -> None:
    await field.devices(100)
    rollout = await _rollout(field, pace={"devices_per_minute": 10})
    for minute in range(1, 4):
        for _ in range(20):
            await field.later(seconds=3)
        assert (await field.read(rollout)).frontier == pytest.approx(1 + 10 * minute, abs=1)
    await field.later(hours=1)

    assert (await field.read(rollout)).frontier <= 33, "an hour without the engine is no reason to offer it to all"


async def test_a_ramp_may_wait_for_successes(field: Field) -> None:
    await field.devices(40)
    ramp = {"base_per_minute": 6, "factor": 5, "every_devices": 3, "counts": "succeeded"}
    rollout = await _rollout(field, pace={"ramp": ramp})
    for _ in range(6):
        await field.later(seconds=10)
    assert (await field.read(rollout)).frontier == pytest.approx(7, abs=1)
    await everybody_says(field.operator.db, rollout, Outcome.RUNNING)
    await field.later(seconds=2)
    await field.later(seconds=2)

    assert (await field.read(rollout)).frontier == pytest.approx(17, abs=1), "25 times as fast, now that 6 are good"


async def test_devices_that_join_late_pass_through_the_same_pacer(field: Field) -> None:
    await field.devices(3)
    rollout = await _rollout(field, pace={"devices_per_minute": 1})
    late = await field.devices(3, "redis:7")
    for device in late:
        apps = {"1001": {"appId": 1001, "services": [{"serviceName": "web", "imageName": "nginx:1.0.0"}]}}
        await set_target(field.operator, await field.uuid(device), apps)
    for minute in range(1, 6):
        await field.later(seconds=60.2)
        assert (await field.read(rollout)).frontier == 1 + minute
    assert set((await field.offered(rollout))[3:]) == set(late)


# In flight


@pytest.mark.parametrize("seed", range(4))
async def test_never_are_more_on_their_way_than_allowed_and_every_capped_rollout_ends(field: Field, seed: int) -> None:
    """Devices that sleep, wake at the wrong moment, fail and are tried again."""
    dice = Random(seed)
    awake, asleep = await field.devices(16), await field.devices(6, awake=False)
    rollout = await _rollout(
        field, pace={"max_in_flight": 3}, pickup_minutes=5, deadline_minutes=12, health_check_enabled=True, soak_minutes=2,
        retries={"failed": 2, "timed_out": 1, "backoff_minutes": 3}, staged_batches=3, update_strategy="staged",
    )  # fmt: skip
    for _ in range(400):
        await field.later(seconds=dice.choice([20, 60, 90]))
        assert len(await _told_and_not_proven(field, rollout)) <= 3
        if (await field.read(rollout)).status.is_final:
            break
        for device in dice.sample(awake, 6) + (dice.sample(asleep, 2) if dice.random() < 0.2 else []):
            await _does_something(field, rollout, dice, device)

    assert (await field.read(rollout)).status is Status.COMPLETED


async def _does_something(field: Field, rollout: RolloutId, dice: Random, device: DeviceId) -> None:
    """A device polls, and may report. One whose story is over says nothing more: nobody could keep it from trying again by itself."""
    image = await field.polls(device)
    if await _status(field, rollout, device) in OVER:
        return
    says = dice.choices(["it runs", "it failed", "nothing"], [6, 1, 1])[0]
    if says == "it runs":
        await field.says(device, image)
    elif says == "it failed" and image == "nginx:2.0.0":
        await field.says(device, image, "exited")


async def _told_and_not_proven(field: Field, rollout: RolloutId) -> list[DeviceId]:
    """Whom the server told of the image, or is about to, and who showed nothing final; those it is to tell once they wake apart."""
    async with field.operator.db.reading() as conn:
        rows = await conn.fetch(
            """
            select m.device_id, m.rank, member_status(m, r, $2) as status from members m join rollouts r on r.id = m.rollout_id
             where r.id = $1 and member_status(m, r, $2) in ('scheduled', 'updating', 'updated', 'retrying')
            """,
            rollout, await field.operator.db.now(conn),
        )  # fmt: skip
    return [row["device_id"] for row in rows]


async def test_a_device_that_slept_through_its_turn_gets_it_back_when_it_wakes_and_there_is_room(field: Field) -> None:
    await field.devices(4)
    rollout = await _rollout(field, pace={"max_in_flight": 1}, pickup_minutes=15)
    [first] = await field.offered(rollout)
    await field.later(minutes=16)
    [second] = await field.offered(rollout)
    assert first != second
    await field.polls(second)
    assert await field.polls(first) == "nginx:1.0.0", "it is another's turn"
    await field.later(minutes=1)
    assert await field.polls(first) == "nginx:1.0.0"
    await field.obey([second])
    await field.later(seconds=1)

    assert await field.polls(first) == "nginx:2.0.0"


async def test_of_all_that_wake_at_once_only_so_many_get_their_turn(field: Field) -> None:
    await field.devices(5)
    rollout = await _rollout(field, pace={"max_in_flight": 1}, pickup_minutes=15)
    for _ in range(5):
        await field.later(minutes=16)
    assert await field.offered(rollout) == []
    everybody = await field.ranked(rollout)
    for device in everybody:
        assert await field.polls(device) == "nginx:1.0.0"
    for _ in range(5):
        await field.later(seconds=1)
        assert len(await field.offered(rollout)) == 1


async def test_who_is_deferred_when_a_rollout_completes_gets_its_turn_all_the_same(field: Field) -> None:
    await field.devices(4)
    [(left, right)] = await _pairs(field, 1, awake=False)
    rollout = await _rollout(field, pace=PAIRS, pickup_minutes=15)
    for _ in range(4):
        await field.obey([device for device in await field.offered(rollout) if device not in (left, right)])
        await field.later(minutes=16)
    assert (await field.read(rollout)).status is Status.COMPLETED
    assert await field.polls(left) == await field.polls(right) == "nginx:1.0.0"
    await field.later(seconds=1)

    one, other = (left, right) if await field.polls(left) == "nginx:2.0.0" else (right, left)
    assert (await field.polls(one), await field.polls(other)) == ("nginx:2.0.0", "nginx:1.0.0"), "still never both at once"
    await field.obey([one])
    await field.later(seconds=1)
    assert await field.polls(other) == "nginx:2.0.0"


async def test_what_an_operator_has_tried_again_keeps_to_the_caps(field: Field) -> None:
    await field.devices(6)
    rollout = await _rollout(field, pace={"max_in_flight": 2}, pickup_minutes=60)
    for _ in range(2):
        for device in await _on_their_way(field, rollout):
            await field.fails(device)
        await field.later(seconds=1)
    assert sorted(await field.statuses(rollout)) == [DeviceStatus.FAILED] * 4 + [DeviceStatus.SCHEDULED] * 2
    await rollouts.request(field.operator, rollout, Request.RETRY)
    while not (now := await field.read(rollout)).status.is_final:
        await field.later(seconds=1)
        shown = [device for device in await field.offered(rollout) if await _status(field, rollout, device) in ("scheduled", "updating")]
        assert len(shown) <= 2
        await field.obey(shown)

    assert (now.status, await field.statuses(rollout)) == (Status.COMPLETED, [DeviceStatus.UPDATED] * 6)


async def _status(field: Field, rollout: RolloutId, device: DeviceId) -> DeviceStatus:
    [status] = [member.status for member in await rollouts.devices(field.operator, rollout, -1, 100) if member.device_id == device]
    return status


# Per label


@pytest.mark.parametrize("seed", range(6))
async def test_never_are_both_of_a_pair_on_their_way_and_the_rollout_ends(field: Field, seed: int) -> None:
    dice = Random(seed)
    pairs = await _pairs(field, 5) + await _pairs(field, 2, awake=False)
    rollout = await _rollout(
        field, pace=PAIRS | ({"max_in_flight": 3} if seed % 2 else {}), pickup_minutes=5, deadline_minutes=12, health_check_enabled=True,
        soak_minutes=2, retries={"failed": 2, "timed_out": 1, "backoff_minutes": 3}, update_strategy="staged",
        rollback_mode="failed_devices" if seed % 3 else "all",
    )  # fmt: skip
    everybody = [device for pair in pairs for device in pair]
    for _ in range(400):
        await field.later(seconds=dice.choice([20, 60, 90]))
        _never_both(pairs, await _told_and_not_proven(field, rollout))
        if (await field.read(rollout)).status.is_final:
            break
        for device in dice.sample(everybody[:10], 5) + (dice.sample(everybody[10:], 2) if dice.random() < 0.2 else []):
            await _does_something(field, rollout, dice, device)

    assert (await field.read(rollout)).status is Status.COMPLETED


def _never_both(pairs: Sequence[tuple[DeviceId, DeviceId]], on_their_way: list[DeviceId]) -> None:
    both = [pair for pair in pairs if set(pair) <= set(on_their_way)]
    assert not both, f"both of {both} are on their way"


async def test_a_device_on_its_way_back_holds_the_other_of_its_pair(field: Field) -> None:
    """Also across batches: when the first of a pair fails alone and returns, the next batch begins with its partner."""
    [(left, right)] = await _pairs(field, 1)
    rollout = await _rollout(
        field, pace=PAIRS, rollback_mode="failed_devices", update_strategy="staged", stages=[{"devices": 1}, {"share_percent": 100}]
    )
    [first] = await field.offered(rollout)
    other = right if first == left else left
    await field.fails(first)
    await field.later(seconds=1)
    assert (await _status(field, rollout, first), await field.offered(rollout)) == (DeviceStatus.ROLLING_BACK, [])
    assert await field.polls(other) == "nginx:1.0.0"
    await field.obey([first])
    await field.later(seconds=1)

    assert await field.offered(rollout) == [other]


async def test_a_device_that_was_taken_out_does_not_hold_its_pair_for_ever(field: Field) -> None:
    [(left, right)] = await _pairs(field, 1)
    rollout = await _rollout(field, pace=PAIRS)
    [first] = await field.offered(rollout)
    await rollouts.roll_back_device(field.operator, rollout, await field.uuid(first))
    await field.later(seconds=1)

    assert await field.offered(rollout) == [right if first == left else left]


async def test_beside_one_of_a_pair_that_failed_the_other_is_passed_over_until_that_is_mended(field: Field) -> None:
    pairs = await _pairs(field, 3)
    rollout = await _rollout(field, pace=PAIRS)
    broken, *others = await field.offered(rollout)
    [partner] = [device for pair in pairs if broken in pair for device in pair if device != broken]
    await field.fails(broken)
    await field.obey(others)
    await field.later(seconds=1)
    rest = await field.offered(rollout)
    assert len(rest) == 5, "nobody waits behind the partner"
    assert partner not in rest
    await field.obey(rest[3:])
    await field.later(seconds=1)
    assert (await field.read(rollout)).status is Status.COMPLETED, "nor does the rollout"
    assert await _status(field, rollout, partner) == DeviceStatus.DEFERRED
    await field.later(days=1)
    assert await field.polls(partner) == "nginx:1.0.0"
    [why] = (await explanations.of_devices(field.operator, [partner]))[partner].services
    assert f"for {await field.uuid(broken)} shares its label and failed" in " ".join(why.sentences)
    await field.obey([broken])
    await field.later(minutes=1)
    await field.polls(partner)
    await field.later(seconds=1)

    assert await field.polls(partner) == "nginx:2.0.0"


async def test_one_of_a_pair_that_never_reports_its_return_holds_the_other_and_nobody_else(field: Field) -> None:
    pairs = await _pairs(field, 2)
    rollout = await _rollout(field, pace=PAIRS, rollback_mode="failed_devices", deadline_minutes=30)
    lost, other = await field.offered(rollout)
    [partner] = [device for pair in pairs if lost in pair for device in pair if device != lost]
    await field.fails(lost)
    await field.obey([other])
    await field.later(minutes=29)
    assert len(await field.offered(rollout)) == 2, "it may return yet"
    await field.later(minutes=2)
    [_, last] = await field.offered(rollout)
    assert last != partner
    await field.obey([last])
    await field.later(seconds=1)

    assert (await field.read(rollout)).status is Status.COMPLETED
    assert await field.polls(partner) == "nginx:1.0.0"


async def _passed_over(field: Field, **settings: Any) -> tuple[RolloutId, DeviceId, DeviceId]:
    """A rollout that has done what it could, the one of a pair that failed, and the other."""
    [(left, right)] = await _pairs(field, 1)
    rollout = await _rollout(field, pace=PAIRS, **settings)
    [broken] = await field.offered(rollout)
    await field.fails(broken)
    await field.later(seconds=1)
    return rollout, broken, right if broken == left else left


async def test_a_rollout_does_not_wait_for_who_was_passed_over_beside_a_failure_that_was_accepted(field: Field) -> None:
    rollout, _, partner = await _passed_over(field, auto_rollback_enabled=False, max_failure_rate=0)
    assert (await field.read(rollout)).status is Status.PAUSED
    await rollouts.request(field.operator, rollout, Request.RESUME)
    await field.later(seconds=1)

    assert (await field.read(rollout)).status is Status.COMPLETED
    assert await field.polls(partner) == "nginx:1.0.0"


async def test_who_was_passed_over_is_not_given_the_image_by_the_passing_of_time(field: Field) -> None:
    rollout, broken, partner = await _passed_over(field)
    await field.later(days=31)
    assert await field.polls(partner) == "nginx:1.0.0"
    await field.obey([broken])
    for _ in range(2):
        await field.later(minutes=1)
        told = await field.polls(partner)

    assert told == "nginx:2.0.0"
    assert (await field.read(rollout)).status is Status.COMPLETED


async def test_who_was_passed_over_is_not_offered_the_image_once_the_time_of_the_rollout_is_over(field: Field) -> None:
    over = await _in(field, hours=1)
    rollout, broken, partner = await _passed_over(field, schedule={"not_after": over}, watch_minutes=300)
    await field.later(hours=2)
    await field.obey([broken])
    for _ in range(2):
        await field.later(minutes=1)
        assert await field.polls(partner) == "nginx:1.0.0"
    assert (await field.read(rollout)).status is Status.IN_PROGRESS


async def _in(field: Field, **by: float) -> datetime:
    async with field.operator.db.reading() as conn:
        return await field.operator.db.now(conn) + timedelta(**by)


async def test_who_gets_its_turn_after_the_end_and_fails_returns_alone_where_failed_ones_do(field: Field) -> None:
    rollout, broken, partner = await _passed_over(field, rollback_mode="failed_devices", deadline_minutes=30)
    await field.later(minutes=31)
    assert (await field.read(rollout)).status is Status.COMPLETED
    await field.obey([broken])
    for _ in range(2):
        await field.later(minutes=1)
        told = await field.polls(partner)
    assert told == "nginx:2.0.0"
    await field.fails(partner)

    assert await field.polls(partner) == "nginx:1.0.0"


@pytest.mark.parametrize("has_failed", [True, False])
async def test_the_next_release_begins_with_the_one_of_a_pair_that_may_be_down(field: Field, has_failed: bool) -> None:
    pairs = await _pairs(field, 6)
    await a_policy(field.operator, update_strategy="auto", max_failure_rate=1, pace=PAIRS)
    older = await push(field.operator, "nginx:2.0.0")
    await reconcile(field.operator.db)
    broken = await field.offered(older)
    for device in broken:
        await (field.fails(device) if has_failed else field.polls(device))
    await field.later(seconds=1)
    assert ((await field.read(older)).status is Status.COMPLETED) == has_failed, "or it is superseded in the middle"
    newer = await push(field.operator, "nginx:3.0.0")
    await field.later(seconds=1)
    assert sorted(await field.offered(newer)) == sorted(broken)
    await field.obey(broken)
    await field.later(seconds=1)

    assert sorted(await field.offered(newer)) == sorted(device for pair in pairs for device in pair)


async def test_of_a_site_with_a_cap_of_two_one_failure_leaves_room_for_one_at_a_time(field: Field) -> None:
    await field.devices(4, site="mill")
    rollout = await _rollout(field, pace={"max_in_flight_per_label": {"label": "site", "devices": 2}})
    first, second = await field.offered(rollout)
    await field.fails(first)
    await field.obey([second])
    await field.later(seconds=1)
    assert len(await field.offered(rollout)) == 3
    await field.obey((await field.offered(rollout))[2:])
    await field.later(seconds=1)
    assert len(await field.offered(rollout)) == 4
    await field.obey((await field.offered(rollout))[3:])
    await field.later(seconds=1)

    assert (await field.read(rollout)).status is Status.COMPLETED


async def test_of_a_site_with_a_cap_of_two_the_first_two_go_and_then_two_by_two(field: Field) -> None:
    sites = {site: await field.devices(6, site=site) for site in ("mine", "mill", "port")}
    rollout = await _rollout(field, pace={"max_in_flight_per_label": {"label": "site", "devices": 2}})
    for _ in range(3):
        going = await _on_their_way(field, rollout)
        assert {site: len(set(going) & set(devices)) for site, devices in sites.items()} == dict.fromkeys(sites, 2)
        await field.obey(going)
        await field.later(seconds=1)

    assert (await field.read(rollout)).status is Status.COMPLETED


async def test_devices_without_the_label_are_let_in_as_they_come(field: Field) -> None:
    await field.devices(5)
    await _pairs(field, 1)
    rollout = await _rollout(field, pace=PAIRS)

    assert len(await field.offered(rollout)) >= 5


async def test_of_a_pair_in_two_time_zones_never_both_are_on_their_way(field: Field) -> None:
    """Offered it, asleep while the window was open, and told when it opens again: by then it may be the other's turn."""
    await field.until("2031-06-10T23:50")
    [berlin] = await field.devices(1, pair="1", timezone="Europe/Berlin")
    [york] = await field.devices(1, pair="1", timezone="America/New_York")
    schedule = {"windows": [{"cron": "0 2 * * *", "minutes": 60}, {"cron": "0 8 * * *", "minutes": 60}]}
    rollout = await _rollout(field, pace=PAIRS, schedule=schedule, pickup_minutes=240, health_check_enabled=True)
    told = set[DeviceId]()
    for _ in range(100):
        await field.later(minutes=30)
        for device in (berlin, york):
            if device not in told and await field.polls(device) == "nginx:2.0.0":
                told.add(device)
                _never_both([(berlin, york)], await _told_and_not_proven(field, rollout))
                await field.later(minutes=20)
                await field.obey([device])

    assert (await field.read(rollout)).status is Status.COMPLETED
    assert told == {berlin, york}


async def _moment(field: Field) -> datetime:
    async with field.operator.db.reading() as conn:
        return await field.operator.db.now(conn)


async def test_when_a_window_opens_again_those_who_slept_share_the_cap_with_the_others(field: Field) -> None:
    await field.until("2031-06-10T23:50")
    berlin = await field.devices(3, timezone="Europe/Berlin")
    york = await field.devices(3, timezone="America/New_York")
    schedule = {"windows": [{"cron": "0 2 * * *", "minutes": 420}]}  # 00:00 to 07:00 and 06:00 to 13:00
    rollout = await _rollout(field, pace={"max_in_flight": 2}, schedule=schedule, pickup_minutes=600, health_check_enabled=True)
    await field.until("2031-06-11T00:01")
    await reconcile(field.operator.db)
    assert len(await field.offered(rollout)) <= 2
    until = await _moment(field) + timedelta(days=2)
    while await _moment(field) < until:
        await field.later(minutes=30)
        assert len(await _told_and_not_proven(field, rollout)) <= 2
        await field.obey(york)
    assert {field.told[device][0] for device in york} == {"nginx:2.0.0"}
    for _ in range(100):
        await field.later(minutes=30)
        assert len(await _told_and_not_proven(field, rollout)) <= 2
        await field.obey(berlin + york)

    assert (await field.read(rollout)).status is Status.COMPLETED
