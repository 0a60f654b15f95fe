"""Several images that move together: a device has all of them or none."""

from typing import Any

import pytest

from domain.devices import Report
from domain.errors import BadInput, Conflict
from domain.ids import DeviceId, RolloutId
from domain.requests import Request
from domain.statuses import DeviceStatus, Status
from monitor.janitor import tidy
from monitor.reconciler import reconcile
from resolvers import devices, images, policies, rollouts
from resolvers.context import Context
from resolvers.targets import set_target
from tests import talking
from tests.clock import MovableClock
from tests.factories import a_policy, read
from tools.crowd import crowd
from tools.pushing import pushed

OLD = {"api": "acme/api:1.0.0", "web": "acme/web:1.0.0"}
NEW = {"api": "acme/api:2.0.0", "web": "acme/web:2.0.0"}


def _apps(runs: dict[str, str], **more: Any) -> dict[str, Any]:
    services = [{"serviceName": name, "imageName": image, "config": {}} | more for name, image in runs.items()]
    return {"1001": {"appId": 1001, "services": services}}


async def _device(operator: Context, runs: dict[str, str]) -> DeviceId:
    [device] = await crowd(operator.db, 1, "redis:7")
    found = await devices.by_id(operator, device)
    assert found is not None
    await set_target(operator, found.uuid, _apps(runs))
    return device


async def _told(operator: Context, device: DeviceId) -> dict[str, str]:
    """What a device is told, service by service."""
    services = (await devices.target(operator, device)).apps["1001"]["services"]
    return {service["serviceName"]: service["imageName"] for service in services}


async def _obeys(operator: Context, device: DeviceId, **fails: str) -> None:
    """A device polls, and says that it runs what it was told; a service named in `fails` says otherwise."""
    found = await devices.by_id(operator, device)
    assert found is not None
    told = (await talking.poll(operator, device)).apps["1001"]["services"]
    services = [{**service, "status": fails.get(service["serviceName"], "running")} for service in told]
    await talking.report(operator, device, found.uuid, Report({"1001": {"services": services}}, None, {}))
    await reconcile(operator.db)


async def _begun(operator: Context, **settings: Any) -> RolloutId:
    policy = await a_policy(operator, image_pattern="acme/*", **{"update_strategy": "auto"} | settings)
    rollout = await images.create_rollout(operator, policy.id, NEW["api"], [NEW["web"]])
    await reconcile(operator.db)
    return rollout.id


async def test_all_images_of_a_device_change_at_once_and_its_version_rises_by_one(operator: Context) -> None:
    device = await _device(operator, OLD)
    before = (await devices.target(operator, device)).version
    rollout = await _begun(operator)

    assert await _told(operator, device) == NEW
    assert (await devices.target(operator, device)).version == before + 1
    assert (await read(operator.db, rollout)).size == 1


async def test_a_device_that_runs_one_of_them_gets_that_one(operator: Context) -> None:
    both, web = await _device(operator, OLD), await _device(operator, {"web": OLD["web"], "cache": "redis:7"})
    rollout = await _begun(operator)

    assert await _told(operator, both) == NEW
    assert await _told(operator, web) == {"web": NEW["web"], "cache": "redis:7"}
    assert (await read(operator.db, rollout)).size == 2


async def test_one_service_that_fails_takes_all_of_them_back(operator: Context) -> None:
    device = await _device(operator, OLD)
    rollout = await _begun(operator)
    await _obeys(operator, device, web="exited")

    assert (await read(operator.db, rollout)).status is Status.ROLLING_BACK
    assert await _told(operator, device) == OLD
    await _obeys(operator, device)
    assert (await read(operator.db, rollout)).status is Status.ROLLED_BACK


async def test_a_device_is_well_only_when_every_service_runs(operator: Context) -> None:
    device = await _device(operator, OLD)
    rollout = await _begun(operator)
    await _obeys(operator, device, web="created")
    assert [member.status for member in await rollouts.devices(operator, rollout, -1, 10)] == [DeviceStatus.UPDATING]
    await _obeys(operator, device)

    assert (await read(operator.db, rollout)).status is Status.COMPLETED


async def test_what_was_rolled_back_is_blocked_image_by_image(operator: Context) -> None:
    device = await _device(operator, OLD)
    rollout = await _begun(operator)
    await _obeys(operator, device, api="exited")

    policy = (await read(operator.db, rollout)).policy_id
    for image in NEW.values():
        with pytest.raises(Conflict, match="is blocked: 1 of 1 devices failed"):
            await images.create_rollout(operator, policy, image)


async def test_it_can_be_taken_back_after_the_end_and_a_month_later_it_is_the_devices_own(operator: Context, clock: MovableClock) -> None:
    device = await _device(operator, OLD)
    rollout = await _begun(operator)
    await _obeys(operator, device)
    await rollouts.request(operator, rollout, Request.ROLL_BACK)
    assert await _told(operator, device) == OLD
    await _obeys(operator, device)
    version = (await devices.target(operator, device)).version
    clock.advance(days=31)
    assert await tidy(operator.db) == 2

    assert await _told(operator, device) == OLD
    assert (await devices.target(operator, device)).version == version


async def test_folding_keeps_what_every_service_was_given(operator: Context, clock: MovableClock) -> None:
    device = await _device(operator, OLD)
    await _begun(operator)
    await _obeys(operator, device)
    version = (await devices.target(operator, device)).version
    clock.advance(days=31)
    assert await tidy(operator.db) == 2

    assert await _told(operator, device) == NEW
    assert (await devices.target(operator, device)).version == version


async def test_a_push_of_one_of_them_waits_for_the_end(operator: Context) -> None:
    device = await _device(operator, OLD)
    rollout = await _begun(operator)
    [decision] = await pushed(operator, "acme/web:3.0.0")
    assert not decision.started
    assert decision.decision == f"rollout {rollout} moves acme/web together with other images; it must end first"
    await _obeys(operator, device)
    [decision] = await pushed(operator, "acme/web:3.0.0")
    await reconcile(operator.db)

    assert decision.started
    assert await _told(operator, device) == {"api": NEW["api"], "web": "acme/web:3.0.0"}


async def test_an_operator_who_changes_one_of_them_takes_the_device_out_with_all(operator: Context) -> None:
    device = await _device(operator, OLD)
    rollout = await _begun(operator)
    found = await devices.by_id(operator, device)
    assert found is not None
    await set_target(operator, found.uuid, _apps({"api": NEW["api"], "web": "acme/web:9.9.9"}))
    await rollouts.request(operator, rollout, Request.ROLL_BACK)

    assert await _told(operator, device) == {"api": NEW["api"], "web": "acme/web:9.9.9"}
    assert [member.status for member in await rollouts.devices(operator, rollout, -1, 10)] == [DeviceStatus.SKIPPED]


async def test_a_device_in_another_rollout_of_one_of_them_is_left_out(operator: Context) -> None:
    device = await _device(operator, OLD)
    other = await a_policy(operator, image_pattern="acme/web", update_strategy="auto")
    await images.create_rollout(operator, other.id, "acme/web:1.5.0")
    await reconcile(operator.db)
    rollout = await _begun(operator)

    assert (await read(operator.db, rollout)).size == 0
    assert await _told(operator, device) == {"api": OLD["api"], "web": "acme/web:1.5.0"}


async def test_what_cannot_move_together_is_refused(operator: Context) -> None:
    await _device(operator, OLD)
    policy = await a_policy(operator, image_pattern="acme/*")
    for also, error, says in (
        (["acme/api:3.0.0"], BadInput, "two images are of the same repository"),
        (["redis:8"], BadInput, "does not match the policy's pattern"),
        (["acme/db:1"], Conflict, "no device that this policy governs runs acme/db"),
    ):
        with pytest.raises(error, match=says):
            await images.create_rollout(operator, policy.id, NEW["api"], also)
    assert await rollouts.page(operator, RolloutId(2**62), 10) == []
    assert await policies.one(operator, policy.id) == policy
