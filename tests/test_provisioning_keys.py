"""The keys that let devices register themselves: what operators make of them, whom they let in, and how many."""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from domain.provisioning import LONGEST_LIFE, MOST_USES
from schema.nodes import node_id
from server.process import Running
from tests.api import Agent, Api, everything, mutation_of, nth
from tests.clock import MovableClock
from tests.factories import at

FIELDS = "number name fleet { name } labels maxUses uses expiresAt revokedAt needsAcceptance createdAt createdBy"


async def kept(api: Api, number: int = 1) -> Any:
    """What is known of a key."""
    answer = await api.graphql(f"query ($number: Int!) {{ provisioningKey(number: $number) {{ {FIELDS} }} }}", number=number)
    return answer["provisioningKey"]


async def revoked(api: Api, number: int = 1) -> Any:
    wanted = f"provisioningKey {{ {FIELDS} }}"
    return (await api.change("revokeProvisioningKey", wanted, id=node_id("ProvisioningKey", number)))["provisioningKey"]


async def register(api: Api, key: str, number: int = 1) -> tuple[int, Any]:
    """What the n-th device is answered."""
    return await Agent(api.http, nth(number)).register(key)


async def test_a_key_is_shown_once_and_what_is_kept_of_it_does_not_tell(server: Running, api: Api) -> None:
    expires = await at(server.db) + timedelta(days=30)
    wanted: dict[str, Any] = {
        "name": "hall 3", "fleet": "plant-a", "labels": {"site": "north"}, "maxUses": 40, "expiresAt": expires.isoformat(),
        "needsAcceptance": True,
    }  # fmt: skip

    secret, plain = await api.provisioning_key(**wanted), await api.provisioning_key(name="plain")

    assert secret.startswith("rollwave_provisioning_")
    assert secret != plain
    assert secret not in str(await everything(server.db))
    known = await kept(api)
    assert known.pop("createdAt") <= expires.isoformat()
    assert known == {**wanted, "fleet": {"name": "plant-a"}, "number": 1, "uses": 0, "revokedAt": None, "createdBy": "ops"}
    assert {**await kept(api, 2), "createdAt": None} == {
        "number": 2, "name": "plain", "fleet": None, "labels": {}, "maxUses": None, "uses": 0, "expiresAt": None, "revokedAt": None,
        "needsAcceptance": False, "createdAt": None, "createdBy": "ops",
    }  # fmt: skip


async def test_keys_are_listed_in_pages_in_the_order_they_were_made(api: Api) -> None:
    for name in ("a", "b", "c"):
        await api.provisioning_key(name=name)
    paged = """query ($after: String) { provisioningKeys(first: 2, after: $after) { nodes { name } pageInfo { hasNextPage endCursor } } }"""

    first = (await api.graphql(paged))["provisioningKeys"]
    second = (await api.graphql(paged, after=first["pageInfo"]["endCursor"]))["provisioningKeys"]

    assert [[node["name"] for node in page["nodes"]] for page in (first, second)] == [["a", "b"], ["c"]]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (True, False)
    assert await kept(api, 9) is None


async def test_a_key_that_makes_no_sense_is_refused_by_field_and_nothing_changes(server: Running, api: Api) -> None:
    now = await at(server.db)
    before = await everything(server.db)
    for field, value in [
        ("name", ""), ("name", "  "), ("name", "n" * 256), ("fleet", ""), ("fleet", "f" * 256), ("fleet", "a\nb"),
        ("labels", ["site"]), ("labels", {"site": 3}), ("labels", {"": "x"}), ("labels", {str(n): "" for n in range(65)}),
        ("maxUses", 0), ("maxUses", -1), ("expiresAt", now.isoformat()), ("expiresAt", "2100-01-31T06:00:00"),
        ("expiresAt", (now + LONGEST_LIFE + timedelta(days=1)).isoformat()), ("expiresAt", "9998-12-31T23:59:59-23:00"),
    ]:  # fmt: skip
        code, words = await api.refusal("createProvisioningKey", **{"name": "hall 3", field: value})
        assert (code, field in words) == ("INVALID_INPUT", True), (field, value, words)
    document = mutation_of("createProvisioningKey", "__typename")
    assert await api.refused(document, input={"name": "a\0b"}) == ("BAD_USER_INPUT", "the body holds a null character")
    assert (await api.refused(document, input={"name": "x", "maxUses": MOST_USES + 1}))[0] == "BAD_USER_INPUT"
    assert (await api.refusal("revokeProvisioningKey", id=node_id("ProvisioningKey", 9)))[0] == "NOT_FOUND"
    assert (await api.refusal("revokeProvisioningKey", id="x"))[0] == "INVALID_INPUT"
    assert await everything(server.db) == before


async def test_fleet_and_labels_of_the_key_are_written_on_the_device_and_are_the_operators_from_then_on(api: Api) -> None:
    agent = Agent(api.http, nth(1))
    key = await api.provisioning_key("plant-a", labels={"site": "north", "rack": "7"})

    _, answer = await agent.register(key)
    seen = "query ($uuid: UUID!) { device(uuid: $uuid) { fleet { name } labels standing revokedAt } }"
    device = (await api.graphql(seen, uuid=agent.uuid))["device"]
    assert answer["fleetId"] == "plant-a"
    assert device == {
        "fleet": {"name": "plant-a"}, "labels": {"site": "north", "rack": "7"}, "standing": "ACCEPTED", "revokedAt": None,
    }  # fmt: skip

    await api.change("setDeviceLabels", uuid=agent.uuid, labels={"rack": "8"})
    await agent.register(key)
    assert (await api.graphql(seen, uuid=agent.uuid))["device"]["labels"] == {"rack": "8"}


async def test_a_key_for_three_lets_three_of_fifty_in_at_once(server: Running, api: Api) -> None:
    key = await api.provisioning_key(maxUses=3)

    answers = await asyncio.gather(*[register(api, key, number) for number in range(1, 51)])

    assert Counter(status for status, _ in answers) == {200: 3, 401: 47}
    assert {body["error"] for status, body in answers if status == 401} == {"the provisioning key is used up: it was for 3 devices"}
    assert (await kept(api))["uses"] == len((await everything(server.db))["devices"]) == 3


async def test_one_device_that_registers_in_fifty_ways_at_once_uses_its_key_once(server: Running, api: Api) -> None:
    key = await api.provisioning_key(maxUses=1)

    answers = await asyncio.gather(*[register(api, key) for _ in range(50)])

    assert {status for status, _ in answers} == {200}
    assert len({body["id"] for _, body in answers}) == 1
    assert (await kept(api))["uses"] == len((await everything(server.db))["devices"]) == 1


@pytest.mark.parametrize(
    ("ends", "says"), [("used up", "is used up: it was for 1 device"), ("revoked", "was revoked at "), ("expired", "expired at ")]
)
async def test_a_key_that_has_ended_lets_nobody_new_in_and_forgets_nobody(
    server: Running, api: Api, clock: MovableClock, ends: str, says: str
) -> None:
    expires = (await at(server.db) + timedelta(hours=1)).isoformat()
    key = await api.provisioning_key(maxUses=1 if ends == "used up" else None, expiresAt=expires)
    first = await register(api, key)
    if ends == "revoked":
        await revoked(api)
    if ends == "expired":
        clock.advance(hours=1)
    before = await everything(server.db)

    status, refused = await register(api, key, 2)

    assert (status, refused["error"].startswith(f"the provisioning key {says}")) == (401, True), refused
    assert await register(api, key) == first, "it holds its device key, which proves more"
    assert await everything(server.db) == before
    assert (await Agent(api.http, nth(1)).poll())[0] == 200


async def test_until_the_second_it_expires_a_key_lets_devices_in(server: Running, api: Api, clock: MovableClock) -> None:
    clock.standing = await at(server.db)
    key = await api.provisioning_key(expiresAt=(clock.standing + timedelta(hours=1)).isoformat())

    clock.advance(seconds=3599)
    assert (await register(api, key, 1))[0] == 200
    clock.advance(seconds=1)
    assert (await register(api, key, 2))[0] == 401


async def test_who_guesses_learns_nothing_from_what_is_refused(server: Running, api: Api) -> None:
    key = await api.provisioning_key()
    await revoked(api)

    guessed = [await register(api, wrong) for wrong in (key[:-1], key + "x", "rollwave_provisioning_")]

    assert guessed == [(401, {"error": "the provisioning key is unknown"})] * 3
    assert (await register(api, ""))[1]["error"].startswith("the provisioning key is missing")


async def test_revoking_a_key_twice_is_revoking_it_once(api: Api, clock: MovableClock) -> None:
    await api.provisioning_key()
    first = await revoked(api)
    clock.advance(days=1)

    assert await revoked(api) == first == await kept(api)
    assert first["revokedAt"] is not None
