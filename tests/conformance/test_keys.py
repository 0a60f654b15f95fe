"""A device proves itself with its key, in either of two headers; polling and reporting make nobody known."""

import orjson
import pytest

from tests.api import Api
from tests.conformance.agents import REPORT, Agent, apps, service


async def refused(agent: Agent, headers: dict[str, str]) -> set[int]:
    """With which status each of a device's requests is refused."""
    state = f"/api/v1/device/{agent.uuid}/state"
    answers = [
        await agent.ask("GET", state, headers=headers),
        await agent.ask("PATCH", REPORT, orjson.dumps({agent.uuid: {"apps": {}}}), headers),
        await agent.exchange(headers),
    ]
    assert all(answer.error for answer in answers)
    return {answer.status for answer in answers}


async def current_apps(operator: Api, agent: Agent) -> object:
    answer = await operator.graphql("query ($uuid: UUID!) { device(uuid: $uuid) { currentState { apps } } }", uuid=agent.uuid)
    return answer["device"]["currentState"]


async def test_a1_exchanges_its_key_as_a_bearer(agent: Agent) -> None:
    answer = await agent.exchange(agent.bearer)

    assert answer.status == 200
    assert (answer.said["status"], answer.said["message"]) == ("ok", "Key exchange successful")
    assert answer.said["device"].items() >= {"uuid": agent.uuid, "deviceName": "press-12"}.items()
    assert isinstance(answer.said["device"]["id"], int)


async def test_a2_exchanges_its_key_in_its_own_header(agent: Agent) -> None:
    assert (await agent.exchange(agent.proof)).status == 200


async def test_any_key_may_be_exchanged_again(agent: Agent) -> None:
    assert [(await agent.exchange(agent.bearer)).status for _ in range(3)] == [200, 200, 200]
    assert (await agent.poll()).status == 200


async def test_any_exchange_names_the_device_that_registered(stranger: Agent, provisioning: str) -> None:
    registered = await stranger.register(provisioning)

    assert (await stranger.exchange(stranger.bearer)).said["device"]["id"] == registered.said["id"]


@pytest.mark.parametrize("generation", ["a1", "a2"])
async def test_any_device_polls_and_reports_with_its_key_in_either_header(agent: Agent, generation: str) -> None:
    headers = agent.bearer if generation == "a1" else agent.proof

    polled = await agent.ask("GET", f"/api/v1/device/{agent.uuid}/state", headers=headers)
    reported = await agent.ask("PATCH", REPORT, orjson.dumps({agent.uuid: {"apps": {}}}), headers)

    assert (polled.status, reported.status) == (200, 200)


async def test_any_name_of_a_header_may_be_in_any_case(agent: Agent) -> None:
    for headers in ({"x-device-api-key": agent.key}, {"X-DEVICE-API-KEY": agent.key}, {"authorization": f"bearer {agent.key}"}):
        assert (await agent.ask("GET", f"/api/v1/device/{agent.uuid}/state", headers=headers)).status == 200, headers


async def test_any_empty_header_does_not_hide_the_other(agent: Agent) -> None:
    headers = {"X-Device-API-Key": "", **agent.bearer}

    assert (await agent.ask("GET", f"/api/v1/device/{agent.uuid}/state", headers=headers)).status == 200


async def test_a1_without_a_key_is_told_to_send_one(agent: Agent) -> None:
    assert await refused(agent, {}) == {401}


async def test_any_wrong_key_is_refused(agent: Agent) -> None:
    assert await refused(agent, {"X-Device-API-Key": "wrong"}) == {401}
    assert await refused(agent, {"Authorization": "Bearer wrong"}) == {401}


async def test_any_key_with_a_letter_less_or_more_is_refused(agent: Agent) -> None:
    assert await refused(agent, {"X-Device-API-Key": agent.key[:-1]}) == {401}
    assert await refused(agent, {"X-Device-API-Key": f"{agent.key}0"}) == {401}


async def test_any_other_scheme_than_bearer_is_refused(agent: Agent) -> None:
    assert await refused(agent, {"Authorization": f"Basic {agent.key}"}) == {401}
    assert await refused(agent, {"Authorization": agent.key}) == {401}


async def test_any_key_outside_ascii_is_refused_like_another(agent: Agent) -> None:
    assert await refused(agent, {"X-Device-API-Key": "ключ " * 10}) == {401}


async def test_any_device_cannot_use_the_key_of_another(agent: Agent, other: Agent) -> None:
    assert await refused(agent, other.proof) == {401}


async def test_any_operator_is_no_device(operator: Api, agent: Agent) -> None:
    assert await refused(agent, {"Authorization": f"Bearer {operator.token}"}) == {401}


async def test_any_device_is_no_operator(operator: Api, agent: Agent) -> None:
    headers = {"Authorization": f"Bearer {agent.key}"}
    async with operator.http.post("/graphql", json={"query": "{ policies { nodes { id } } }"}, headers=headers) as response:
        answer = await response.json()

    assert [error["extensions"]["code"] for error in answer["errors"]] == ["UNAUTHENTICATED"]


async def test_any_report_with_a_wrong_key_changes_nothing(operator: Api, agent: Agent, other: Agent) -> None:
    await agent.say({"apps": apps(service("nginx:1.27"))})
    before = await current_apps(operator, agent)

    answer = await agent.ask("PATCH", REPORT, orjson.dumps({agent.uuid: {"apps": {}}}), other.proof)

    assert answer.status == 401
    assert await current_apps(operator, agent) == before


async def test_any_stranger_who_polls_is_unknown_and_may_register_afterwards(stranger: Agent, provisioning: str) -> None:
    assert await refused(stranger, stranger.proof) == {404}
    assert await refused(stranger, stranger.bearer) == {404}

    assert (await stranger.register(provisioning)).status == 200
    assert (await stranger.poll()).status == 200


async def test_any_stranger_who_polls_and_reports_makes_no_device(operator: Api, stranger: Agent) -> None:
    await stranger.poll()
    await stranger.say({"apps": apps(service("nginx:1.27"))})

    answer = await operator.graphql("query ($uuid: UUID!) { device(uuid: $uuid) { uuid } }", uuid=stranger.uuid)

    assert answer["device"] is None


@pytest.mark.parametrize("uuid", ["press-12", "1", "undefined", "null", "%00", "%20", "%C3%A4", "x" * 500])
async def test_any_path_with_something_else_than_a_uuid_is_refused_in_words(agent: Agent, uuid: str) -> None:
    polled = await agent.ask("GET", f"/api/v1/device/{uuid}/state", headers=agent.proof)
    exchanged = await agent.ask("POST", f"/api/v1/device/{uuid}/key-exchange", b"{}", agent.proof)

    assert (polled.status, exchanged.status) == (400, 400)
    assert "uuid" in polled.error
    assert "uuid" in exchanged.error


async def test_any_device_may_be_unknown_here_and_known_after_the_next_registration(stranger: Agent, provisioning: str) -> None:
    for _ in range(3):
        assert (await stranger.poll()).status == 404
    await stranger.register(provisioning)

    assert [(await stranger.poll()).status for _ in range(2)] == [200, 200]
