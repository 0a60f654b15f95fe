"""POST /api/v1/device/register: a device makes its uuid and its key itself, and introduces itself once."""

import asyncio
import gzip
import re
import secrets
from typing import Any
from uuid import uuid4

import orjson
import pytest

from tests.api import Api
from tests.conformance.agents import GZIP, REGISTER, Agent, as_json, nested

FIELDS = ("uuid", "deviceName", "deviceType", "deviceApiKey")


async def introduced(agent: Agent, provisioning: str, body: object) -> tuple[int, str]:
    """How such a body is refused; the device must not exist afterwards."""
    answer = await agent.ask("POST", REGISTER, as_json(body), {"Authorization": f"Bearer {provisioning}"})
    assert (await agent.poll()).status == 404
    return answer.status, answer.error


async def test_a1_registers_as_it_always_did(stranger: Agent, provisioning: str) -> None:
    said = {"applicationId": 12, "macAddress": "02:42:00:00:00:01", "osVersion": "Debian 12", "supervisorVersion": "1.0.0"}

    answer = await stranger.register(provisioning, **said)

    assert answer.status == 200
    assert answer.said.items() >= {"uuid": stranger.uuid, "deviceName": "press-12", "deviceType": "pi4", "applicationId": 12}.items()
    assert answer.said["fleetId"] == "conformance"
    assert isinstance(answer.said["id"], int)


async def test_a2_registers_with_an_agent_version_in_the_place_of_its_supervisors(stranger: Agent, provisioning: str) -> None:
    answer = await stranger.register(provisioning, macAddress="02:42:00:00:00:01", osVersion="Debian 12", agentVersion="1.0.77")

    assert answer.status == 200
    assert answer.said.keys() >= {"id", "uuid", "deviceName", "deviceType", "applicationId", "fleetId", "createdAt"}


async def test_any_registration_is_dated_in_utc_to_the_millisecond(stranger: Agent, provisioning: str) -> None:
    answer = await stranger.register(provisioning)

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", answer.said["createdAt"])


async def test_any_device_that_registered_is_told_at_once_that_it_has_nothing_to_run(agent: Agent) -> None:
    assert (await agent.told())["apps"] == {}


@pytest.mark.parametrize("application", [None, 12, "12", 1.5, True, {"id": 12}, [12]], ids=repr)
async def test_any_application_id_comes_back_as_it_was_sent(stranger: Agent, provisioning: str, application: object) -> None:
    assert (await stranger.register(provisioning, applicationId=application)).said["applicationId"] == application


async def test_any_registration_may_leave_the_application_out(stranger: Agent, provisioning: str) -> None:
    assert (await stranger.register(provisioning)).said["applicationId"] is None


async def test_any_registration_may_say_what_the_server_has_no_use_for(stranger: Agent, provisioning: str) -> None:
    assert (await stranger.register(provisioning, macAddress="02:42:00:00:00:01", modules=[{"name": "gpio"}], fleetId="mine")).status == 200


async def test_any_name_may_be_in_any_language(stranger: Agent, provisioning: str) -> None:
    name = "Drückwerk 12 \U0001f680 印刷机"

    assert (await stranger.register(provisioning, deviceName=name)).said["deviceName"] == name


async def test_any_registration_may_be_compressed(stranger: Agent, provisioning: str) -> None:
    body = gzip.compress(orjson.dumps(stranger.introduction))

    answer = await stranger.ask("POST", REGISTER, body, {"Authorization": f"Bearer {provisioning}", **GZIP})

    assert answer.status == 200


async def test_any_registration_sent_again_is_answered_alike(stranger: Agent, provisioning: str) -> None:
    first = await stranger.register(provisioning)

    again = await stranger.register(provisioning)

    assert (first.status, again.status) == (200, 200)
    assert again.said == first.said


async def test_any_uuid_in_capitals_is_the_same_device(agent: Agent, provisioning: str) -> None:
    first = await agent.register(provisioning)

    shouted = await agent.register(provisioning, uuid=agent.uuid.upper())

    assert shouted.status == 200
    assert shouted.said["id"] == first.said["id"]


async def test_any_uuid_that_is_taken_is_not_given_to_another_key(agent: Agent, provisioning: str) -> None:
    answer = await agent.register(provisioning, deviceApiKey=secrets.token_hex(32))

    assert answer.status == 409
    assert agent.uuid in answer.error
    assert (await agent.poll()).status == 200


async def test_any_uuid_that_is_taken_is_not_given_away_in_capitals_either(agent: Agent, provisioning: str) -> None:
    assert (await agent.register(provisioning, uuid=agent.uuid.upper(), deviceApiKey=secrets.token_hex(32))).status == 409


async def test_any_crowd_that_registers_as_one_device_becomes_one_device(stranger: Agent, provisioning: str) -> None:
    answers = await asyncio.gather(*[stranger.register(provisioning) for _ in range(10)])

    assert {answer.status for answer in answers} == {200}
    assert len({answer.said["id"] for answer in answers}) == 1


async def test_any_rivals_for_one_uuid_leave_one_winner(stranger: Agent, provisioning: str) -> None:
    keys = [secrets.token_hex(32) for _ in range(5)]

    answers = await asyncio.gather(*[stranger.register(provisioning, deviceApiKey=key) for key in keys])

    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409, 409]


@pytest.mark.parametrize("field", FIELDS)
async def test_any_registration_that_lacks_a_field_is_refused_by_its_name(stranger: Agent, provisioning: str, field: str) -> None:
    body = {name: value for name, value in stranger.introduction.items() if name != field}

    status, error = await introduced(stranger, provisioning, body)

    assert (status, field in error) == (400, True), error


@pytest.mark.parametrize("value", [None, 7, 1.5, True, ["a"], {}, {"a": 1}, nested(200), ""], ids=lambda value: repr(value)[:12])
@pytest.mark.parametrize("field", FIELDS)
async def test_any_field_of_a_registration_that_is_no_text_is_refused_by_its_name(
    stranger: Agent, provisioning: str, field: str, value: object
) -> None:
    status, error = await introduced(stranger, provisioning, {**stranger.introduction, field: value})

    assert status == 400
    assert field in error or (field, value) == ("uuid", ""), error


@pytest.mark.parametrize(
    "uuid",
    [
        "press-12",
        "7838cecf",
        "7838cecf-567c-4d54-9e48-62b4471df6bd0",
        "7838cecf-567c-4d54-9e48-62b4471df6bg",
        "0x38cecf-567c-4d54-9e48-62b4471df6bd",
        "7838cecf_567c_4d54_9e48_62b4471df6bd",
        "+" + "1" * 31,
        "\u0661" * 32,
        " " + "1" * 30 + " ",
        "x" * 300,
    ],
)  # fmt: skip
async def test_any_registration_under_something_else_than_a_uuid_is_refused(stranger: Agent, provisioning: str, uuid: str) -> None:
    status, error = await introduced(stranger, provisioning, {**stranger.introduction, "uuid": uuid})

    assert (status, "uuid" in error) == (400, True), error


@pytest.mark.parametrize("key", ["k" * 31, "k" * 256, " " * 40, "k" * 40 + " ", "k k" * 20, "é" * 40, "k\r\n" * 20])
async def test_any_key_that_could_be_guessed_or_that_no_header_carries_is_refused(stranger: Agent, provisioning: str, key: str) -> None:
    status, error = await introduced(stranger, provisioning, {**stranger.introduction, "deviceApiKey": key})

    assert (status, "deviceApiKey" in error) == (400, True), error


@pytest.mark.parametrize("field", ["deviceName", "deviceType"])
@pytest.mark.parametrize("text", ["n" * 256, "a\0b"], ids=["long", "null"])
async def test_any_text_that_cannot_be_kept_is_refused(stranger: Agent, provisioning: str, field: str, text: str) -> None:
    status, _ = await introduced(stranger, provisioning, {**stranger.introduction, field: text})

    assert status == 400


async def test_any_registration_too_deep_to_be_kept_is_refused(stranger: Agent, provisioning: str) -> None:
    status, error = await introduced(stranger, provisioning, {**stranger.introduction, "applicationId": nested(900)})

    assert (status, "cannot be kept" in error) == (400, True), error


@pytest.mark.parametrize("body", [None, [], "text", 7, [{}]], ids=repr)
async def test_any_registration_that_is_no_object_is_refused(stranger: Agent, provisioning: str, body: Any) -> None:
    status, error = await introduced(stranger, provisioning, body)

    assert (status, "object" in error) == (400, True), error


@pytest.mark.parametrize("headers", [{}, {"Authorization": ""}, {"Authorization": "Bearer "}, {"Authorization": "Bearer wrong"}], ids=repr)
async def test_any_stranger_without_a_provisioning_key_is_turned_away(stranger: Agent, headers: dict[str, str]) -> None:
    answer = await stranger.ask("POST", REGISTER, orjson.dumps(stranger.introduction), headers)

    assert (answer.status, answer.headers["WWW-Authenticate"], bool(answer.error)) == (401, "Bearer", True)
    assert (await stranger.poll()).status == 404


async def test_any_key_of_another_kind_provisions_nobody(operator: Api, agent: Agent, provisioning: str) -> None:
    stranger = Agent.new(operator.http)
    for key in (agent.key, operator.token, f"Basic {provisioning}", provisioning[:-1], f"{provisioning}x"):
        assert (await stranger.register(key)).status == 401, key

    assert (await stranger.poll()).status == 404


async def test_any_device_turned_away_may_come_back_with_a_key(stranger: Agent, provisioning: str) -> None:
    assert (await stranger.register("wrong")).status == 401
    assert (await stranger.register(provisioning, deviceApiKey="short")).status == 400

    assert (await stranger.register(provisioning)).status == 200


async def test_any_order_and_any_spaces_make_the_same_registration(stranger: Agent, provisioning: str) -> None:
    turned = dict(reversed(stranger.introduction.items()))

    answer = await stranger.ask(
        "POST", REGISTER, b"\n\t " + orjson.dumps(turned, option=orjson.OPT_INDENT_2), {"Authorization": f"bearer  {provisioning}"}
    )

    assert answer.status == 200


async def test_any_device_belongs_to_the_fleet_of_the_key_it_came_with(operator: Api, stranger: Agent) -> None:
    fleet = f"conformance-{uuid4().hex[:8]}"

    assert (await stranger.register(await operator.provisioning_key(fleet), fleetId="another")).said["fleetId"] == fleet
