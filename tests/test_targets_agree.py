"""What a device should run is said twice, by domain/targets.py and by the database's views: they must say the same."""

import random
from collections import defaultdict
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import BadInput, Conflict, IllegalMove
from domain.health import Outcome
from domain.ids import DeviceId, RolloutId
from domain.images import Image
from domain.requests import Request
from domain.rollouts import Rollout
from domain.targets import Membership, effective_image, effective_version
from monitor.janitor import tidy
from monitor.reconciler import reconcile
from resolvers import aside, policies
from resolvers import rollouts as use
from resolvers.context import Context
from resolvers.devices import by_id
from storage import members, rollouts, targets
from storage.connection import Connection, Row
from storage.database import Database
from tests.clock import MovableClock
from tests.factories import a_policy, at, everybody_says, offered, push
from tests.field import Field
from tools.crowd import crowd

Seen = dict[DeviceId, tuple[str, int]]
UNSEEN = ("tidy", "set aside")


async def _by_database(db: Database, devices: list[DeviceId]) -> Seen:
    """The image and version that each device is told."""
    seen: Seen = {}
    async with db.reading() as conn:
        for device in devices:
            target = await targets.target(conn, device)
            assert target is not None
            [service] = target.apps["1001"]["services"]
            assert service["imageName"] == service["config"]["image"]
            seen[device] = (service["imageName"], target.version)
    return seen


async def _by_domain(db: Database, devices: list[DeviceId]) -> Seen:
    async with db.snapshot() as conn:
        places = await _memberships(conn)
        rows = await conn.fetch("select t.device_id, t.version, s.image from targets t join services s using (device_id)")
    return {
        row["device_id"]: (
            str(effective_image(Image.parse(row["image"]), next(iter(places[row["device_id"]]), None))),
            effective_version(row["version"], places[row["device_id"]]),
        )
        for row in rows
        if row["device_id"] in devices
    }


async def _memberships(conn: Connection) -> dict[DeviceId, list[Membership]]:
    places: dict[DeviceId, list[Membership]] = defaultdict(list)
    for row in await conn.fetch("select * from members where live"):
        rollout = await rollouts.one(conn, RolloutId(row["rollout_id"]))
        assert rollout is not None
        places[row["device_id"]].append(_membership(rollout, row))
    return places


def _membership(rollout: Rollout, row: Row) -> Membership:
    return Membership(
        rollout, row["rank"], rollout.image if row["image"] is None else Image.parse(row["image"]),
        row["from_image"] and Image.parse(row["from_image"]), row["zone"],
        is_taken=row["taken_at"] is not None, is_withdrawn=row["withdrawn_at"] is not None, is_deferred=row["deferred_at"] is not None,
        retries=row["retries"],
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
async def test_the_domain_and_the_views_agree_through_any_history(operator: Context, clock: MovableClock, seed: int) -> None:
    dice, db = random.Random(seed), operator.db
    devices = await crowd(db, 7)
    await a_policy(operator, health_check_enabled=seed % 2 == 0, auto_rollback_enabled=True)
    version, latest = 2, None
    before = await _by_database(db, devices)
    for _ in range(25):
        act = dice.choice(["push", "good", "bad", "some", "wait", "roll back", "tidy", "cancel", "set aside"])
        if act == "push":
            latest, version = await push(operator, f"nginx:{version}.0.0"), version + 1
        elif act in ("good", "bad") and latest:
            await everybody_says(db, latest, Outcome.RUNNING if act == "good" else Outcome.FAILED)
        elif act == "some" and latest:
            async with db.transaction() as conn:
                for device in dice.sample(found := await offered(conn, latest), len(found) // 2):
                    await members.report(conn, latest, device, Outcome.RUNNING, None, await db.now(conn))
        elif act == "wait":
            clock.advance(minutes=20)
        elif act in ("roll back", "cancel") and latest and (await use.one(operator, latest)).status.is_active:  # type: ignore[union-attr]
            await _ask(operator, latest, Request.ROLL_BACK if act == "roll back" else Request.CANCEL)
        elif act in UNSEEN:
            told = await _by_database(db, devices)
            await (tidy(db) if act == "tidy" else _set_aside(operator, dice.choice(devices), dice))
            assert await _by_database(db, devices) == told, "seen by nobody"
        if act not in UNSEEN:
            await reconcile(db)
        now = await _by_database(db, devices)
        assert now == await _by_domain(db, devices)
        _only_forward(before, now)
        before = now


async def _set_aside(operator: Context, device: DeviceId, dice: random.Random) -> None:
    """Pin a device or hold it, and sometimes let go of it again."""
    found = await by_id(operator, device)
    assert found is not None
    if dice.random() < 0.5:
        await aside.pin(operator, found.uuid, None)
    else:
        await aside.release(operator, found.uuid)
        await aside.hold(operator, found.uuid, await at(operator.db) + timedelta(minutes=30), None)
    if dice.random() < 0.5:
        await aside.release(operator, found.uuid)


# Half an hour of each hour: in Calcutta the other half.
PLANS: list[dict[str, Any]] = [
    {"schedule": {"windows": [{"cron": "0 * * * *", "minutes": 30}]}},
    {"schedule": {"windows": [{"cron": "0 * * * *", "minutes": 30}]}, "pace": {"max_in_flight": 2}},
    {"pace": {"max_in_flight_per_label": {"label": "pair"}}, "rollback_mode": "failed_devices"},
    {"pace": {"max_in_flight": 3}, "rollback_mode": "failed_batch_first"},
    {"schedule": {"windows": [{"cron": "0 * * * *", "minutes": 30}]}, "rollback_mode": "failed_devices", "update_strategy": "auto"},
    {"pace": {"devices_per_minute": 1}, "update_strategy": "auto"},
]
ACTS = ["push", "poll", "poll", "run", "run", "fail", "wait", "wait", "device", "batch", Request.RETRY, Request.PAUSE, Request.RESUME,
        Request.ROLL_BACK, Request.CANCEL, "tidy"]  # fmt: skip

ENDINGS = ("push", Request.ROLL_BACK, Request.CANCEL)


@pytest.mark.parametrize("seed", range(12))
async def test_they_agree_through_windows_tries_and_deferrals_and_no_device_is_told_a_lower_version(field: Field, seed: int) -> None:
    """Nor another image at the same version: that is asserted whenever a device polls."""
    dice, db = random.Random(seed), field.operator.db
    zones: list[dict[str, Any]] = [{}, {"timezone": "Asia/Kolkata"}]
    some = [device for pair in range(4) for device in await field.devices(2, pair=str(pair), **dice.choice(zones))]
    await a_policy(
        field.operator, retries={"failed": 2, "timed_out": 1, "backoff_minutes": 10}, max_failure_rate=0.4, min_outcomes=3,
        health_check_enabled=seed % 2 == 0, **PLANS[seed % len(PLANS)],
    )  # fmt: skip
    latest = await push(field.operator, "nginx:2.0.0")
    for number in range(60):
        act = dice.choice(ACTS)
        if act in ENDINGS and dice.random() < 0.7:
            continue
        if act == "push":
            latest = await push(field.operator, f"nginx:{number + 3}.0.0")
        elif act == "tidy":
            told = await _by_database(db, some)
            await tidy(db)
            assert await _by_database(db, some) == told, "folding is seen by nobody"
        elif act == "wait":
            field.clock.advance(minutes=dice.choice([1, 7, 20, 70]))
        elif act in ("poll", "run", "fail"):
            for device in dice.sample(some, 4):
                await _does(field, act, device)
        else:
            await _asks(field, dice, latest, act)
        assert await _by_database(db, some) == await _by_domain(db, some)
        await reconcile(db)
        assert await _by_database(db, some) == await _by_domain(db, some)
    for device in some:
        await field.polls(device)


async def test_they_agree_on_a_device_that_waits_for_another_try(field: Field) -> None:
    [device] = await field.devices(1)
    policy = await a_policy(field.operator, update_strategy="auto", retries={"failed": 1, "backoff_minutes": 10})
    await push(field.operator, "nginx:2.0.0")
    await reconcile(field.operator.db)
    await policies.update(field.operator, policy.id, {"schedule": PLANS[0]["schedule"]})
    await field.until("2031-06-10T12:01")
    await push(field.operator, "nginx:3.0.0")
    await reconcile(field.operator.db)
    await field.fails(device, "nginx:3.0.0")
    for moment in ("12:11:30", "12:30:30"):
        await field.until(f"2031-06-10T{moment}")
        await reconcile(field.operator.db)
        assert await _by_database(field.operator.db, [device]) == await _by_domain(field.operator.db, [device])

    assert await field.polls(device) == "nginx:1.0.0", "and not 2.0.0, which it came from, unproven"


async def _does(field: Field, act: str, device: DeviceId) -> None:
    image = await field.polls(device)
    if act != "poll":
        await field.says(device, image, "running" if act == "run" else "exited")


async def _asks(field: Field, dice: random.Random, rollout: RolloutId, what: str) -> None:
    """Something is asked of a rollout, that it may refuse."""
    with suppress(BadInput, Conflict, IllegalMove):
        if what == "device":
            await use.roll_back_device(field.operator, rollout, await field.uuid(dice.choice(await field.ranked(rollout))))
        elif what == "batch":
            await use.roll_back_batch(field.operator, rollout, dice.randint(1, 3))
        elif isinstance(what, Request):
            await use.request(field.operator, rollout, what)


async def _ask(operator: Context, rollout: RolloutId, request: Request) -> None:
    found = await use.one(operator, rollout)
    assert found is not None
    if request is Request.CANCEL or found.frontier:
        await use.request(operator, rollout, request)


def _only_forward(before: Seen, now: Seen) -> None:
    for device, (image, version) in now.items():
        old_image, old_version = before[device]
        assert version >= old_version
        assert image == old_image or version > old_version, f"device {device} is told {image} instead of {old_image} at the same version"
