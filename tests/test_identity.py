"""Who a device is: accepted, revoked, restored, with another key; and whom rollouts are for."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.errors import Forbidden, NotFound
from domain.ids import DeviceId
from domain.pace import Pace
from domain.previews import LeftOut, sentence
from domain.statuses import DeviceStatus, Status
from monitor.reconciler import reconcile
from resolvers import devices, explanations, identity, rollouts, tokens
from resolvers.context import Context
from resolvers.identity import Claim
from resolvers.polls import Polls
from resolvers.previews import preview
from server.process import Running
from storage.database import Database
from tests.api import Agent, Api, everything, mutation_of, nth, web
from tests.clock import MovableClock
from tests.conftest import SECRET
from tests.factories import a_policy, a_rollout, finished, push
from tests.processes import a_process
from tools.crowd import crowd

NEW, THIRD = "n" * 64, "t" * 64


async def do(api: Api, what: str, uuid: str) -> Any:
    """An operator's word on a device: accept, revoke, restore."""
    return (await api.change(what, "device { standing revokedAt }", uuid=uuid))["device"]


async def exchange(agent: Agent, body: Any = None, **headers: str) -> int:
    """What a device that brings this body to its key exchange is answered."""
    sent = headers or {"X-Device-API-Key": agent.key}
    async with agent.http.post(f"/api/v1/device/{agent.uuid}/key-exchange", json=body, headers=sent) as response:
        return response.status


async def gets_in(agent: Agent, key: str) -> int:
    """What a poll with this key is answered."""
    async with agent.http.get(f"/api/v1/device/{agent.uuid}/state", headers={"X-Device-API-Key": key}) as response:
        return response.status


async def _uuid(operator: Context, device: DeviceId) -> str:
    found = await devices.by_id(operator, device)
    assert found is not None
    return found.uuid


async def _members(operator: Context, rollout: Any) -> dict[DeviceId, DeviceStatus]:
    return {member.device_id: member.status for member in await rollouts.devices(operator, rollout, -1, 100)}


# Acceptance


async def test_a_device_that_waits_gets_nothing_until_an_operator_accepts_it(server: Running, api: Api) -> None:
    agent = Agent(api.http, nth(1))
    key = await api.provisioning_key(needsAcceptance=True)
    assert (await agent.register(key))[0] == 200
    await api.set_target(agent.uuid, web("nginx:1.27"))
    before = await everything(server.db)

    assert (await agent.register(key))[0] == 200, "registering is through with"
    assert await exchange(agent) == 200
    assert (await agent.poll())[0] == 403
    assert await agent.report("nginx:1.27") == 403
    assert await gets_in(agent, "w" * 64) == 401, "who does not know the key is not told"
    assert await everything(server.db) == before
    async with agent.http.get(f"/api/v1/device/{agent.uuid}/state", headers={"X-Device-API-Key": agent.key}) as response:
        assert await response.json() == {"error": f"device {nth(1)} waits to be accepted by an operator"}

    assert await do(api, "acceptDevice", agent.uuid) == {"standing": "ACCEPTED", "revokedAt": None}
    assert await do(api, "acceptDevice", agent.uuid) == {"standing": "ACCEPTED", "revokedAt": None}
    assert (await agent.poll())[0] == 200
    assert await agent.report("nginx:1.27") == 200


# Revocation


async def test_a_device_that_was_revoked_is_refused_everywhere_until_it_is_restored(server: Running, api: Api, clock: MovableClock) -> None:
    agent, other = await api.devices("nginx:1.27", "nginx:1.27")
    key = await api.provisioning_key()
    since = (await do(api, "revokeDevice", agent.uuid))["revokedAt"]
    clock.advance(minutes=1)
    assert (await do(api, "revokeDevice", agent.uuid))["revokedAt"] == since is not None
    before = await everything(server.db)

    assert (await agent.poll())[0] == 403
    assert await agent.report("nginx:1.27") == 403
    assert await exchange(agent) == 403
    assert await exchange(agent, {"deviceApiKey": NEW}) == 403
    assert (await agent.register(key))[0] == 403
    agent.key, known = NEW, agent.key
    assert (await agent.register(key))[0] == 403
    assert (await agent.poll())[0] == 401
    assert await everything(server.db) == before
    assert (await other.poll())[0] == 200

    agent.key = known
    assert (await do(api, "restoreDevice", agent.uuid))["revokedAt"] is None
    assert (await agent.poll())[0] == 200


async def test_every_process_refuses_a_revoked_device_from_the_next_request_on(database_url: str, db: Database) -> None:
    async with a_process(database_url) as one, a_process(database_url) as two:
        token = await tokens.issue(db, "ops")
        async with Api.at(one.url, token, SECRET) as first, Api.at(two.url, token, SECRET) as second:
            here = await first.device(nth(1), web("nginx:1.27"))
            there = Agent(second.http, here.uuid)
            assert [(await agent.poll())[0] for agent in (here, there, here, there)] == [200, 200, 304, 304]

            await do(first, "revokeDevice", here.uuid)
            assert [(await agent.poll())[0] for agent in (there, here)] == [403, 403]
            await do(second, "restoreDevice", here.uuid)
            assert [(await agent.poll())[0] for agent in (here, there)] == [200, 200]


@pytest.mark.parametrize("what", ["acceptDevice", "revokeDevice", "restoreDevice", "resetDeviceKey"])
async def test_a_stranger_is_neither_accepted_nor_revoked(server: Running, api: Api, what: str) -> None:
    before = await everything(server.db)

    assert (await api.refusal(what, uuid=nth(1)))[0] == "NOT_FOUND"
    assert (await api.refused(mutation_of(what, "__typename"), input={"uuid": "press-12"}))[0] == "BAD_USER_INPUT"
    assert await everything(server.db) == before


# Rollouts


async def test_devices_that_are_not_let_in_join_no_rollout_and_each_is_told_why(operator: Context) -> None:
    revoked, waiting, free = await crowd(operator.db, 3)
    await _wait(operator, waiting)
    await identity.revoke(operator, await _uuid(operator, revoked))
    policy = await a_policy(operator, update_strategy="auto")

    told = await preview(operator, policy.id, "nginx:2.0.0", (), 10)
    rollout = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)

    assert {sample.why: sample.devices for sample in told.left_out} == {LeftOut.REVOKED: 1, LeftOut.WAITING: 1}
    assert [sentence(sample.why, sample.first[0]) for sample in told.left_out] == [
        "it was revoked, until an operator restores it", "it waits to be accepted by an operator",
    ]  # fmt: skip
    assert list(await _members(operator, rollout)) == [free]
    [of_revoked], [of_waiting] = [(await explanations.of_devices(operator, [device]))[device].services for device in (revoked, waiting)]
    assert any(said.startswith("it was revoked at ") for said in of_revoked.sentences)
    assert "it waits to be accepted by an operator: it is told nothing meanwhile, and no rollout begins on it" in of_waiting.sentences
    assert of_waiting.sentences[-1] == "an operator may change it"

    await identity.restore(operator, await _uuid(operator, revoked))
    await identity.accept(operator, await _uuid(operator, waiting))
    second = await push(operator, "nginx:3.0.0")
    await reconcile(operator.db)
    assert set(await _members(operator, second)) == {revoked, waiting, free}


async def test_a_rollout_for_nobody_but_the_revoked_says_so(operator: Context) -> None:
    [device] = await crowd(operator.db, 1)
    await identity.revoke(operator, await _uuid(operator, device))
    await a_policy(operator)
    rollout = await push(operator, "nginx:2.0.0")
    await reconcile(operator.db)

    found = await rollouts.one(operator, rollout)
    assert found is not None
    assert "1 revoked" in (found.reason or "")


async def test_a_device_that_is_revoked_in_its_batch_leaves_and_the_rollout_goes_on_without_it(operator: Context) -> None:
    rollout = await a_rollout(operator, 20)
    first = next(iter(await _members(operator, rollout.id)))
    shown = await devices.target(operator, first)

    await identity.revoke(operator, await _uuid(operator, first))

    assert (await _members(operator, rollout.id))[first] is DeviceStatus.SKIPPED
    assert (await finished(operator.db, rollout.id)).status is Status.COMPLETED
    assert (await devices.target(operator, first)).apps == shown.apps


async def _wait(operator: Context, device: DeviceId) -> None:
    """As if a provisioning key had wanted it."""
    async with operator.db.transaction() as conn:
        await conn.execute("update devices set is_waiting = true where id = $1", device)


# Another key


async def test_a_new_key_counts_at_once_and_the_old_one_for_a_day_more(server: Running, api: Api, clock: MovableClock) -> None:
    agent = await api.device(nth(1))

    assert await exchange(agent, {"uuid": agent.uuid, "deviceApiKey": NEW}) == 200
    assert [await gets_in(agent, key) for key in (NEW, agent.key, THIRD)] == [200, 200, 401]
    after = await everything(server.db)

    # It lost power before it wrote the new key down, and asks again with the one it has.
    assert await exchange(agent, {"uuid": agent.uuid, "deviceApiKey": NEW}) == 200
    assert await exchange(agent, {"deviceApiKey": NEW}, Authorization=f"Bearer {NEW}") == 200
    assert await exchange(agent, {"deviceApiKey": agent.key}) == 200, "it asks whether its key is known, as ever"
    assert await exchange(agent) == 200
    assert {**await everything(server.db), "devices": []} == {**after, "devices": []}
    clock.advance(hours=23, minutes=59)
    assert [await gets_in(agent, key) for key in (NEW, agent.key)] == [200, 200]

    clock.advance(minutes=2)
    assert [await gets_in(agent, key) for key in (NEW, agent.key)] == [200, 401]
    assert await exchange(agent, {"deviceApiKey": THIRD}) == 401


async def test_an_old_key_brings_another_new_one_and_lives_no_longer_for_it(api: Api, clock: MovableClock) -> None:
    agent = await api.device(nth(1))
    assert await exchange(agent, {"deviceApiKey": NEW}) == 200
    clock.advance(hours=23)

    assert await exchange(agent, {"deviceApiKey": THIRD}) == 200, "it made its key anew, the first was lost with its memory"
    assert [await gets_in(agent, key) for key in (THIRD, NEW, agent.key)] == [200, 401, 200]
    clock.advance(hours=1)
    assert [await gets_in(agent, key) for key in (THIRD, agent.key)] == [200, 401]


async def test_a_key_that_could_be_guessed_is_refused_and_the_old_one_stays_alone(server: Running, api: Api) -> None:
    agent = await api.device(nth(1))
    before = await everything(server.db)

    short, long = {"deviceApiKey": "n" * 31}, {"deviceApiKey": "n" * 256}
    wrong: list[Any] = [short, long, {"deviceApiKey": ""}, {"deviceApiKey": 7}, [], "x", {"uuid": nth(2)}]
    for body in wrong:
        assert await exchange(agent, body) == 400, body
    assert await exchange(agent, {"deviceApiKey": NEW}, Authorization=f"Bearer {THIRD}") == 401
    assert await exchange(agent, {"deviceApiKey": None, "signature": None, "agentVersion": "2.0"}) == 200
    assert await everything(server.db) == before


async def test_of_nine_new_keys_at_once_one_is_the_devices_and_the_first_opens_still(api: Api) -> None:
    agent = await api.device(nth(1))
    new = [f"{number:064}" for number in range(9)]

    answers = await asyncio.gather(*[exchange(agent, {"deviceApiKey": key}) for key in new])

    assert set(answers) == {200}
    assert Counter([await gets_in(agent, key) for key in new]) == {200: 1, 401: 8}
    assert await gets_in(agent, agent.key) == 200


async def test_a_device_that_is_flashed_anew_registers_again_once_its_key_is_reset(api: Api, clock: MovableClock) -> None:
    agent = await api.device(nth(1), web("nginx:1.27"), fleet="plant-a")
    assert await exchange(agent, {"deviceApiKey": NEW}) == 200
    flashed = Agent(api.http, agent.uuid)
    flashed.key = THIRD
    key = await api.provisioning_key("plant-b", maxUses=1)
    assert (await flashed.register(key))[0] == 409

    await do(api, "resetDeviceKey", agent.uuid)
    assert [await gets_in(agent, old) for old in (agent.key, NEW, "")] == [401, 401, 401]
    status, answer = await flashed.register(key)

    assert (status, answer["fleetId"]) == (200, "plant-a"), "it stays what operators made of it"
    assert [await gets_in(agent, held) for held in (THIRD, NEW, agent.key)] == [200, 401, 401]
    assert (await api.target(agent.uuid))["apps"]["1001"]["services"][0]["imageName"] == "nginx:1.27"
    assert (await agent.register(key))[0] == 409
    assert (await flashed.register(key))[0] == 200
    assert (await Agent(api.http, nth(2)).register(key))[0] == 401, "that was what the key was for"


async def test_of_twenty_that_register_a_reset_uuid_at_once_one_is_the_device(api: Api) -> None:
    agent = await api.device(nth(1))
    await do(api, "resetDeviceKey", agent.uuid)
    key = await api.provisioning_key(needsAcceptance=True)
    rivals = [Agent(api.http, agent.uuid) for _ in range(20)]
    for number, rival in enumerate(rivals):
        rival.key = f"{number:064}"

    answers = await asyncio.gather(*[rival.register(key) for rival in rivals])

    assert Counter(status for status, _ in answers) == {200: 1, 409: 19}
    [(waits, _)] = [await rival.poll() for rival, (status, _) in zip(rivals, answers, strict=True) if status == 200]
    assert waits == 403, "its new key wants an operator to accept it"


async def test_a_reset_uuid_needs_a_provisioning_key_that_lets_devices_in(server: Running, api: Api, clock: MovableClock) -> None:
    agent = await api.device(nth(1))
    key = await api.provisioning_key(maxUses=1)
    await Agent(api.http, nth(2)).register(key)
    await do(api, "resetDeviceKey", agent.uuid)
    before = await everything(server.db)

    assert (await agent.register(key))[0] == 401
    assert (await agent.register("wrong"))[0] == 401
    assert await everything(server.db) == before


# Below HTTP


@pytest.fixture
async def polls(operator: Context) -> AsyncIterator[Polls]:
    """A process that is asked who a device is, and remembers nothing."""
    polls = Polls(operator.db, Pace())
    async with polls.running():
        yield polls


async def test_a_certificate_stands_for_the_key_and_for_nothing_else(operator: Context, polls: Polls) -> None:
    [device] = await crowd(operator.db, 1)
    uuid = await _uuid(operator, device)
    certified = Claim(None, is_certified=True)

    assert await polls.identify(uuid, certified) == device
    with pytest.raises(NotFound):
        await polls.identify(nth(9), certified)
    await identity.revoke(operator, uuid)
    with pytest.raises(Forbidden):
        await polls.identify(uuid, certified)


async def test_a_certified_device_may_bring_a_key_although_it_has_none_any_more(
    operator: Context, polls: Polls, clock: MovableClock
) -> None:
    [device] = await crowd(operator.db, 1)
    uuid = await _uuid(operator, device)
    await identity.reset_key(operator, uuid)

    await identity.exchange(operator, uuid, Claim(NEW, is_certified=True), NEW, None)

    assert await polls.identify(uuid, Claim(NEW)) == device
    clock.advance(hours=25)
    assert await polls.identify(uuid, Claim(NEW)) == device
