"""What docker-registry tells of what skopeo does, and what comes of it."""

from typing import Any

import pytest

from live.registry import Told
from live.site import Site
from tests.api import eventually

FORMS = ["oci", "v2s2"]
"""How skopeo writes manifests: as the OCI wants them, and as Docker did."""


async def deliveries(site: Site) -> list[str]:
    """Who posted what is kept of the registry's webhooks."""
    answer = await site.api.graphql("query ($id: ID) { webhookEndpoint(id: $id) { deliveries { nodes { sender } } } }", id=site.endpoint)
    return [node["sender"] for node in answer["webhookEndpoint"]["deliveries"]["nodes"]]


@pytest.mark.parametrize("form", FORMS)
async def test_a_pushed_version_reaches_the_devices_pinned_to_the_digest_that_skopeo_sees(site: Site, form: str) -> None:
    await site.open()
    await site.registry.push("1.0.0", form=form)
    await site.heard(1)
    devices = await site.devices(5)
    await site.policy()

    digest = await site.registry.push("2.0.0", form=form)

    await eventually(site.rollouts, [site.image("2.0.0", digest)])
    assert await site.completed(devices) == {site.image("2.0.0", digest)}


async def test_a_moving_tag_is_a_new_release_whenever_it_holds_something_else(site: Site) -> None:
    await site.open()
    await site.registry.push("latest", "first")
    await site.heard(1)
    devices = await site.devices(2, "latest")
    await site.policy()

    second = site.image("latest", await site.registry.push("latest", "second"))
    await eventually(site.rollouts, [second])
    assert await site.completed(devices) == {second}

    third = site.image("latest", await site.registry.push("latest", "third"))
    await eventually(site.rollouts, [second, third])
    assert await site.completed(devices, 2) == {third}


async def test_a_version_that_is_promoted_to_a_moving_tag_keeps_its_digest(site: Site) -> None:
    await site.open()
    digest = await site.registry.push("2.0.0")
    await site.heard(1)
    devices = await site.devices(2, "stable")
    await site.policy()

    await site.registry.promote("2.0.0", to="stable")

    await eventually(site.rollouts, [site.image("stable", digest)])
    assert await site.completed(devices) == {site.image("stable", digest)}


async def test_the_same_content_pushed_again_starts_nothing(site: Site) -> None:
    await site.open()
    devices = await site.devices(1, "latest")
    await site.policy()
    digest = await site.registry.push("latest", "first")
    await site.heard(1)

    assert await site.registry.push("latest", "first") == digest
    *_, under_way = await site.heard(2)
    await site.completed(devices)
    assert await site.registry.push("latest", "first") == digest
    *_, done = await site.heard(3)

    assert (under_way["started"], under_way["sentence"]) == (False, "this release is known: rollout 1")
    assert (done["started"], done["rollout"]) == (False, 1)
    assert await site.rollouts() == [site.image("latest", digest)]


async def test_what_is_no_push_of_an_image_is_acknowledged_and_nothing_comes_of_it(site: Site) -> None:
    await site.open()
    await site.devices()
    await site.policy()
    digest = await site.registry.push("2.0.0")
    await site.heard(1)
    before = await site.registry.told()

    await site.registry.pull("2.0.0")  # the manifest, its configuration, its layer
    await site.registry.delete("2.0.0")
    await eventually(lambda: has_told(site, before.acknowledged + 4), True)

    assert before.acknowledged >= 3, "layers were told of, too"
    assert (await site.registry.told()).refused == 0
    assert await deliveries(site) == ["DISTRIBUTION"]
    assert await site.rollouts() == [site.image("2.0.0", digest)]


async def has_told(site: Site, least: int) -> bool:
    """Whether the registry has told so much, and has nothing left to tell."""
    match await site.registry.told():
        case Told(pending=0, acknowledged=acknowledged):
            return acknowledged >= least
        case _:
            return False


@pytest.mark.parametrize("form", FORMS)
async def test_an_index_is_one_release_for_devices_of_several_platforms(site: Site, form: str) -> None:
    await site.open()
    devices = await site.labelled("linux/amd64", "linux/arm64")
    await site.policy(registry={"checkPlatforms": True})

    digest = await site.registry.push("2.0.0", platforms=("linux/amd64", "linux/arm64"), form=form)

    [decision] = await site.heard(1)
    assert (decision["image"], decision["started"]) == (site.image("2.0.0", digest), True)
    assert await site.completed(devices) == {site.image("2.0.0", digest)}


@pytest.mark.parametrize("platforms", [("linux/amd64",), ("linux/amd64", "linux/386")], ids=["an image", "an index"])
async def test_what_has_nothing_for_a_devices_platform_is_refused_in_words(site: Site, platforms: tuple[str, ...]) -> None:
    await site.open()
    await site.labelled("linux/amd64", "linux/arm64")
    await site.policy(registry={"checkPlatforms": True})

    await site.registry.push("2.0.0", platforms=platforms)

    [decision] = await site.heard(1)
    assert decision["sentence"] == f"it has nothing for linux/arm64, only for {', '.join(sorted(platforms))}"
    assert await site.rollouts() == []


@pytest.mark.parametrize("sender", ["GENERIC", "NEXUS"])
async def test_a_webhook_without_a_digest_is_pinned_to_the_one_that_the_registry_has(site: Site, sender: str) -> None:
    await site.open(tells=False)
    devices = await site.devices()
    await site.policy()
    digest = await site.registry.push("2.0.0")

    assert await posted(site, sender) == 202

    [decision] = await site.heard(1)
    assert (decision["image"], decision["sentence"]) == (site.image("2.0.0", digest), "started rollout 1")
    assert await site.completed(devices) == {site.image("2.0.0", digest)}


async def posted(site: Site, sender: str) -> int:
    """What an endpoint of this sender answers to the webhook of a push of 2.0.0."""
    wanted = {"name": "theirs", "sender": sender, "scheme": "PATH", "defaultHost": site.registry.host}
    made = await site.api.change("createWebhookEndpoint", "secret webhookEndpoint { path }", **wanted)
    path = f"{made['webhookEndpoint']['path']}/{made['secret']}"
    async with site.api.http.post(path, json=body(site, sender)) as response:
        return response.status


def body(site: Site, sender: str) -> dict[str, Any]:
    if sender == "NEXUS":
        return {"action": "CREATED", "component": {"format": "docker", "name": "acme/edge-agent", "version": "2.0.0"}}
    return {"image": site.registry.repository, "tag": "2.0.0"}
