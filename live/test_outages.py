"""A docker-registry that is not there when somebody says what was pushed to it."""

from live.site import Site
from tests.api import eventually


async def test_a_version_goes_by_its_tag_once_its_registry_has_been_away_for_a_minute(site: Site) -> None:
    await site.open(tells=False)
    devices = await site.devices()
    await site.policy()
    await site.registry.push("2.0.0")
    await site.registry.stop()

    await site.says("2.0.0")
    away = f"{site.registry.host} cannot be reached: Connection refused"
    soon = "a minute after it was pushed it goes by its tag"
    await eventually(site.waits_for, f"policy 1: its digest is not known: {away}; {soon}")
    site.clock.advance(seconds=70)

    [decision] = await site.heard(1)
    assert decision["sentence"] == f"started rollout 1, by its tag: {away}"
    assert await site.completed(devices) == {site.image("2.0.0")}


async def test_a_version_is_pinned_after_all_if_its_registry_is_back_within_the_minute(site: Site) -> None:
    await site.open(tells=False)
    await site.devices()
    await site.policy()
    digest = await site.registry.push("2.0.0")
    await site.registry.stop()
    await site.says("2.0.0")
    await eventually(lambda: waits(site), True)

    await site.registry.start()
    site.clock.advance(seconds=10)

    [decision] = await site.heard(1)
    assert (decision["image"], decision["started"]) == (site.image("2.0.0", digest), True)


async def test_a_moving_tag_waits_for_its_registry_however_long_and_is_pinned_when_it_is_back(site: Site) -> None:
    await site.open(tells=False)
    devices = await site.devices(2, "latest")
    await site.policy()
    digest = await site.registry.push("latest")
    await site.registry.stop()
    await site.says("latest")
    for _ in range(3):
        await looked_at_later(site)
    assert await site.rollouts() == []

    await site.registry.start()
    site.clock.advance(hours=3)

    [decision] = await site.heard(1)
    assert (decision["image"], decision["started"]) == (site.image("latest", digest), True)
    assert await site.completed(devices) == {site.image("latest", digest)}


async def looked_at_later(site: Site) -> None:
    """Wait until it waits, let hours pass, and wait until it was looked at and waits again."""
    await eventually(lambda: waits(site), True)
    before = (await site.pushes())[-1]["dueAt"]
    site.clock.advance(hours=3)

    async def is_put_off() -> bool:
        return bool((await site.pushes())[-1]["dueAt"] > before)

    await eventually(is_put_off, True)
    assert await waits(site)


async def waits(site: Site) -> bool:
    return await site.waits_for() is not None
