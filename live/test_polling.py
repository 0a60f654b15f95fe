"""Asking a docker-registry for new tags, with and without its webhooks, and trying a policy on what it has."""

from live.site import Site
from storage.database import Database
from tests.api import eventually, everything

MINUTELY = {"pollMinutes": 1}
SECONDS = 15
"""In which the poller, which looks every five, has surely looked."""


async def asked(site: Site) -> None:
    """Let a minute pass, and wait until the registry has been asked since."""
    site.clock.advance(minutes=2)
    before = await answered_at(site)

    async def again() -> bool:
        return await answered_at(site) > before

    await eventually(again, True, SECONDS)


async def answered_at(site: Site) -> str:
    """When the registry last answered when it was polled; before that an early word."""
    answer = await site.api.graphql("{ polledRepositories { nodes { repository { name } askedAt problem } } }")
    return max((one["askedAt"] or "" for one in answer["polledRepositories"]["nodes"]), default="")


async def test_polling_alone_finds_a_new_version_and_the_digest_that_a_webhook_would_have_told(site: Site) -> None:
    await site.open(tells=False)
    await site.registry.push("1.0.0")
    devices = await site.devices(2)
    await site.policy(registry=MINUTELY)
    await asked(site)
    assert await site.rollouts() == []

    await site.registry.push("1.1.0")
    digest = await site.registry.push("2.0.0")
    await asked(site)

    await eventually(site.rollouts, [site.image("2.0.0", digest)])
    assert await site.completed(devices) == {site.image("2.0.0", digest)}


async def test_polling_alone_finds_that_a_moving_tag_has_moved_and_nothing_while_it_has_not(site: Site) -> None:
    await site.open(tells=False)
    first = site.image("latest", await site.registry.push("latest", "first"))
    devices = await site.devices(2, "latest")
    await site.policy(registry=MINUTELY)
    await asked(site)
    await eventually(site.rollouts, [first])
    await site.completed(devices)

    await site.registry.push("latest", "first")
    await asked(site)
    assert await site.rollouts() == [first]

    second = site.image("latest", await site.registry.push("latest", "second"))
    await asked(site)
    await eventually(site.rollouts, [first, second])
    assert await site.completed(devices, 2) == {second}


async def test_what_a_webhook_told_polling_does_not_tell_again(site: Site) -> None:
    await site.open()
    await site.devices()
    await site.policy(registry=MINUTELY)
    digest = await site.registry.push("2.0.0")
    await site.heard(1)

    await asked(site)

    await site.heard(1)
    assert await site.rollouts() == [site.image("2.0.0", digest)]


async def test_what_polling_found_a_late_webhook_does_not_start_again(site: Site) -> None:
    await site.open()
    await site.devices()
    await site.policy(registry=MINUTELY)
    await hear(site, "disable")
    digest = await site.registry.push("2.0.0")
    await asked(site)
    await eventually(site.rollouts, [site.image("2.0.0", digest)])
    assert (await site.registry.told()).refused > 0

    await hear(site, "enable")

    found, told = await site.heard(2)
    assert (found["started"], told["started"]) == (True, False)
    assert told["sentence"] == "this release is known: rollout 1"
    assert await site.rollouts() == [site.image("2.0.0", digest)]


async def hear(site: Site, how: str) -> None:
    """Enable the registry's endpoint, or disable it: the registry keeps what it has to tell."""
    await site.api.change(f"{how}WebhookEndpoint", id=site.endpoint)


async def test_trying_a_policy_tells_of_every_tag_that_the_registry_has_and_changes_nothing(site: Site, db: Database) -> None:
    await site.open(tells=False)
    await site.devices(2)
    policy = await site.policy(registry=MINUTELY, tags={"range": "1.x"})
    digests = {tag: await site.registry.push(tag) for tag in ("1.0.0", "1.1.0", "1.2.0-rc.1", "2.0.0", "nightly")}
    before = await everything(db)

    tried = await site.tried(policy)

    assert await everything(db) == before
    assert (tried["image"], tried["wouldStart"]) == (site.image("1.1.0", digests["1.1.0"]), True)
    assert {verdict["tag"]: verdict["whyNot"] for verdict in tried["tags"]} == {
        "1.1.0": None,
        "1.0.0": "1.1.0 is newer",
        "1.2.0-rc.1": "1.2.0-rc.1 is a prerelease; the policy takes releases only",
        "2.0.0": "2.0.0 is outside 1.x",
        "nightly": "nightly is not a version",
    }
