"""A docker-registry that wants to know who asks: by a password, and by a token."""

from collections.abc import AsyncIterator

import pytest

from domain.registries import Credentials
from live.gate import Gate, a_gate
from live.registry import PATH, Registry
from live.site import Site
from storage.database import Database
from tests.api import eventually, everything

OURS = Credentials("rollwave", "kept-by-rollwave-alone")
HTPASSWD = f"{OURS.username}:$2b$04$KHo2zujcJT94Wqf6w9b4IOp6pqcWPYTSWqJJreo4lYr5TirxK4hyK\n"
WRONG = Credentials("rollwave", "what-it-was-last-year")


def lock(registry: Registry) -> None:
    """Let nobody in but us."""
    (registry.directory / "htpasswd").write_text(HTPASSWD)
    registry.wants(htpasswd={"realm": "edge", "path": str(registry.directory / "htpasswd")})
    registry.credentials = OURS


async def waits_since(site: Site, why: str) -> None:
    """Wait until the newest push waits since its digest is not known."""
    await eventually(site.waits_for, f"policy 1: its digest is not known: {site.registry.host} {why}")


async def test_a_push_waits_for_credentials_that_the_registry_takes_and_says_so(site: Site, db: Database) -> None:
    lock(site.registry)
    await site.open(tells=False)
    devices = await site.devices(2, "latest")
    await site.policy()
    digest = await site.registry.push("latest")

    await site.says("latest")
    await waits_since(site, "wants credentials, and we have none for it (401)")
    await site.may_ask(WRONG)
    await waits_since(site, "refuses our credentials (401)")
    assert await site.rollouts() == []
    await site.may_ask(OURS)

    [decision] = await site.heard(1)
    assert (decision["image"], decision["started"]) == (site.image("latest", digest), True)
    assert await site.completed(devices) == {site.image("latest", digest)}
    assert OURS.password not in repr(await everything(db))
    assert WRONG.password not in repr(await everything(db))


async def test_a_digest_that_the_registry_tells_itself_needs_no_credentials(site: Site) -> None:
    lock(site.registry)
    await site.open()
    await site.devices(1, "latest")
    await site.policy()

    digest = await site.registry.push("latest")

    [decision] = await site.heard(1)
    assert (decision["image"], decision["started"]) == (site.image("latest", digest), True)


async def test_platforms_are_asked_with_credentials_also_after_the_registry_told_the_digest(site: Site) -> None:
    lock(site.registry)
    await site.open()
    await site.labelled("linux/amd64")
    await site.policy(registry={"checkPlatforms": True})
    digest = await site.registry.push("2.0.0")
    why = f"{site.registry.host} wants credentials, and we have none for it (401)"
    await eventually(site.waits_for, f"policy 1: its platforms are not known: {why}")

    await site.may_ask(OURS)

    [decision] = await site.heard(1)
    assert (decision["image"], decision["started"]) == (site.image("2.0.0", digest), True)


async def test_polling_goes_on_as_soon_as_the_credentials_are_right(site: Site) -> None:
    lock(site.registry)
    await site.open(tells=False)
    digest = await site.registry.push("2.0.0")
    await site.devices()
    await site.policy(registry={"pollMinutes": 1})
    await eventually(lambda: problems(site), [f"{site.registry.host} wants credentials, and we have none for it (401)"])

    await site.may_ask(OURS)

    await eventually(lambda: problems(site), [None])
    await eventually(site.rollouts, [site.image("2.0.0", digest)])


async def problems(site: Site) -> list[str | None]:
    """Why repositories that are polled did not answer."""
    answer = await site.api.graphql("{ polledRepositories { nodes { problem } } }")
    return [polled["problem"] for polled in answer["polledRepositories"]["nodes"]]


@pytest.fixture
async def gate(registry: Registry) -> AsyncIterator[Gate]:
    """What hands out tokens for the registry, and stands before it."""
    async with a_gate(registry, OURS) as gate:
        registry.credentials = OURS
        yield gate


async def test_digest_platforms_and_tags_are_asked_with_a_token_and_the_password_is_shown_to_whom_hands_it_out(
    gate: Gate, site: Site
) -> None:
    await site.open(tells=False)
    await site.may_ask(OURS)
    devices = await site.devices()
    policy = await site.policy(registry={"checkPlatforms": True})
    digest = await site.registry.push("2.0.0")
    gate.heard.clear()

    await site.says("2.0.0")
    [decision] = await site.heard(1)
    tags = await tags_of(site, policy)

    assert (decision["image"], decision["started"]) == (site.image("2.0.0", digest), True)
    assert tags == ["2.0.0"]
    assert {heard.who for heard in gate.heard} == {"Rollwave"}
    assert {heard.path for heard in gate.heard if heard.proof == "Basic"} == {"/token"}
    assert {"manifests", "blobs", "tags"} <= {heard.path.split("/")[4] for heard in gate.heard if heard.proof == "Bearer"}
    assert set(gate.scopes) >= {f"repository:{PATH}:pull"}
    assert await site.completed(devices) == {site.image("2.0.0", digest)}


async def tags_of(site: Site, policy: str) -> list[str]:
    """The tags that the registry has, by Rollwave's account."""
    return [verdict["tag"] for verdict in (await site.tried(policy))["tags"]]


async def test_where_no_token_is_handed_out_for_wrong_credentials_or_none_a_push_waits_and_says_so(gate: Gate, site: Site) -> None:
    await site.open(tells=False)
    await site.devices(1, "latest")
    await site.policy()
    digest = await site.registry.push("latest")

    await site.says("latest")
    await waits_since(site, "wants credentials, and we have none for it (401)")
    await site.may_ask(WRONG)
    await waits_since(site, "refuses our credentials (401)")
    await site.may_ask(OURS)

    assert [decision["image"] for decision in await site.heard(1)] == [site.image("latest", digest)]
    assert "/token" in {heard.path for heard in gate.heard if heard.who == "Rollwave"}
