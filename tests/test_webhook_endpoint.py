"""What follows from a webhook, from the sender's bytes to what devices are told."""

import asyncio
import gzip
import hashlib
import hmac
import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from schema.nodes import number_of
from server.bodies import MOST_SENT
from server.process import Running, running
from server.settings import Settings
from tests.api import Api, eventually, everything, flat
from tests.conftest import SECRET

WEBHOOK = "/api/v1/webhooks/docker-registry"
PAYLOADS = Path(__file__).parent / "payloads"
NGINX = {"repository": {"repo_name": "nginx"}, "push_data": {"tag": "1.27"}}
BY_TAG = ", by its tag: docker.io is not among the registries that may be asked (setRegistry)"
A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


async def posted(api: Api, body: bytes, *, path: str = "", **headers: str) -> tuple[int, Any]:
    """What the webhook answers to these bytes."""
    async with api.http.post(WEBHOOK + path, data=body, headers=headers) as response:
        return response.status, await (response.json() if response.content_type == "application/json" else response.text())


def signed(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


async def pushed(api: Api, image: str, digest: str | None = None) -> tuple[bool, str]:
    """Whether a push of the image started something, and what was decided of it."""
    name, _, tag = image.partition(":")
    *_, last = await api.told({"image": name, "tag": tag, "digest": digest, "build": uuid4().hex})
    return last["started"], last["sentence"].partition(", by its tag")[0]


async def rollouts(api: Api) -> list[tuple[str, str]]:
    """Every rollout's image and status, oldest first."""
    answer = flat(await api.graphql("{ rollouts { nodes { image { reference } status } } }"))
    return [(node["image"], node["status"]) for node in reversed(answer["rollouts"]["nodes"])]


async def images(api: Api) -> dict[str, str]:
    """What every device of one service should run, by its uuid."""
    nodes = (await api.graphql("{ devices { nodes { uuid targetState { apps } } } }"))["devices"]["nodes"]
    return {node["uuid"]: node["targetState"]["apps"]["1001"]["services"][0]["imageName"] for node in nodes}


# Who may send


async def test_who_knows_the_secret_is_heard_and_nobody_else(server: Running, api: Api) -> None:
    body = json.dumps(NGINX, indent=3).encode()
    before = await everything(server.db)

    for path, headers in [
        ("", {}),
        ("/wrong", {}),
        (f"/{SECRET[:-1]}", {}),
        (f"/{SECRET}x", {}),
        ("/%C3%A4", {}),
        ("/wrong", {"X-Hub-Signature-256": signed(body)}),
        ("", {"X-Hub-Signature-256": signed(body, "wrong")}),
        ("", {"X-Hub-Signature-256": signed(json.dumps(NGINX).encode())}),
        ("", {"X-Hub-Signature-256": signed(body).removeprefix("sha256=")}),
        ("", {"X-Hub-Signature-256": "sha256="}),
        ("", {"X-Hub-Signature": signed(body)}),
        ("", {"X-Hub-Signature-256": "ä"}),
        ("", {"Authorization": f"Bearer {api.token}"}),
    ]:
        status, answer = await posted(api, body, path=path, **headers)
        assert (status, "error" in answer) == (401, True), (path, headers)
    assert await everything(server.db) == before

    for path, headers in [
        (f"/{SECRET}", {}),
        (f"/{SECRET}", {"X-Hub-Signature-256": "sha256=wrong"}),
        ("", {"X-Hub-Signature-256": signed(body)}),
        ("", {"X-Signature": signed(body).upper()}),
    ]:
        assert (await posted(api, body, path=path, **headers))[0] == 202, (path, headers)
    squeezed = gzip.compress(body)
    assert (await posted(api, squeezed, **{"X-Hub-Signature-256": signed(squeezed), "Content-Encoding": "gzip"}))[0] == 202


async def test_without_a_secret_no_webhook_is_heard(database_url: str) -> None:
    async with running(Settings(port=0), database_url) as server, Api.of(server, "") as api:
        await api.devices("nginx:1.26")
        await api.policy()
        before = await everything(server.db)
        body = json.dumps(NGINX).encode()

        for path, headers in [("", {}), ("/", {}), ("/None", {}), ("", {"X-Hub-Signature-256": signed(body, "")})]:
            status, _ = await posted(api, body, path=path, **headers)
            assert status in (403, 404), path

        assert await everything(server.db) == before


async def test_a_body_that_makes_no_sense_is_refused_and_nothing_changes(server: Running, api: Api) -> None:
    await api.devices("nginx:1.26")
    await api.policy()
    before = await everything(server.db)

    for body, wanted, words in [
        (b"", 400, "not JSON"),
        (b"[]", 400, "not an object"),
        (b"{}", 400, "nobody we know"),
        (b"\xff", 400, "not JSON"),
        (b"[" * 5000 + b"]" * 5000, 400, ""),
        (b'{"image": 7}', 400, "image"),
        (b'{"image": "nginx", "tag": "1 27"}', 400, "tag"),
        (b'{"image": "ng\\u0000inx"}', 400, "image"),
        (b'{"repository": {"repo_name": "nginx"}}', 400, "push_data"),
        (b'{"events": [{"action": "push", "target": {"repository": "nginx", "tag": "1"}}]}', 400, "request.host"),
        (b" " * (MOST_SENT + 1), 413, ""),
    ]:
        status, answer = await posted(api, body, path=f"/{SECRET}")
        assert (status, words in str(answer)) == (wanted, True), (body[:80], answer)
    assert (await posted(api, b"{}", path=f"/{SECRET}", **{"Content-Encoding": "gzip"}))[0] == 400
    assert (await posted(api, b"{}", path=f"/{SECRET}", **{"Content-Encoding": "zstd"}))[0] == 415

    assert await everything(server.db) == before


async def test_a_webhook_is_kept_and_what_came_of_it_can_be_read(server: Running, api: Api) -> None:
    ping = await posted(api, (PAYLOADS / "github_ping.json").read_bytes(), path=f"/{SECRET}", **{"X-GitHub-Event": "ping"})
    first = await api.webhook(NGINX)
    await api.decided("1")
    policy = number_of(await api.policy(), "Policy")
    nobody_runs = await api.told(NGINX)
    await api.devices("nginx:1.26", "nginx-exporter:0.9")
    started = await api.told(NGINX)
    again = await api.webhook(NGINX)
    decisions = await api.decided("1")

    def told(policy: int | None, rollout: int | None, started: bool, sentence: str) -> dict[str, object]:
        return {"image": "nginx:1.27", "policy": policy, "rollout": rollout, "started": started, "sentence": sentence}

    assert ping == (200, {"message": "nothing to do"})
    assert first == (202, {"message": "accepted", "delivery_id": "1", "images": ["nginx:1.27"]})
    assert nobody_runs[-1] == told(policy, None, False, "no device that this policy governs runs nginx")
    assert started[-1] == told(policy, 1, True, f"started rollout 1{BY_TAG}")
    assert again == (202, {"message": "known already", "delivery_id": "1", "images": ["nginx:1.27"]})
    assert decisions == [
        told(None, None, False, "no policy matches this image"),
        nobody_runs[-1],
        started[-1],
        told(policy, 1, False, "this release is known: rollout 1"),
    ]
    delivery = await api.delivery("1")
    assert (delivery["sender"], delivery["times"], json.loads(delivery["body"])) == ("DOCKER_HUB", 4, NGINX)


# Who sends


@pytest.mark.parametrize(
    ("name", "headers", "runs", "offered"),
    [
        ("docker_hub", {}, "acme/edge-agent:1.4.1", "acme/edge-agent:1.4.2"),
        ("github_package", {"X-GitHub-Event": "package"}, "ghcr.io/acme/edge-agent:v1.4.1", f"ghcr.io/acme/edge-agent:v1.4.2@{A}"),
        (
            "github_registry_package", {"X-GitHub-Event": "registry_package"},
            "ghcr.io/acme/edge-agent:latest", f"ghcr.io/acme/edge-agent:latest@{B}",
        ),
        ("generic", {}, "ghcr.io/acme/edge-agent:1.4.1", f"ghcr.io/acme/edge-agent:1.4.2@{A}"),
        (
            "distribution", {"Content-Type": "application/vnd.docker.distribution.events.v2+json"},
            "registry.acme.example:5000/acme/edge-agent:1.4.1", f"registry.acme.example:5000/acme/edge-agent:1.4.2@{A}",
        ),
    ],
)  # fmt: skip
async def test_every_senders_push_reaches_the_device(api: Api, name: str, headers: dict[str, str], runs: str, offered: str) -> None:
    body = (PAYLOADS / f"{name}.json").read_bytes()
    [agent] = await api.devices(runs)
    await api.policy(imagePattern="**/edge-agent")

    first, answer = await posted(api, body, **headers, **{"X-Hub-Signature-256": signed(body)})
    again, _ = await posted(api, body, **headers, **{"X-Hub-Signature-256": signed(body)})

    assert (first, again) == (202, 202), answer
    assert (await api.decided(answer["delivery_id"]))[0]["image"] == offered
    await eventually(lambda: api.image(agent.uuid), offered)
    assert await agent.obey() == offered
    await eventually(api.status, "COMPLETED")
    assert await rollouts(api) == [(offered, "COMPLETED")]


# One release, one rollout


async def test_of_five_webhooks_at_once_one_starts_a_rollout(api: Api) -> None:
    [agent] = await api.devices("nginx:1.26")
    await api.policy()

    answers = await asyncio.gather(*[api.webhook(NGINX) for _ in range(5)])

    assert sorted(answer["message"] for _, answer in answers) == ["accepted"] + ["known already"] * 4
    [delivery] = {answer["delivery_id"] for _, answer in answers}
    assert {decision["rollout"] for decision in await api.decided(delivery)} == {1}
    await eventually(lambda: api.image(agent.uuid), "nginx:1.27")
    assert (await api.target(agent.uuid))["version"] == 2
    assert len(await rollouts(api)) == 1


async def test_a_newer_release_takes_over_and_devices_go_straight_to_it(api: Api) -> None:
    agents = await api.devices(*["nginx:1.25"] * 3)
    await api.policy(updateStrategy="STAGED", stagedBatches=3, batchDelayMinutes=0)
    await pushed(api, "nginx:1.26")
    await eventually(lambda: offered(api, 1), 1)
    [canary] = [agent for agent in agents if await api.image(agent.uuid) == "nginx:1.26"]
    await canary.poll()
    canary.image = "nginx:1.26"  # what it runs if its next poll finds nothing new

    assert await pushed(api, "nginx:1.27") == (True, "started rollout 2")
    assert await pushed(api, "nginx:1.26.5") == (False, "rollout 2 brings a newer version, nginx:1.27")
    await eventually(lambda: rollouts(api), [("nginx:1.26", "SUPERSEDED"), ("nginx:1.27", "IN_PROGRESS")])
    told: dict[str, list[str]] = {agent.uuid: [] for agent in agents}

    async def status_once_all_obeyed() -> str | None:
        for agent in agents:
            told[agent.uuid] += [await agent.obey()]
        return await api.status(2)

    await eventually(status_once_all_obeyed, "COMPLETED")
    assert set(told.pop(canary.uuid)) <= {"nginx:1.26", "nginx:1.27"}
    assert all("nginx:1.26" not in images for images in told.values())
    assert set((await images(api)).values()) == {"nginx:1.27"}
    assert await api.status(1) == "SUPERSEDED"
    assert set((await api.rollout(2))["devices"].values()) == {"UPDATED"}


async def test_a_moving_tag_with_a_new_digest_is_a_new_release(api: Api) -> None:
    [agent] = await api.devices("nginx:latest")
    await api.policy()

    assert await pushed(api, "nginx:latest", A) == (True, "started rollout 1")
    await eventually(lambda: api.image(agent.uuid), f"nginx:latest@{A}")
    await agent.poll()
    # A tag is no proof where a digest was asked for; Docker names the digest with the tag or without.
    for shown, status in (("nginx:latest", "UPDATING"), (f"nginx:latest@{B}", "UPDATING"), (f"nginx@{A}", "UPDATED")):
        await agent.report(shown)
        assert (await api.rollout())["devices"] == {agent.uuid: status}
    await eventually(api.status, "COMPLETED")
    assert await pushed(api, "nginx:latest", A) == (False, "this release is known: rollout 1")
    assert await pushed(api, "nginx:latest", B) == (True, "started rollout 2")
    await eventually(lambda: api.image(agent.uuid), f"nginx:latest@{B}")
    assert await agent.obey() == f"nginx:latest@{B}"
    await eventually(lambda: api.status(2), "COMPLETED")


async def test_a_release_that_was_rolled_back_waits_until_an_operator_unblocks_it(api: Api) -> None:
    [agent] = await api.devices("nginx:1.26")
    policy = await api.policy()
    await pushed(api, "nginx:1.27")
    await eventually(lambda: api.image(agent.uuid), "nginx:1.27")
    await agent.poll()
    assert await api.request("rollBack") == "ROLLING_BACK"
    assert await pushed(api, "nginx:1.27") == (False, "this release is blocked: rolled back")
    assert await agent.obey() == "nginx:1.26"
    await eventually(api.status, "ROLLED_BACK")
    assert await pushed(api, "nginx:1.27") == (False, "this release is blocked: rolled back")

    assert await api.change("unblockRelease", "wasBlocked", id=policy, image="nginx:1.27") == {"wasBlocked": True}

    assert await pushed(api, "nginx:1.27") == (True, "started rollout 2")
    await eventually(lambda: api.image(agent.uuid), "nginx:1.27")


# Whom it is for


async def test_devices_on_whatever_tag_of_the_repository_take_part_and_others_do_not(api: Api) -> None:
    tags = ["nginx:1.25", "nginx:alpine", "nginx", f"nginx@{A}", f"nginx:1.26@{B}", "docker.io/library/nginx:1.24"]
    agents = await api.devices(*tags)
    others = await api.devices("nginx-exporter:0.9", "acme/nginx:1.25", "ghcr.io/acme/nginx:1.25", "localhost:5000/nginx:1", first=10)
    await api.policy(imagePattern="nginx")

    await pushed(api, "nginx:1.27")
    await eventually(lambda: offered(api, 1), len(tags))

    told = await images(api)
    assert {told[agent.uuid] for agent in agents} == {"nginx:1.27"}
    assert [told[agent.uuid] for agent in others] == [
        "nginx-exporter:0.9",
        "acme/nginx:1.25",
        "ghcr.io/acme/nginx:1.25",
        "localhost:5000/nginx:1",
    ]


async def test_nobody_is_downgraded_by_a_webhook(api: Api, server: Running) -> None:
    newer = await api.devices("nginx:1.27", "nginx:1.27.3-alpine")
    await api.policy()
    before = (await everything(server.db))["rollouts"]

    for old in ("nginx:1.19-perl", "nginx:1.26.9", "nginx:1", "nginx:1.27-rc.1"):
        assert await pushed(api, old) == (False, f"{old.removeprefix('nginx:')} is older than 1.27 and 1.27.3-alpine")
    assert (await everything(server.db))["rollouts"] == before == []

    [older] = await api.devices("nginx:1.18", first=10)
    assert await pushed(api, "nginx:1.26") == (True, "started rollout 1")
    await eventually(lambda: offered(api, 1), 1)

    assert list((await api.rollout())["devices"]) == [older.uuid]
    assert await images(api) == {newer[0].uuid: "nginx:1.27", newer[1].uuid: "nginx:1.27.3-alpine", older.uuid: "nginx:1.26"}


async def test_a_policy_for_one_fleet_touches_that_fleet_only(api: Api) -> None:
    [a] = await api.devices("nginx:1.26", fleet="plant-a")
    [b] = await api.devices("nginx:1.26", fleet="plant-b", first=2)
    [stray] = await api.devices("nginx:1.26", first=3)
    await api.policy(fleet="plant-a")

    await pushed(api, "nginx:1.27")
    await eventually(lambda: api.image(a.uuid), "nginx:1.27")
    await a.obey()
    await eventually(api.status, "COMPLETED")

    assert await images(api) == {a.uuid: "nginx:1.27", b.uuid: "nginx:1.26", stray.uuid: "nginx:1.26"}


async def test_the_more_specific_policy_governs_and_every_device_obeys_one(api: Api) -> None:
    [a] = await api.devices("nginx:1.26", fleet="plant-a")
    [b] = await api.devices("nginx:1.26", fleet="plant-b", first=2)
    [stray] = await api.devices("nginx:1.26", first=3)
    await api.policy(imagePattern="*")
    everybody = number_of(await api.policy(imagePattern="nginx"), "Policy")
    careful = number_of(await api.policy(imagePattern="ngin?", fleet="plant-a", updateStrategy="MANUAL"), "Policy")
    await api.policy(imagePattern="nginx", fleet="plant-a", enabled=False)
    await api.policy(imagePattern="n*", fleet="plant-a")

    decisions = await api.told(NGINX)
    await eventually(lambda: api.image(stray.uuid), "nginx:1.27")
    await eventually(lambda: api.image(b.uuid), "nginx:1.27")
    by_policy = {decision["policy"]: decision["rollout"] for decision in decisions}

    assert set(by_policy) == {everybody, careful}
    await eventually(lambda: api.status(by_policy[careful]), "PENDING")
    assert set((await api.rollout(by_policy[everybody]))["devices"]) == {b.uuid, stray.uuid}
    assert set((await api.rollout(by_policy[careful]))["devices"]) == {a.uuid}
    assert await api.image(a.uuid) == "nginx:1.26"


async def test_a_policy_that_is_disabled_or_deleted_does_nothing(api: Api) -> None:
    await api.devices("nginx:1.26")
    disabled, deleted = await api.policy(), await api.policy()
    await api.change("disablePolicy", id=disabled)
    await api.change("deletePolicy", id=deleted)

    assert await pushed(api, "nginx:1.27") == (False, "no policy matches this image")

    assert await rollouts(api) == []
    await api.change("enablePolicy", id=disabled)
    assert await pushed(api, "nginx:1.27") == (True, "started rollout 1")


async def test_a_pattern_may_name_tags_and_is_anchored(api: Api) -> None:
    await api.devices("nginx:1.26", "acme/engine:1", "nginx-exporter:1", "postgres:15")
    await api.policy(imagePattern="nginx:1.2*")
    await api.policy(imagePattern="postgres:1?")

    for image in ("nginx:2.1", "nginx:latest", "nginx:1.3", "acme/engine:2", "nginx-exporter:1.20", "postgres:17.1", "postgres:9"):
        assert await pushed(api, image) == (False, "no policy matches this image"), image
    assert await pushed(api, "nginx:1.28") == (True, "started rollout 1")
    assert await pushed(api, "postgres:17") == (True, "started rollout 2")


async def offered(api: Api, number: int) -> int:
    """How many devices a rollout offers its image now."""
    rollout = await api.rollout(number)
    return 0 if rollout is None else int(rollout["offeredDevices"])
