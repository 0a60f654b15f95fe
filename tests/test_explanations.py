"""Why a device is on its image: what is recorded of it, told in order, from its first target to the rollout that takes it back."""

from datetime import timedelta
from typing import Any

from domain.devices import Report
from domain.explanations import Explained
from domain.health import Outcome
from domain.ids import DeviceId, RolloutId
from domain.requests import Request
from domain.statuses import DeviceStatus
from domain.times import shown
from monitor.janitor import tidy
from monitor.reconciler import reconcile
from resolvers import aside, devices, policies, rollouts
from resolvers.context import Context
from resolvers.explanations import of_devices
from resolvers.targets import set_target
from tests import talking
from tests.api import everything
from tests.clock import MovableClock
from tests.factories import a_policy, a_rollout, at, everybody_says, finished, polled, push, read
from tools.crowd import crowd


async def _why(operator: Context, device: DeviceId) -> Explained:
    [explained] = (await of_devices(operator, [device]))[device].services
    return explained


async def _uuid(operator: Context, device: DeviceId) -> str:
    found = await devices.by_id(operator, device)
    assert found is not None
    return found.uuid


async def _reports(operator: Context, device: DeviceId, image: str, status: str = "running", **more: Any) -> None:
    service = {"serviceName": "web", "imageName": image, "status": status, **more}
    await talking.report(operator, device, await _uuid(operator, device), Report({"1001": {"services": [service]}}, None))


async def _first_and_last(operator: Context, rollout: RolloutId) -> tuple[DeviceId, DeviceId]:
    first, *_, last = [member.device_id for member in await rollouts.devices(operator, rollout, -1, 100)]
    return first, last


async def test_an_image_of_its_own_is_told_with_when_it_was_written(operator: Context) -> None:
    [device] = await crowd(operator.db, 1)
    written = shown(await at(operator.db))

    told = await _why(operator, device)

    assert (told.rollout_id, told.status, told.until) == (None, None, None)
    assert told.sentences == (
        f"web of app 1001 is told to run nginx:1.0.0, its own image: an operator last wrote its target at {shown(told.since)}",
        "it has never reported what it runs",
        "the next rollout of nginx that is for it may change it, or an operator",
    )
    assert shown(told.since) <= written


async def test_a_device_that_waits_says_for_what_and_the_engine_says_what_that_waits_for(operator: Context) -> None:
    rollout = await a_rollout(operator, 10)
    _, last = await _first_and_last(operator, rollout.id)
    await _reports(operator, last, "nginx:1.0.0")

    told = await _why(operator, last)

    assert (told.rollout_id, told.status, str(told.image)) == (rollout.id, DeviceStatus.PENDING, "nginx:1.0.0")
    heard = await devices.current_state(operator, last)
    assert heard is not None
    assert told.sentences[1:] == (
        "it waits for rollout 1 of nginx:2.0.0: it has rank 10 of 10",
        f"it last reported nginx:1.0.0, running, at {shown(heard.reported_at)}: as told",
        "of rollout 1: it waits for devices: 1 to poll",
    )


async def test_a_device_that_is_offered_the_image_says_what_it_made_of_it(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 10, health_check_enabled=True, soak_minutes=5, max_failure_rate=1)
    first, _ = await _first_and_last(operator, rollout.id)
    offered = await _why(operator, first)
    turn = shown(offered.since)
    assert offered.sentences[:2] == (
        f"web of app 1001 is told to run nginx:2.0.0: rollout 1 offered it in batch 1, whose turn came at {turn}",
        "it has not polled since",
    )
    assert (
        offered.sentences[-1]
        == "of rollout 1: it waits for devices: 1 to poll; should it be rolled back, the device returns to nginx:1.0.0"
    )

    clock.advance(minutes=1)
    clock.standing = await at(operator.db) - clock.ahead
    took = shown(await at(operator.db))
    await polled(operator.db, [first])
    assert (await _why(operator, first)).sentences[1] == f"it took it at {took} and has said nothing conclusive"
    await _reports(operator, first, "nginx:1.0.0", error={"type": "ErrImagePull", "message": "slow"})
    assert (await _why(operator, first)).sentences[2].startswith("it last reported nginx:1.0.0, running, slow, at ")
    assert (await _why(operator, first)).sentences[2].endswith(": not what it is told")

    await _reports(operator, first, "nginx:2.0.0")
    assert (await _why(operator, first)).sentences[1] == f"it runs it since {took}"
    clock.advance(minutes=5)
    assert (await _why(operator, first)).sentences[1] == f"it runs it since {took}, and has proved it good"
    failed = shown(await at(operator.db))
    await _reports(operator, first, "nginx:2.0.0", "exited")
    assert (await _why(operator, first)).sentences[1] == f"it failed at {failed}: web: the container exited"


async def test_a_device_that_is_tried_again_says_when(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 10, retries={"failed": 2, "backoff_minutes": 5})
    first, _ = await _first_and_last(operator, rollout.id)
    now = await at(operator.db)
    await _reports(operator, first, "nginx:2.0.0", "exited")

    told = await _why(operator, first)

    assert (told.status, told.until) == (DeviceStatus.RETRYING, told.since + timedelta(minutes=5))
    assert told.sentences[:3] == (
        "web of app 1001 is told to run nginx:1.0.0, its own image: "
        f"rollout 1 took nginx:2.0.0 back from it alone at {shown(told.since)}: web: the container exited",
        "it has not reported its return",
        f"it will be offered nginx:2.0.0 again at {shown(told.since + timedelta(minutes=5))}",
    )
    assert told.since >= now
    clock.advance(minutes=15)  # as long as it is waited for to poll
    await reconcile(operator.db)
    again = await _why(operator, first)
    assert again.sentences[0].endswith(f", and again at {shown(again.since)}, after a failure")
    assert again.since >= told.since + timedelta(minutes=5)


async def test_a_rollback_is_told_with_who_asked_for_it_and_why(operator: Context) -> None:
    rollout = await a_rollout(operator, 4, update_strategy="auto")
    first, last = await _first_and_last(operator, rollout.id)
    await polled(operator.db, [first])
    await rollouts.request(operator, rollout.id, Request.ROLL_BACK, "it hums")

    told = await _why(operator, first)

    assert (told.status, str(told.image)) == (DeviceStatus.ROLLING_BACK, "nginx:1.0.0")
    taken_back = f"rollout 1 took nginx:2.0.0 back at {shown(told.since)}, by ops: it hums"
    assert told.sentences[0] == f"web of app 1001 is told to run nginx:1.0.0, its own image: {taken_back}"
    assert (await _why(operator, last)).sentences[1] == "it had not taken it"
    assert told.sentences[1] == "it has not reported its return"
    assert "1 device must report the previous image, until" in told.sentences[-1]
    await _reports(operator, first, "nginx:1.0.0")
    assert (await _why(operator, first)).sentences[1].startswith("it reported its return at ")


async def test_what_a_rollout_left_behind_is_told_as_its_own_with_where_it_came_from(operator: Context, clock: MovableClock) -> None:
    rollout = await a_rollout(operator, 2, update_strategy="auto")
    first, _ = await _first_and_last(operator, rollout.id)
    await finished(operator.db, rollout.id)
    done = await _why(operator, first)
    assert done.sentences[-1] == "rollout 1 is completed; should it be rolled back, the device returns to nginx:1.0.0"
    clock.advance(days=31)
    await tidy(operator.db)

    told = await _why(operator, first)

    assert (told.rollout_id, told.since) == (None, done.since)
    assert told.sentences[0] == (
        f"web of app 1001 is told to run nginx:2.0.0, its own image: it has it from rollout 1, which offered it at {shown(done.since)}"
    )
    target = await devices.target(operator, first)
    await set_target(operator, await _uuid(operator, first), target.apps)
    again = await _why(operator, first)
    assert again.sentences[0].endswith(f"at {shown(again.since)}; it had it before from rollout 1, which offered it at {shown(done.since)}")


async def test_an_image_that_has_not_proved_itself_is_not_called_its_own(operator: Context) -> None:
    rollout = await a_rollout(operator, 4, update_strategy="auto", health_check_enabled=True, soak_minutes=60)
    await policies.update(operator, rollout.policy_id, {"update_strategy": "staged"})
    newer = await push(operator, "nginx:3.0.0")
    await reconcile(operator.db)
    _, last = await _first_and_last(operator, newer)

    told = await _why(operator, last)

    assert told.sentences[:2] == (
        f"web of app 1001 is told to run nginx:2.0.0, which rollout 1 offered it at {shown(told.since)}; "
        "it has not proved itself there, and its own image is nginx:1.0.0 still",
        "it waits for rollout 2 of nginx:3.0.0: it has rank 4 of 4",
    )


async def test_a_device_that_is_set_aside_says_who_did_it_and_which_rollout_it_left(operator: Context) -> None:
    rollout = await a_rollout(operator, 10)
    first, last = await _first_and_last(operator, rollout.id)
    until = await at(operator.db) + timedelta(days=1)
    await aside.hold(operator, await _uuid(operator, last), until, "a fair")
    await aside.pin(operator, await _uuid(operator, first), None)

    held, pinned = await _why(operator, last), await _why(operator, first)

    assert (held.rollout_id, held.until) == (None, until)
    assert held.sentences[1].startswith("it left rollout 1 at ")
    assert held.sentences[2].startswith("it was held by ops at ")
    assert held.sentences[2].endswith(f", until {shown(until)}: a fair; no rollout begins on it meanwhile")
    assert held.sentences[-1] == "an operator may change it"
    assert pinned.sentences[0].startswith("web of app 1001 is told to run nginx:2.0.0, its own image: it has it from rollout 1,")


async def test_a_device_whose_window_is_closed_says_when_it_opens(operator: Context, clock: MovableClock) -> None:
    known = await crowd(operator.db, 2)
    for device, zone in zip(known, ("UTC", "Etc/GMT-12"), strict=True):
        await devices.set_labels(operator, await _uuid(operator, device), {"timezone": zone})
    schedule = {"windows": [{"cron": "0 3 * * *", "minutes": 60}]}
    await a_policy(operator, update_strategy="auto", schedule=schedule, pickup_minutes=10_000)
    rollout = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)
    while not (await read(operator.db, rollout)).frontier:
        clock.advance(minutes=30)
        await reconcile(operator.db)
    told = [await _why(operator, device) for device in known]

    [closed] = [one for one in told if one.status is DeviceStatus.DEFERRED]

    assert closed.until is not None
    assert (closed.until.hour, closed.until.minute) in ((3, 0), (15, 0))
    assert closed.until > await at(operator.db)
    assert " came at " in closed.sentences[1]
    assert closed.sentences[1].endswith(f"opens at {shown(closed.until)}")


async def test_every_service_has_its_own_story_and_a_device_without_any_has_none(operator: Context) -> None:
    [device] = await crowd(operator.db, 1, "redis:7")
    apps = {"1": {"services": [{"serviceName": name, "imageName": image} for name, image in (("web", "nginx:1.0.0"), ("bus", "nats:2"))]}}
    await set_target(operator, await _uuid(operator, device), apps)
    rollout = await a_rollout(operator, 1, update_strategy="auto")
    await everybody_says(operator.db, rollout.id, Outcome.RUNNING)

    told = (await of_devices(operator, [device]))[device].services

    assert [(one.service, str(one.image), one.rollout_id) for one in told] == [("bus", "nats:2", None), ("web", "nginx:2.0.0", rollout.id)]
    await set_target(operator, await _uuid(operator, device), {})
    assert (await of_devices(operator, [device]))[device].services == ()


async def test_to_explain_changes_nothing(operator: Context) -> None:
    rollout = await a_rollout(operator, 3)
    first, last = await _first_and_last(operator, rollout.id)
    before = await everything(operator.db)

    await _why(operator, first)
    await _why(operator, last)

    assert await everything(operator.db) == before
