"""What every mutation promises: made once under a key, nothing overwritten unread, and what is wrong with which field."""

import asyncio
from typing import Any

import pytest

from server.process import Running
from tests.api import Api, eventually, everything, mutation_of, nth
from tests.roots import MUTATIONS, POLICY
from tests.test_schema import UNVERSIONED

KEY = "deploy 4711"
CREATED = {
    "createPolicy": "policy { id }",
    "createRollout": "rollout { id }",
    "createProvisioningKey": "provisioningKey { id } secret",
    "createWebhookEndpoint": "webhookEndpoint { id } secret",
    "createToken": "token { id } secret",
}
OTHERWISE: dict[str, Any] = {
    "createPolicy": {"priority": 1}, "createRollout": {"image": "nginx:1.29"}, "createProvisioningKey": {"maxUses": 3},
    "createWebhookEndpoint": {"sender": "HARBOR"}, "createToken": {"role": "READER"},
}  # fmt: skip
HOST = {"host": "registry.example"}
CHANGES = {
    **{name: values for name, values in MUTATIONS.items() if not name.startswith("create") and name not in UNVERSIONED},
    "setRegistry": HOST,
    "removeRegistry": HOST,
}
del CHANGES["patchDeviceTargets"]  # says it of each device: tests/test_target_patches.py
STALE = "... on Error { code message } ... on ConflictError { currentVersion }"
PROBLEMS = "... on Error { code message } ... on InvalidInputError { problems { path message } }"


@pytest.fixture
async def full(api: Api) -> Api:
    """A server on which there is one of each; the token's number is 1."""
    await api.devices("nginx:1.26")
    await api.policy()
    await api.push("nginx:1.27")
    await eventually(api.status, "IN_PROGRESS")
    await api.change("createWebhookEndpoint", name="ci", sender="GENERIC")
    await api.change("setRegistry", **HOST)
    return api


async def told(api: Api, mutation: str, wanted: str, /, **values: Any) -> Any:
    """What a mutation answers, whatever it is."""
    kind = mutation[0].upper() + mutation[1:]
    return (await api.graphql(f"mutation ($input: {kind}Input!) {{ done: {mutation}(input: $input) {{ {wanted} }} }}", input=values))[
        "done"
    ]


def test_everything_that_is_created_is_tried() -> None:
    assert CREATED.keys() == OTHERWISE.keys() == {name for name in MUTATIONS if name.startswith("create")}


async def settled(server: Running) -> Any:
    """All there is, once the engine has nothing to do any more."""
    before, now = None, await everything(server.db)
    while now != before:
        await asyncio.sleep(0.3)
        before, now = now, await everything(server.db)
    return now


async def test_asked_again_under_its_key_a_thing_is_answered_again_without_its_secret(server: Running, full: Api) -> None:
    for name, wanted in CREATED.items():
        values = {**MUTATIONS[name], "idempotencyKey": f"{KEY} {name}"}
        first = await full.change(name, wanted, **values)
        before = await settled(server)

        again = await full.change(name, wanted, **values)

        assert first.pop("secret", "shown") is not None, name
        assert again.pop("secret", None) is None, name
        assert again == first, name
        assert (await full.refusal(name, **values | OTHERWISE[name]))[0] == "KEY_REUSED", name
        assert (await full.refusal(name, **values | {"idempotencyKey": ""}))[0] == "INVALID_INPUT", name
        assert await everything(server.db) == before, name


async def test_whoever_expects_another_version_changes_nothing_and_is_told_the_current_one(server: Running, full: Api) -> None:
    before = await settled(server)

    for name, values in CHANGES.items():
        refused = await told(full, name, STALE, **values, expectedVersion=99)
        assert refused["code"] == "STALE_VERSION", (name, refused)
        assert (0 <= refused["currentVersion"] < 99, "read it again" in refused["message"]) == (True, True), (name, refused)

    assert await everything(server.db) == before


async def test_the_version_that_is_told_is_the_one_to_expect(full: Api) -> None:
    stale = await told(full, "updatePolicy", STALE, id=POLICY, priority=2, expectedVersion=0)

    changed = await full.change(
        "updatePolicy", "policy { version priority }", id=POLICY, priority=2, expectedVersion=stale["currentVersion"]
    )

    assert changed["policy"] == {"version": stale["currentVersion"] + 1, "priority": 2}


async def problems(api: Api, mutation: str, /, **values: Any) -> list[list[str]]:
    """Where the fields stand that are wrong."""
    refused = await told(api, mutation, PROBLEMS, **values)
    assert all(problem["message"] and problem["message"] in refused["message"] for problem in refused["problems"]), refused
    return [problem["path"] for problem in refused["problems"]]


async def test_what_is_wrong_is_told_by_the_path_of_its_field_as_graphql_spells_it(api: Api) -> None:
    await api.devices("nginx:1.26")
    least = {"imagePattern": "nginx*", "updateStrategy": "STAGED"}
    check = {"kind": "HTTP", "name": "up", "url": "file:///etc/passwd"}

    wrong = {"maxFailureRate": 2, "stages": [{"sharePercent": 0}, {"sharePercent": 100}], "retries": {"backoffMinutes": -1}}
    assert sorted(await problems(api, "createPolicy", **least, **wrong)) == [
        ["maxFailureRate"], ["retries", "backoffMinutes"], ["stages", "0", "sharePercent"],
    ]  # fmt: skip
    assert await problems(api, "createPolicy", **least, checks=[check]) == [["checks", "0", "url"]]
    assert await problems(api, "createPolicy", **{**least, "updateStrategy": "SCHEDULED"}) == [["updateStrategy"]]
    await api.policy()
    assert await problems(api, "updatePolicy", id=POLICY, pickupMinutes=-1) == [["pickupMinutes"]]
    assert await problems(api, "updatePolicy", id="x") == [["id"]]
    apps = {"1001": {"services": [{"serviceName": "web", "imageName": "Nginx"}]}}
    assert await problems(api, "setDeviceTarget", uuid=nth(1), apps=apps) == [["apps", "1001", "services", "0", "imageName"]]
    for image in ("redis:7", "Nginx", ""):
        assert await problems(api, "createRollout", policy=POLICY, image=image) == [["image"]]
    assert await problems(api, "createRollout", policy="x", image="nginx:1.27") == [["policy"]]
    assert await problems(api, "unblockRelease", id=POLICY, image="Nginx") == [["image"]]
    assert await problems(api, "approveImage", name="Nginx") == [["name"]]
    assert await problems(api, "setRegistry", host="no host") == [["host"]]
    assert await problems(api, "setDeviceLabels", uuid=nth(1), labels=[]) == [["labels"]]
    service = {"uuid": nth(1), "app": "1001", "service": "web"}
    assert await problems(api, "patchDeviceTarget", **service, patch={"image": "Nginx"}) == [["patch", "image"]]
    assert await problems(api, "patchDeviceTarget", **service, patch={"config": [1]}) == [["patch", "config"]]
    assert await problems(api, "createToken", name="") == [["name"]]
    assert await problems(api, "createWebhookEndpoint", name="ci", sender="GENERIC", repositories=["No Pattern"]) == [["repositories"]]
    assert await problems(api, "createWebhookEndpoint", name="ci", sender="GENERIC", defaultHost="no host") == [["defaultHost"]]
    assert (await api.refused(mutation_of("createToken", "__typename"), input={"name": "ann", "role": "KING"}))[0] == "BAD_USER_INPUT"
