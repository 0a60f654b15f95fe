"""Lists of what there is: those that have something in common, and how many they are."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.actors import Actor
from domain.catalogue import KnownImageFilter, Standing
from domain.deliveries import DeliveryFilter
from domain.endpoints import Sender
from domain.errors import Forbidden
from domain.ids import DeliveryId, EndpointId, PolicyId, PushId, RolloutId
from domain.images import Image
from domain.policies import PolicyFilter
from domain.provisioning import Wanted as WantedKey
from domain.pushes import PushFilter
from domain.requests import Request
from domain.rollouts import RolloutFilter
from domain.statuses import Status
from monitor.intake import take_in
from registries.webhooks import Received
from resolvers import catalogue, deliveries, endpoints, images, policies, provisioning, pushes, repositories, rollouts
from resolvers.context import Context
from resolvers.endpoints import Wanted as WantedEndpoint
from tests.clock import MovableClock
from tests.factories import a_policy, at
from tools.crowd import crowd

NEWEST = 2**62
DIGEST, ANOTHER = ("sha256:" + letter * 64 for letter in "ab")


async def test_policies_by_what_they_have_in_common(operator: Context) -> None:
    await a_policy(operator)
    await a_policy(operator, image_pattern="ghcr.io/acme/App*".lower(), fleet="hall")
    await a_policy(operator, image_pattern="redis*", enabled=False)
    await policies.delete(operator, (await a_policy(operator, image_pattern="redis*")).id)

    async def found(**wanted: Any) -> list[int]:
        listed: list[int] = [policy.id for policy in await policies.page(operator, PolicyId(0), 10, PolicyFilter(**wanted))]
        assert await policies.count(operator, PolicyFilter(**wanted)) == len(listed)
        return listed

    assert await found() == [1, 2, 3]
    assert (await found(enabled=True), await found(enabled=False)) == ([1, 2], [3])
    assert (await found(fleet="hall"), await found(search="ACME")) == ([2], [2])
    assert (await found(deleted=True), await found(deleted=None)) == ([4], [1, 2, 3, 4])
    assert await found(search="%", enabled=True) == []
    assert [policy.id for policy in await policies.page(operator, PolicyId(1), 1)] == [2]


async def test_rollouts_by_what_they_have_in_common(operator: Context, clock: MovableClock) -> None:
    await crowd(operator.db, 2)
    await crowd(operator.db, 2, "ghcr.io/acme/app:1", fleet="hall")
    first, second = await a_policy(operator), await a_policy(operator, image_pattern="ghcr.io/acme/**", fleet="hall")
    await images.create_rollout(operator, first.id, "nginx:2.0.0")
    await rollouts.request(operator, RolloutId(1), Request.CANCEL)
    clock.advance(hours=1)
    later = await at(operator.db)
    await images.create_rollout(operator, first.id, "nginx:3.0.0")
    await images.create_rollout(operator, second.id, "ghcr.io/acme/app:2")

    async def found(**wanted: Any) -> list[int]:
        listed: list[int] = [rollout.id for rollout in await rollouts.page(operator, RolloutId(NEWEST), 10, RolloutFilter(**wanted))]
        assert await rollouts.count(operator, RolloutFilter(**wanted)) == len(listed)
        return listed

    assert await found() == [3, 2, 1]
    assert (await found(statuses=(Status.CANCELLED,)), await found(statuses=())) == ([1], [])
    assert (await found(policy=first.id), await found(fleet="hall"), await found(search="ACME/app")) == ([2, 1], [3], [3])
    assert (await found(since=later), await found(until=later)) == ([3, 2], [1])
    assert await found(policy=first.id, search=":3.0") == [2]


async def test_deliveries_and_pushes_by_what_they_have_in_common(operator: Context, clock: MovableClock) -> None:
    endpoint, _ = await endpoints.create(operator, WantedEndpoint("ci", Sender.GENERIC))
    harbor, _ = await endpoints.create(operator, WantedEndpoint("harbor", Sender.HARBOR))
    for number, (sender, by) in enumerate([(Sender.GENERIC, endpoint), (Sender.HARBOR, harbor), (Sender.GENERIC, None)]):
        clock.advance(hours=1)
        await deliveries.receive(operator, Received(sender, (Image.parse(f"ghcr.io/acme/app{number}:1"),), str(number)), by, {}, b"")
    last = await at(operator.db) - timedelta(minutes=1)

    async def posted(**wanted: Any) -> list[int]:
        listed: list[int] = [one.id for one in await deliveries.page(operator, DeliveryId(NEWEST), 10, DeliveryFilter(**wanted))]
        assert await deliveries.count(operator, DeliveryFilter(**wanted)) == len(listed)
        return listed

    async def told(**wanted: Any) -> list[int]:
        listed: list[int] = [one.id for one in await pushes.page(operator, PushId(NEWEST), 10, PushFilter(**wanted))]
        assert await pushes.count(operator, PushFilter(**wanted)) == len(listed)
        return listed

    assert await posted() == [3, 2, 1]
    assert (await posted(endpoint=endpoint.id), await posted(endpoint=EndpointId(9))) == ([1], [])
    assert (await posted(sender="generic"), await posted(since=last)) == ([3, 1], [3])
    assert await posted(endpoint=endpoint.id, since=last) == []
    assert (await told(waiting=True), await told(waiting=False)) == ([3, 2, 1], [])
    await take_in(operator)
    assert (await told(waiting=True), await told(waiting=False)) == ([], [3, 2, 1])
    assert (await told(repository="ghcr.io/acme/app1"), await told(source="harbor"), await told(since=last)) == ([2], [2], [3])


async def test_what_is_known_of_images_and_how_many_keys_and_endpoints_there_are(operator: Context) -> None:
    for name, verdict in [("nginx:1", Standing.APPROVED), ("nginx:2", Standing.REJECTED), ("redis:7", Standing.APPROVED)]:
        await catalogue.judge(operator, name, verdict, None)
    nginx, approved = KnownImageFilter(repository=Image.parse("nginx").repository), KnownImageFilter(Standing.APPROVED)

    assert [known.id for known in await catalogue.page(operator, NEWEST, 10, nginx)] == [2, 1]
    assert [await catalogue.count(operator, wanted) for wanted in (KnownImageFilter(), nginx, approved)] == [3, 2, 2]
    assert (await endpoints.count(operator), await provisioning.count(operator)) == (0, 0)
    await provisioning.create(operator, WantedKey("hall"))
    made, _ = await endpoints.create(operator, WantedEndpoint("ci", Sender.GENERIC))
    assert (await endpoints.count(operator), await provisioning.count(operator)) == (1, 1)
    await endpoints.delete(operator, made.id)
    assert await endpoints.count(operator) == 0


async def test_repositories_are_known_from_devices_pushes_and_operators_each_once(operator: Context) -> None:
    await crowd(operator.db, 5)
    await crowd(operator.db, 5, "ghcr.io/acme/app:1")
    await hear(operator, "ghcr.io/acme/app:2", "quay.io/acme/tool:1")
    await catalogue.judge(operator, "redis", Standing.APPROVED, None)
    known = ["docker.io/library/nginx", "docker.io/library/redis", "ghcr.io/acme/app", "quay.io/acme/tool"]

    assert await repositories.page(operator, "", 10) == known
    assert await repositories.page(operator, known[0], 2) == known[1:3]
    assert await repositories.page(operator, known[-1], 2) == []
    assert await repositories.page(operator, "", 10, "ACME") == known[2:]
    assert (await repositories.count(operator), await repositories.count(operator, "acme")) == (4, 2)


async def test_tags_that_were_told_are_listed_with_what_they_last_stood_for(operator: Context, clock: MovableClock) -> None:
    app = "ghcr.io/acme/app"
    await hear(operator, f"{app}:1@{DIGEST}", f"{app}:2", "ghcr.io/acme/other:9")
    first = await at(operator.db)
    clock.advance(hours=1)
    await hear(operator, f"{app}:1@{ANOTHER}", f"{app}@{DIGEST}")

    one, two = (await repositories.tags_of(operator, [app], "", 10))[app]

    assert (one.tag, one.digest, two.tag, two.digest) == ("1", ANOTHER, "2", None)
    assert one.first_at <= first < one.heard_at
    assert two.first_at == two.heard_at
    assert [tag.tag for tag in (await repositories.tags_of(operator, [app], "1", 1))[app]] == ["2"]
    assert await repositories.tags_of(operator, ["ghcr.io/acme/nothing"], "", 10) == {}
    assert await repositories.count_tags_of(operator, [app, "ghcr.io/acme/nothing"]) == {app: 2}
    assert await repositories.many_tags(operator, [(app, "2"), (app, "3")]) == {(app, "2"): two}


async def test_who_may_not_read_is_shown_no_list(operator: Context) -> None:
    stranger = replace(operator, actor=Actor("device"))
    for refused in (
        policies.count(stranger), rollouts.count(stranger), deliveries.count(stranger), pushes.count(stranger), catalogue.count(stranger),
        endpoints.count(stranger), provisioning.count(stranger), repositories.page(stranger, "", 1), repositories.count(stranger),
        repositories.tags_of(stranger, ["nginx"], "", 1),
    ):  # fmt: skip
        with pytest.raises(Forbidden):
            await refused


async def hear(ctx: Context, *some: str) -> None:
    """Somebody says that these were pushed."""
    told = tuple(map(Image.parse, some))
    await deliveries.receive(ctx, Received(Sender.GENERIC, told, some[0]), None, {}, b"")
