"""Rollouts of every kind, each under a policy of its own."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import cycle
from typing import Any

from domain.checks import Measurement, Result
from domain.health import Outcome
from domain.ids import DeviceId, PolicyId, RolloutId
from domain.requests import Request
from monitor.reconciler import reconcile
from resolvers import aside, images, policies, rollouts
from storage import measurements, members
from tests.factories import a_policy, at, everybody_returns, everybody_says, finished, offered, push, read
from tests.field import Field

SHOWN = (Outcome.RUNNING, Outcome.FAILED, Outcome.RUNNING, Outcome.REFUSED, None)
NIGHTS = {"windows": [{"cron": "0 2 * * *", "minutes": 600}], "timezone_label": "zone"}
CHECK = {"kind": "prometheus", "name": "errors", "base_url": "http://127.0.0.1:9", "query": "up", "count": 2}


@dataclass(frozen=True)
class Stories:
    """What there is of them, oldest first."""

    policies: list[PolicyId]
    rollouts: list[RolloutId]
    devices: list[DeviceId]


Act = Callable[[Field, RolloutId], Awaitable[object]]


async def _nothing(field: Field, rollout: RolloutId) -> None:
    """It waits for what its plan says."""


async def _mixed(field: Field, rollout: RolloutId) -> None:
    """Devices show this and that."""
    async with field.operator.db.transaction() as conn:
        now = await field.operator.db.now(conn)
        for device, shown in zip(await offered(conn, rollout), cycle(SHOWN), strict=False):
            await members.report(conn, rollout, device, shown, shown and shown.value, now)


def _asked(request: Request, before: Act = _mixed) -> Act:
    async def act(field: Field, rollout: RolloutId) -> None:
        await before(field, rollout)
        await rollouts.request(field.operator, rollout, request, "because")

    return act


async def _fails(field: Field, rollout: RolloutId) -> None:
    """A device polls, and says that the image does not run."""
    [first, *_] = await field.offered(rollout)
    await field.fails(first, str((await read(field.operator.db, rollout)).image))


async def _ended(field: Field, rollout: RolloutId) -> None:
    await finished(field.operator.db, rollout)


async def _returned(field: Field, rollout: RolloutId) -> None:
    await _asked(Request.ROLL_BACK)(field, rollout)
    await everybody_returns(field.operator.db, rollout)
    await reconcile(field.operator.db)


async def _followed(field: Field, rollout: RolloutId) -> None:
    """A newer release takes its place, and there is another one by hand."""
    await _mixed(field, rollout)
    old = await read(field.operator.db, rollout)
    await push(field.operator, f"{old.image.name}:3.0.0")
    await reconcile(field.operator.db)
    await images.create_rollout(field.operator, old.policy_id, f"{old.image.name}:4.0.0")
    await reconcile(field.operator.db)


async def _checked(field: Field, rollout: RolloutId) -> None:
    """The batch as a whole has been looked at once."""
    await everybody_says(field.operator.db, rollout, Outcome.RUNNING)
    await reconcile(field.operator.db)
    found = await read(field.operator.db, rollout)
    assert found.answered_at is not None
    async with field.operator.db.transaction() as conn:
        await measurements.record(conn, rollout, found.stage, "errors", Measurement(found.answered_at, Result.SUCCESS, "1"))


async def _left(field: Field, rollout: RolloutId) -> None:
    """A device is pinned, another one held, a third is taken out by hand."""
    await _mixed(field, rollout)
    first, *_, last = await field.ranked(rollout)
    await aside.pin(field.operator, await field.uuid(first), "it is mine")
    await aside.hold(field.operator, await field.uuid(last), await at(field.operator.db) + timedelta(days=1), None)
    [second, *_] = await field.offered(rollout)
    await rollouts.roll_back_device(field.operator, rollout, await field.uuid(second))


ACTS: Sequence[tuple[Act, dict[str, Any]]] = (
    (_nothing, {"update_strategy": "manual", "approvals": 2}),
    (_nothing, {"update_strategy": "staged", "pickup_minutes": 1}),
    (_mixed, {"update_strategy": "auto", "health_check_enabled": True, "soak_minutes": 60, "max_failure_rate": 1}),
    (_fails, {"update_strategy": "auto", "retries": {"failed": 2}, "max_failure_rate": 1}),
    (_asked(Request.PAUSE), {"update_strategy": "staged"}),
    (_asked(Request.CANCEL), {"update_strategy": "staged"}),
    (_asked(Request.ROLL_BACK), {"update_strategy": "auto"}),
    (_returned, {"update_strategy": "auto"}),
    (_ended, {"update_strategy": "staged"}),
    (_followed, {"update_strategy": "staged"}),
    (_left, {"update_strategy": "auto", "max_failure_rate": 1}),
    (_nothing, {"update_strategy": "auto", "schedule": NIGHTS}),
    (_mixed, {"update_strategy": "auto", "pace": {"max_in_flight_per_label": {"label": "pair", "devices": 1}}, "max_failure_rate": 1}),
    (_nothing, {"update_strategy": "auto", "pace": {"max_in_flight_per_label": {"label": "pair", "devices": 2}}}),
    (_checked, {"update_strategy": "auto", "health_check_enabled": True, "soak_minutes": 0, "checks": [CHECK]}),
)  # fmt: skip


async def many_stories(field: Field) -> Stories:
    """All of them begun, and some minutes later one more that is still to be ranked."""
    devices, governing = [], []
    for number, (act, settings) in enumerate(ACTS):
        image = f"acme/app-{number}"
        devices += [await _device(field, image, nth) for nth in range(8)]
        governing.append((await a_policy(field.operator, image_pattern=image, **settings)).id)
        rollout = await push(field.operator, f"{image}:2.0.0")
        await reconcile(field.operator.db)
        await act(field, rollout)
    await field.obey(devices[::7])
    await field.later(minutes=3)
    await policies.delete(field.operator, governing[0])
    last = await push(field.operator, "acme/app-1:9.0.0")
    return Stories(governing, [RolloutId(number) for number in range(1, last + 1)], devices)


async def _device(field: Field, image: str, nth: int) -> DeviceId:
    zone = ("Europe/Berlin", "Asia/Kolkata", "America/Los_Angeles")[nth % 3]
    [device] = await field.devices(1, f"{image}:1.0.0", zone=zone, pair=str(nth // 2))
    return device
