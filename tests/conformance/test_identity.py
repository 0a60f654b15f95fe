"""Who an agent is, beyond its first key: agents of 2026 sign, keys are changed without a gap, operators accept and revoke."""

import secrets
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.api import Api
from tests.conformance.agents import REPORT, Agent, Answer, apps, service
from tests.signing import pem


async def a3_registered(agent: Agent, provisioning: str, **more: Any) -> Answer:
    """POST /agent/register, as A3 does it."""
    headers = {"X-Provisioning-Key": provisioning, "X-Idempotency-Key": f"register-{agent.uuid}"}
    body = orjson.dumps({**agent.introduction, "agentVersion": "3.0.1", **more})
    return await agent.ask("POST", "/api/v1/agent/register", body, headers)


async def a3_exchanged(agent: Agent, word: str = "agent", **said: Any) -> Answer:
    """POST …/key-exchange, as A3 does it."""
    body = orjson.dumps({"uuid": agent.uuid, **said})
    return await agent.ask("POST", f"/api/v1/{word}/{agent.uuid}/key-exchange", body, {"X-Agent-Key": agent.key})


async def opens(agent: Agent, key: str) -> int:
    """How a poll with this key is answered."""
    return (await agent.poll(**{"X-Device-API-Key": key})).status


async def do(operator: Api, what: str, agent: Agent) -> None:
    await operator.change(what, uuid=agent.uuid)


async def test_a3_registers_with_its_provisioning_key_in_a_header_of_its_own(stranger: Agent, provisioning: str) -> None:
    answer = await a3_registered(stranger, provisioning)

    assert answer.status == 200
    assert answer.said.items() >= {"uuid": stranger.uuid, "fleetId": "conformance"}.items()


@pytest.mark.parametrize("word", ["agent", "device"])
async def test_a3_with_a_public_key_signs_what_it_is_given(stranger: Agent, provisioning: str, word: str) -> None:
    signs = Ed25519PrivateKey.generate()
    answer = await a3_registered(stranger, provisioning, devicePublicKey=pem(signs))

    assert answer.said.keys() >= {"tenantId", "mqtt", "api", "vpn", "challenge"}
    signed = signs.sign(answer.said["challenge"].encode()).hex()
    assert (await a3_exchanged(stranger, word, signature=signed)).said["status"] == "ok"


async def test_a3_registers_again_to_the_same_challenge(stranger: Agent, provisioning: str) -> None:
    key = pem(Ed25519PrivateKey.generate())

    first = await a3_registered(stranger, provisioning, devicePublicKey=key)

    assert (await a3_registered(stranger, provisioning, devicePublicKey=key)).said == first.said


async def test_a3_with_a_signature_of_another_is_refused_in_words(stranger: Agent, provisioning: str) -> None:
    answer = await a3_registered(stranger, provisioning, devicePublicKey=pem(Ed25519PrivateKey.generate()))
    forged = Ed25519PrivateKey.generate().sign(answer.said["challenge"].encode()).hex()

    refused = await a3_exchanged(stranger, signature=forged)

    assert (refused.status, "signature" in refused.error) == (401, True)


@pytest.mark.parametrize("wrong", [7, "", "no key", "00" * 31, ["a"]], ids=repr)
async def test_a3_with_something_else_than_a_public_key_is_refused_by_field(stranger: Agent, provisioning: str, wrong: object) -> None:
    answer = await a3_registered(stranger, provisioning, devicePublicKey=wrong)

    assert (answer.status, "devicePublicKey" in answer.error) == (400, True)
    assert (await stranger.poll()).status == 404


async def test_a3_without_a_provisioning_key_is_turned_away(stranger: Agent) -> None:
    assert (await a3_registered(stranger, "")).status == 401
    assert (await a3_registered(stranger, "wrong")).status == 401


async def test_a3_polls_and_reports_with_its_key_in_a_header_of_its_own(agent: Agent) -> None:
    headers = {"X-Agent-Key": agent.key}
    report = orjson.dumps({agent.uuid: {"apps": apps(service("nginx:1.27"))}})

    polled = await agent.ask("GET", f"/api/v1/device/{agent.uuid}/state", headers=headers)
    reported = await agent.ask("PATCH", REPORT, report, headers)

    assert (polled.status, reported.status) == (200, 200)


async def test_any_new_key_counts_at_once_and_the_old_one_meanwhile(agent: Agent) -> None:
    new = secrets.token_hex(32)

    assert (await a3_exchanged(agent, deviceApiKey=new)).status == 200
    assert [await opens(agent, key) for key in (new, agent.key)] == [200, 200]


async def test_any_agent_that_forgot_its_new_key_brings_another_with_the_old_one(agent: Agent) -> None:
    forgotten, new = secrets.token_hex(32), secrets.token_hex(32)

    await a3_exchanged(agent, deviceApiKey=forgotten)

    assert (await a3_exchanged(agent, deviceApiKey=new)).status == 200
    assert [await opens(agent, key) for key in (new, agent.key, forgotten)] == [200, 200, 401]


@pytest.mark.parametrize("key", ["k" * 31, "k" * 256, "", " " * 64, "é" * 64])
async def test_any_new_key_that_could_be_guessed_or_that_no_header_carries_is_refused_and_the_old_one_stays(agent: Agent, key: str) -> None:
    assert (await a3_exchanged(agent, deviceApiKey=key)).status == 400
    assert (await agent.poll()).status == 200


async def test_any_key_is_changed_by_nobody_who_has_another(agent: Agent, other: Agent) -> None:
    agent.key, known, new = other.key, agent.key, secrets.token_hex(32)

    assert (await a3_exchanged(agent, deviceApiKey=new)).status == 401
    assert [await opens(agent, key) for key in (known, new)] == [200, 401]


async def test_any_device_that_was_revoked_is_refused_from_its_next_request_on_and_let_in_when_restored(
    operator: Api, agent: Agent, other: Agent
) -> None:
    held = (await agent.poll()).headers["ETag"]

    await do(operator, "revokeDevice", agent)

    refusals = [await agent.poll(held), await agent.say({"apps": {}}), await agent.exchange(agent.proof)]
    assert [(answer.status, "revoked" in answer.error) for answer in refusals] == [(403, True)] * 3
    assert await opens(agent, other.key) == 401, "who does not know the key is not told"
    assert (await other.poll()).status == 200
    await do(operator, "restoreDevice", agent)
    assert (await agent.poll(held)).status == 304


async def test_any_device_that_was_revoked_cannot_register_its_way_back(operator: Api, agent: Agent, provisioning: str) -> None:
    await do(operator, "revokeDevice", agent)

    assert (await agent.register(provisioning)).status == 403
    assert (await agent.poll()).status == 403


async def test_any_device_that_waits_gets_nothing_until_it_is_accepted(operator: Api, stranger: Agent) -> None:
    assert (await stranger.register(await operator.provisioning_key(needsAcceptance=True))).status == 200

    waits = [await stranger.poll(), await stranger.say({"apps": {}})]
    assert [(answer.status, "accepted" in answer.error) for answer in waits] == [(403, True)] * 2
    assert (await stranger.exchange(stranger.proof)).status == 200, "it knows that it is through with registering"
    await do(operator, "acceptDevice", stranger)
    assert (await stranger.poll()).status == 200


async def test_any_device_that_is_flashed_anew_is_let_in_once_its_key_is_reset(operator: Api, agent: Agent, provisioning: str) -> None:
    flashed = Agent(agent.http, agent.uuid, secrets.token_hex(32))
    assert (await flashed.register(provisioning)).status == 409

    await do(operator, "resetDeviceKey", agent)

    assert (await agent.poll()).status == 401
    assert (await flashed.register(provisioning)).status == 200
    assert [(await one.poll()).status for one in (flashed, agent)] == [200, 401]


async def test_any_provisioning_key_lets_in_no_more_devices_than_it_is_for(operator: Api, agent: Agent) -> None:
    key, late = await operator.provisioning_key(maxUses=1), Agent.new(operator.http)
    first = Agent.new(operator.http)

    assert (await first.register(key)).status == 200
    refused = await late.register(key)
    assert (refused.status, bool(refused.error)) == (401, True)
    assert (await first.register(key)).status == 200, "it is known already"
