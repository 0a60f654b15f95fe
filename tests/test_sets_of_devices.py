"""What is nested under devices, fleets, deliveries and pushes is read for many in as many statements as for one, and says the same."""

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from typing import Any, TypeVar

import pytest

from domain.actors import Actor
from domain.endpoints import Scheme, Sender
from domain.errors import Forbidden
from domain.fleet import DeviceFilter, DeviceOrder, OrderBy, Place
from domain.ids import DeliveryId, DeviceId, EndpointId, PolicyId, ProvisioningKeyId, PushId, RolloutId
from domain.images import Image
from domain.provisioning import Wanted
from monitor.intake import take_in
from registries.webhooks import Received
from resolvers import aside, deliveries, devices, endpoints, fleet, policies, provisioning, pushes, rollouts
from resolvers.context import Context
from storage import deliveries as stored_deliveries
from storage import members, selecting, targets
from storage import policies as stored_policies
from storage import provisioning as stored_keys
from storage import pushes as stored_pushes
from storage import rollouts as stored_rollouts
from storage.connection import Connection
from storage.selecting import Shared
from tests.clock import MovableClock
from tests.factories import a_policy, a_rollout, at
from tests.field import Field
from tests.fuses import Fuse, an_instance
from tests.looking import read_by
from tools.crowd import crowd
from tools.pushing import pushed

LAST = 2**62
ALL, BY_ID = DeviceFilter(), DeviceOrder()
Key = TypeVar("Key")
Value = TypeVar("Value")
FLEETS: Sequence[str | None] = ("a", "b", "nobody's", None)
REPOSITORIES = ("docker.io/library/nginx", "docker.io/library/redis", "docker.io/library/nothing")
ORDERS = [DeviceOrder(by, is_descending) for by, is_descending in product(OrderBy, (False, True))]


@dataclass(frozen=True)
class World:
    """Who is in it, and some who are not."""

    devices: tuple[DeviceId, ...]
    rollouts: tuple[RolloutId, ...]
    endpoints: tuple[EndpointId, ...]
    deliveries: tuple[DeliveryId, ...]
    pushes: tuple[PushId, ...]
    keys: tuple[ProvisioningKeyId, ...]


@pytest.fixture
async def world(field: Field) -> World:
    """Devices of two fleets and of none, in several rollouts, of which some are told of again; some pinned, held, failing, silent."""
    operator = field.operator
    some = [*await crowd(operator.db, 3, fleet="a"), *await crowd(operator.db, 2, fleet="b"), *await crowd(operator.db, 2)]
    some += await crowd(operator.db, 1, "redis:7", fleet="b", awake=False)
    await aside.pin(operator, await field.uuid(some[1]), "a spare")
    await aside.hold(operator, await field.uuid(some[6]), await at(operator.db) + timedelta(days=1), None)
    keys = await _keys(operator, some)
    for name in ("a", None, None):
        await a_policy(operator, fleet=name, update_strategy="auto", image_pattern="nginx*" if name else "*")
    ports = [await _endpoint(operator, number) for number in range(3)]
    posted = [await _posted(operator, ports[0], "1", "nginx:2.0.0", "redis:8")]
    await field.later(seconds=1)
    await field.obey(some[:2])
    await field.fails(some[3])
    posted += [await _posted(operator, port, key, "nginx:2.0.0") for port, key in ((ports[0], "2"), (ports[1], "1"))]
    await pushed(operator, "nginx:3.0.0")
    await field.later(seconds=1)
    seen = [rollout.id for rollout in await rollouts.page(operator, RolloutId(LAST), 100)]
    told = [push.id for push in await pushes.page(operator, PushId(LAST), 100)]
    return World(
        (*some, DeviceId(999)), (*seen, RolloutId(999)), (*ports, EndpointId(999)), (*posted, DeliveryId(999)), (*told, PushId(999)), keys
    )


async def _keys(operator: Context, some: Sequence[DeviceId]) -> tuple[ProvisioningKeyId, ...]:
    made = [(await provisioning.create(operator, Wanted(f"key {name}", name)))[0].id for name in ("a", "b", "a", None)]
    async with operator.db.transaction() as conn:
        await conn.execute("update devices set provisioning_key_id = $2 where id = any ($1)", some[:3], made[0])
        await conn.execute("update devices set provisioning_key_id = $2 where id = any ($1)", some[3:5], made[1])
    return (*made, ProvisioningKeyId(999))


async def _endpoint(operator: Context, number: int) -> EndpointId:
    endpoint, _ = await endpoints.create(operator, endpoints.Wanted(f"ci {number}", Sender.GENERIC, Scheme.PATH))
    return endpoint.id


async def _posted(operator: Context, endpoint: EndpointId, key: str, *images: str) -> DeliveryId:
    received = Received(Sender.GENERIC, tuple(map(Image.parse, images)), key)
    receipt = await deliveries.receive(operator, received, await endpoints.one(operator, endpoint), {}, b"{}")
    await take_in(operator)
    return receipt.id


# For many as for one


Asked = Callable[[Context, Sequence[Any]], Awaitable[dict[Any, Any]]]


def asked(world: World) -> dict[str, tuple[Asked, Sequence[Any]]]:
    """Everything that can be asked of many, and of whom."""
    of_devices: dict[str, Asked] = {
        "devices": devices.many,
        "targets": devices.targets_of,
        "current states": devices.current_states_of,
        "asides": aside.of_devices,
        "differences": fleet.differences_of,
        "their keys": provisioning.of_devices,
        "places": lambda ctx, ids: devices.places_of(ctx, ids, RolloutId(LAST), 10),
        "how many places": devices.count_places_of,
    }
    of_fleets: dict[str, Asked] = {
        "fleets": fleet.by_names,
        "devices of fleets": lambda ctx, names: fleet.devices_of(ctx, names, ALL, BY_ID, None, 10),
        "how many devices": lambda ctx, names: fleet.count_devices_of(ctx, names, ALL),
        "policies": lambda ctx, names: fleet.policies_of(ctx, names, PolicyId(0), 10),
        "how many policies": fleet.count_policies_of,
        "rollouts": lambda ctx, names: fleet.rollouts_of(ctx, names, RolloutId(LAST), 10),
        "how many rollouts": fleet.count_rollouts_of,
        "keys of fleets": lambda ctx, names: fleet.provisioning_keys_of(ctx, names, ProvisioningKeyId(0), 10),
        "how many keys": fleet.count_provisioning_keys_of,
    }
    of_keys: dict[str, Asked] = {
        "keys": provisioning.many,
        "devices of keys": lambda ctx, keys: provisioning.devices_of(ctx, keys, ALL, BY_ID, None, 10),
        "how many devices of keys": lambda ctx, keys: provisioning.count_devices_of(ctx, keys, ALL),
    }
    of_endpoints: dict[str, Asked] = {
        "endpoints": endpoints.many,
        "deliveries of endpoints": lambda ctx, ids: deliveries.of_endpoints(ctx, ids, DeliveryId(LAST), 10),
        "how many deliveries": deliveries.count_of_endpoints,
    }
    of_rollouts: dict[str, Asked] = {
        "pushes of rollouts": lambda ctx, ids: pushes.of_rollouts(ctx, ids, PushId(LAST), 10),
        "how many pushes of rollouts": pushes.count_of_rollouts,
    }
    of_repositories: dict[str, Asked] = {
        "pushes of repositories": lambda ctx, names: pushes.of_repositories(ctx, names, PushId(LAST), 10),
        "how many pushes of repositories": pushes.count_of_repositories,
    }
    of_deliveries: dict[str, Asked] = {"deliveries": deliveries.many, "pushes of deliveries": pushes.of_deliveries}
    of_pushes: dict[str, Asked] = {"pushes": pushes.many, "decisions": pushes.decisions_of}
    everything: list[tuple[dict[str, Asked], Sequence[Any]]] = [
        (of_devices, world.devices),
        (of_fleets, FLEETS),
        (of_keys, world.keys),
        (of_endpoints, world.endpoints),
        (of_rollouts, world.rollouts),
        (of_repositories, REPOSITORIES),
        (of_deliveries, world.deliveries),
        (of_pushes, world.pushes),
    ]
    return {name: (ask, keys) for asks, keys in everything for name, ask in asks.items()}


async def test_of_many_the_same_is_said_as_of_each_alone_and_who_has_nothing_is_absent(
    operator: Context, world: World, clock: MovableClock
) -> None:
    clock.standing = await at(operator.db)
    for name, (ask, keys) in asked(world).items():
        together = await ask(operator, keys)
        alone = {key: value for one in keys for key, value in (await ask(operator, [one])).items()}

        assert together == alone, name
        assert together, name
        assert [] not in together.values() or name == "differences", name
        assert keys[-1] not in together or keys is FLEETS, name
        assert await ask(operator, []) == {}, name


async def test_a_hundred_take_as_many_statements_as_one(operator: Context, world: World, database_url: str, clock: MovableClock) -> None:
    async with an_instance(database_url, clock) as db:
        ctx = replace(operator, db=db)
        for name, (ask, keys) in asked(world).items():
            assert await statements(ask(ctx, keys[:1])) == await statements(ask(ctx, a_hundred(keys))) <= 4, name


async def statements(question: Awaitable[object]) -> int:
    """How many it takes to answer."""
    before = Fuse.statements
    await question
    return Fuse.statements - before


def a_hundred(keys: Sequence[Any]) -> list[Any]:
    """These, and others of which there is nothing."""
    others = (f"other {number}" if isinstance(keys[0], str) else 10_000 + number for number in range(100 - len(keys)))
    return [*keys, *others]


async def test_nothing_is_told_to_whoever_may_not_read(operator: Context, world: World) -> None:
    stranger = replace(operator, actor=Actor("stranger"))
    for ask, keys in asked(world).values():
        with pytest.raises(Forbidden):
            await ask(stranger, keys)
    with pytest.raises(Forbidden):
        await fleet.now(stranger)


# What belongs to whom


async def test_devices_are_found_by_their_uuids_however_they_are_written(field: Field) -> None:
    one, two = await field.devices(2)
    written = (await field.uuid(one)).upper()

    found = await devices.by_uuids(field.operator, [written, await field.uuid(two), "no uuid", "00000000-0000-0000-0000-000000000000"])

    assert {uuid: device.id for uuid, device in found.items()} == {written: one, await field.uuid(two): two}


async def test_a_device_has_the_places_that_its_rollouts_give_it(operator: Context, world: World) -> None:
    newest_first = [await rollouts.devices(operator, rollout, -1, 100) for rollout in world.rollouts]
    expected = by((member for some in newest_first for member in some), lambda member: member.device_id)

    assert await devices.places_of(operator, world.devices, RolloutId(LAST), 100) == expected
    assert await devices.count_places_of(operator, world.devices) == sizes(expected)
    assert max(sizes(expected).values()) > 1


@pytest.mark.parametrize("order", ORDERS, ids=str)
async def test_the_devices_of_fleets_are_paged_as_those_of_one(operator: Context, world: World, order: DeviceOrder) -> None:
    online = DeviceFilter(online=True)
    for name in ("a", "b"):
        place, read = None, []
        while page := (await fleet.devices_of(operator, FLEETS, online, order, place, 1)).get(name):
            read += page
            place = Place.of(page[-1], order)

        assert read == await fleet.page(operator, replace(online, fleet=name), order, None, 100)
    assert world.devices


async def test_devices_without_a_fleet_are_a_fleet_too(operator: Context, world: World) -> None:
    expected = by(await fleet.page(operator, ALL, BY_ID, None, 100), lambda device: device.fleet)

    assert await fleet.devices_of(operator, FLEETS, ALL, BY_ID, None, 100) == expected
    assert await fleet.count_devices_of(operator, FLEETS, ALL) == sizes(expected)
    found = await fleet.by_names(operator, FLEETS)
    assert {name: one.devices for name, one in found.items()} == sizes(expected)
    assert found.keys() == set(await fleet.names(operator))
    assert world.devices


async def test_the_policies_and_keys_of_a_fleet_are_those_that_name_it(operator: Context, world: World) -> None:
    every_policy = await policies.page(operator, PolicyId(0), 100)
    named = by((policy for policy in every_policy if policy.settings.fleet), lambda policy: policy.settings.fleet)
    keys = by(await provisioning.page(operator, ProvisioningKeyId(0), 100), lambda key: key.fleet)

    assert await fleet.policies_of(operator, FLEETS, PolicyId(0), 100) == named
    assert await fleet.count_policies_of(operator, FLEETS) == sizes(named)
    assert await fleet.provisioning_keys_of(operator, FLEETS, ProvisioningKeyId(0), 100) == keys
    assert await fleet.count_provisioning_keys_of(operator, FLEETS) == sizes(keys)
    await policies.delete(operator, named["a"][0].id)
    assert await fleet.policies_of(operator, FLEETS, PolicyId(0), 100) == {}
    assert await fleet.count_policies_of(operator, FLEETS) == {}
    assert world.keys


async def test_the_rollouts_of_a_fleet_are_those_that_do_not_leave_it_out(operator: Context, world: World) -> None:
    every = await rollouts.page(operator, RolloutId(LAST), 100)
    expected = {
        name: [one for one in every if one.fleet == name or (one.fleet is None and name not in one.except_fleets)] for name in FLEETS
    }

    assert await fleet.rollouts_of(operator, FLEETS, RolloutId(LAST), 100) == expected
    assert await fleet.count_rollouts_of(operator, FLEETS) == sizes(expected)
    assert {name: found[0] for name, found in (await fleet.rollouts_of(operator, FLEETS, RolloutId(LAST), 1)).items()} == {
        name: found[0] for name, found in expected.items()
    }
    assert expected["a"] != expected["b"]
    assert world.rollouts


async def test_a_key_has_the_devices_that_registered_with_it(operator: Context, world: World) -> None:
    first, second = world.devices[:3], world.devices[3:5]

    found = await provisioning.devices_of(operator, world.keys, ALL, BY_ID, None, 2)

    assert {key: [device.id for device in some] for key, some in found.items()} == {
        world.keys[0]: list(first[:2]),
        world.keys[1]: list(second),
    }
    assert await provisioning.count_devices_of(operator, world.keys, ALL) == {world.keys[0]: 3, world.keys[1]: 2}
    assert await provisioning.count_devices_of(operator, world.keys, DeviceFilter(search="device 2")) == {
        world.keys[0]: 1,
        world.keys[1]: 1,
    }
    of = await provisioning.of_devices(operator, world.devices)
    assert {device: key.id for device, key in of.items()} == {
        **dict.fromkeys(first, world.keys[0]), **dict.fromkeys(second, world.keys[1]),
    }  # fmt: skip


async def test_what_was_posted_belongs_to_its_endpoint_and_what_it_told_to_it(operator: Context, world: World) -> None:
    posted = by(await deliveries.page(operator, DeliveryId(LAST), 100), lambda delivery: delivery.endpoint_id)
    told = await pushes.page(operator, PushId(LAST), 100)
    of_repositories = by(told, lambda push: push.image.repository)
    of_deliveries = by((push for push in reversed(told) if push.delivery_id), lambda push: push.delivery_id)

    assert await deliveries.of_endpoints(operator, world.endpoints, DeliveryId(LAST), 100) == posted
    assert await deliveries.count_of_endpoints(operator, world.endpoints) == sizes(posted)
    assert await deliveries.of_endpoints(operator, world.endpoints, world.deliveries[1], 1) == {
        world.endpoints[0]: posted[world.endpoints[0]][1:]
    }
    assert await pushes.of_deliveries(operator, world.deliveries) == of_deliveries
    assert await pushes.of_repositories(operator, REPOSITORIES, PushId(LAST), 100) == of_repositories
    assert await pushes.count_of_repositories(operator, REPOSITORIES) == sizes(of_repositories)


async def test_a_rollout_points_back_to_the_pushes_that_started_it_or_belong_to_it(operator: Context, world: World) -> None:
    decided = await pushes.decisions_of(operator, world.pushes)
    told = await pushes.many(operator, world.pushes)
    expected = {
        rollout: [told[push] for push in sorted(decided, reverse=True) if any(of.rollout_id == rollout for of, _ in decided[push])]
        for rollout in world.rollouts[:-1]
    }

    assert await pushes.of_rollouts(operator, world.rollouts, PushId(LAST), 100) == expected
    assert await pushes.count_of_rollouts(operator, world.rollouts) == sizes(expected)
    busy = max(expected, key=lambda rollout: len(expected[rollout]))
    newest, next_one, *_ = expected[busy]
    assert await pushes.of_rollouts(operator, [busy], newest.id, 1) == {busy: [next_one]}


def by(found: Iterable[Value], key: Callable[[Value], Key]) -> dict[Key, list[Value]]:
    """What was found, by what it belongs to."""
    belonging: dict[Key, list[Value]] = defaultdict(list)
    for value in found:
        belonging[key(value)].append(value)
    return dict(belonging)


def sizes(found: Mapping[Key, Sized]) -> dict[Key, int]:
    return {key: len(some) for key, some in found.items()}


# With a hundred thousand of them


MANY = """
    insert into provisioning_keys (hash, name, fleet, created_at)
    select n::text::bytea, 'key ' || n, case when n < 6 then 'quiet' else 'busy' end, now() from generate_series(1, 10000) n;
    insert into devices (uuid, name, type, fleet, created_at, last_seen_at, provisioning_key_id)
    select gen_random_uuid(), 'device ' || n, 'pi4', case when n > 99990 then 'quiet' when n > 10 then 'busy' end, now(), now(),
           case when n > 99990 then 2 else 1 end
      from generate_series(1, 100000) n;
    insert into targets (device_id, apps, config, version, updated_at) select id, '{}', '{}', 1, now() from devices where id > 1;
    insert into services (device_id, app, service, repository, image)
    select id, '1', 'web', 'docker.io/library/nginx', 'docker.io/library/nginx:1.0.0' from devices where id > 1;
    insert into current_states (device_id, apps, info, reported_at) select id, '{}', '{}', now() from devices;
    insert into policies (settings, created_at, updated_at)
    select jsonb_set(settings, '{fleet}', to_jsonb(case when n < 6 then 'quiet' else 'busy' end)), created_at, updated_at
      from policies, generate_series(1, 2000) n;
    insert into rollouts (policy_id, release_id, repository, image, repositories, fleet, except_fleets, by_hand, plan, soaks, deadline,
                          health_check_enabled, status, stages, stage, size, frontier, reached, revision, created_at, moved_at)
    select policy_id, release_id, repository, image, repositories, case when n < 6 then 'quiet' else 'busy' end, '{}', by_hand, plan, soaks,
           deadline, health_check_enabled, 'completed', '{20}', 0, 20, 20, 20, 1, created_at, moved_at
      from rollouts, generate_series(1, 5000) n;
    insert into members (rollout_id, rank, device_id, repository, live)
    select r.id, n, (r.id * 20 + n) % 100000 + 1, 'docker.io/library/nginx', false from rollouts r, generate_series(0, 19) n where r.id > 1;
    insert into webhook_endpoints (name, sender, scheme, repositories, created_at, rotated_at)
    select 'one', 'generic', 'path', '{}', now(), now() from generate_series(1, 2);
    insert into deliveries (endpoint_id, sender, key, headers, body, received_at, last_at)
    select case when n > 10 then 1 else 2 end, 'generic', n, '{}', 'x', now(), now() from generate_series(1, 100000) n;
    insert into pushes (delivery_id, source, repository, image, first_at, heard_at)
    select id, 'generic', case when id > 10 then 'busy' else 'quiet' end, 'docker.io/library/nginx:1.' || id, received_at, received_at
      from deliveries order by id;
    insert into decisions (push_id, policy_id, rollout_id, round, image, started, decision, at)
    select id, 1, case when delivery_id > 10 then 1 else 2 end, 1, image, false, 'said before', heard_at
      from pushes where delivery_id is not null order by id;
"""


@pytest.fixture
async def many(operator: Context) -> AsyncIterator[Connection]:
    """Nearly all belongs to one, and ten or fewer, the first there were or the last, to another."""
    await a_rollout(operator, 1)
    async with operator.db.transaction() as conn:
        await conn.execute(MANY)
    async with operator.db.reading() as conn:
        await conn.execute("vacuum analyze")
    async with operator.db.transaction() as conn:
        yield conn


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
async def test_a_page_of_each_is_read_and_nothing_beside(many: Connection, operator: Context, plans: str) -> None:
    await many.execute(f"set local plan_cache_mode = {plans}")
    conn, now, two = many, await operator.db.now(many), ("busy", "quiet")
    some = [DeviceId(number) for number in range(50_000, 50_010)]
    keys, ports = [ProvisioningKeyId(1), ProvisioningKeyId(2)], [EndpointId(1), EndpointId(2)]
    asked: dict[str, Awaitable[object]] = {
        "targets": targets.many(conn, some),
        "places": members.of_devices(conn, some, RolloutId(LAST), 51, now),
        "how many places": members.count_of_devices(conn, some),
        "keys of devices": stored_keys.of_devices(conn, some),
        "devices of fleets": selecting.pages(conn, Shared.FLEET, [*two, None], ALL, BY_ID, None, 51, now),
        "the newest": selecting.pages(conn, Shared.FLEET, [*two, None], ALL, DeviceOrder(is_descending=True), None, 51, now),
        "further on": selecting.pages(conn, Shared.FLEET, two, ALL, BY_ID, Place(DeviceId(50_000), None), 51, now),
        "devices of keys": selecting.pages(conn, Shared.PROVISIONING_KEY, keys, ALL, BY_ID, None, 51, now),
        "policies": stored_policies.of_fleets(conn, two, PolicyId(0), 51),
        "rollouts": stored_rollouts.of_fleets(conn, two, RolloutId(LAST), 51),
        "keys of fleets": stored_keys.of_fleets(conn, [*two, None], ProvisioningKeyId(0), 51),
        "deliveries": stored_deliveries.of_endpoints(conn, ports, DeliveryId(LAST), 51),
        "pushes of deliveries": stored_pushes.of_deliveries(conn, [DeliveryId(number) for number in range(500, 550)]),
        "decisions": stored_pushes.decisions_of(conn, [PushId(number) for number in range(500, 550)]),
        "pushes of rollouts": stored_pushes.of_rollouts(conn, [RolloutId(1), RolloutId(2)], PushId(LAST), 51),
        "pushes of repositories": stored_pushes.of_repositories(conn, two, PushId(LAST), 51),
    }

    looked = {name: await read_by(conn, question) for name, question in asked.items()}

    assert {name: rows for name, rows in looked.items() if rows > 250} == {}
