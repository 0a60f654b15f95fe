"""Finding devices by what they have in common, in pages of any order, and seeing where they are not as they should be."""

import base64
import random
from typing import Any

import pytest

from domain.aside import AsideKind
from domain.devices import CurrentState
from domain.differences import Difference, DifferenceKind, differences
from domain.fleet import DeviceFilter, DeviceOrder, DeviceStanding, OrderBy, Place, Told
from domain.ids import DeviceId
from domain.images import Image
from domain.selectors import Selector
from domain.targets import Target
from resolvers import aside, fleet
from resolvers.context import Context
from tests.api import Api, eventually, web
from tests.clock import MovableClock
from tests.factories import a_policy, at
from tests.field import Field
from tools.crowd import crowd
from tools.pushing import pushed

LISTED = """query ($filter: DeviceFilterInput, $by: DeviceOrderBy! = REGISTERED, $direction: OrderDirection! = ASCENDING, $first: Int! = 50,
                   $after: String) {
              devices(filter: $filter, orderBy: {by: $by, direction: $direction}, first: $first, after: $after) {
                nodes { uuid name } edges { cursor } pageInfo { hasNextPage endCursor } } }"""


async def _found(ctx: Context, **wanted: Any) -> list[DeviceId]:
    found = await fleet.page(ctx, DeviceFilter.of(**wanted), DeviceOrder(), None, 1000)
    assert await fleet.count(ctx, DeviceFilter.of(**wanted)) == len(found)
    return [device.id for device in found]


async def test_devices_are_found_by_their_fleet_and_labels(field: Field) -> None:
    plant = await crowd(field.operator.db, 2, fleet="plant-a")
    edge, lab = await field.devices(2, tier="edge", site="berlin"), await field.devices(1, tier="lab")

    assert await _found(field.operator) == [*plant, *edge, *lab]
    assert await _found(field.operator, fleet="plant-a") == plant
    assert await _found(field.operator, fleet="plant-z") == []
    assert await _found(field.operator, selector="tier=edge, site") == edge
    assert await _found(field.operator, selector="tier!=edge") == [*plant, *lab]
    assert await _found(field.operator, selector="tier", fleet="plant-a") == []


async def test_devices_are_found_by_whether_they_were_heard_of_lately(operator: Context, clock: MovableClock) -> None:
    silent = await crowd(operator.db, 1)
    never = await crowd(operator.db, 1, awake=False)
    clock.advance(minutes=9)
    awake = await crowd(operator.db, 1)

    assert await _found(operator, online=True) == awake
    assert await _found(operator, online=False) == [*silent, *never]


async def test_devices_are_found_by_part_of_their_name_or_the_beginning_of_their_uuid(field: Field) -> None:
    devices = await crowd(field.operator.db, 12)
    uuid = await field.uuid(devices[4])
    async with field.operator.db.transaction() as conn:
        await conn.execute("update devices set name = $2 where id = $1", devices[0], "Presse 100 %_ \\ Süd")

    assert await _found(field.operator, search="DEVICE 1") == devices[9:]  # 10, 11, 12
    assert await _found(field.operator, search=uuid[:13].upper()) == [devices[4]]
    assert await _found(field.operator, search=uuid[9:13]) == []
    for text in ("100 %_", "\\", "süd", "presse"):
        assert await _found(field.operator, search=text) == devices[:1], text


async def test_devices_are_found_by_the_image_they_are_told_to_run_rollouts_included(field: Field) -> None:
    digest = "sha256:" + "a" * 64
    pinned = await crowd(field.operator.db, 1, f"nginx:1.26@{digest}")
    moved, kept = await crowd(field.operator.db, 1, "nginx:1.0.0", fleet="a"), await crowd(field.operator.db, 1, "nginx:1.0.0", fleet="b")
    redis = await crowd(field.operator.db, 1, "redis:7")
    await a_policy(field.operator, fleet="a", update_strategy="auto")
    await pushed(field.operator, "nginx:2.0.0")
    await field.later(seconds=1)

    assert await _found(field.operator, told="nginx") == [*pinned, *moved, *kept]
    assert await _found(field.operator, told="nginx:2.0.0") == moved
    assert await _found(field.operator, told="docker.io/library/nginx:1.0.0") == kept
    assert await _found(field.operator, told="nginx:1.26") == await _found(field.operator, told=f"nginx@{digest}") == pinned
    assert await _found(field.operator, told=f"nginx:1.27@{digest}") == []
    assert await _found(field.operator, told="redis") == redis
    assert Told.parse("nginx:latest") == Told("docker.io/library/nginx", "latest", None)


async def test_devices_are_found_by_how_they_stand(field: Field, clock: MovableClock) -> None:
    free, waiting, revoked, held, pinned = await crowd(field.operator.db, 5)
    async with field.operator.db.transaction() as conn:
        await conn.execute("update devices set is_waiting = true where id = any ($1)", [waiting, revoked])
        await conn.execute("update devices set revoked_at = now() where id = $1", revoked)
        clock.advance(minutes=1)
    await aside.hold(field.operator, await field.uuid(held), (await at(field.operator.db)).replace(year=2100 - 70), None)
    await aside.pin(field.operator, await field.uuid(pinned), None)

    assert await _found(field.operator, standing=DeviceStanding.ACCEPTED) == [free, held, pinned]
    assert await _found(field.operator, standing=DeviceStanding.WAITING) == [waiting]
    assert await _found(field.operator, standing=DeviceStanding.REVOKED) == [revoked]
    assert await _found(field.operator, set_aside=AsideKind.HELD) == [held]
    assert await _found(field.operator, set_aside=AsideKind.PINNED) == [pinned]
    clock.advance(days=3650)
    assert await _found(field.operator, set_aside=AsideKind.HELD) == []


@pytest.mark.parametrize("by", list(OrderBy))
@pytest.mark.parametrize("is_descending", [False, True])
async def test_pages_of_any_order_make_the_whole_list_each_device_once(operator: Context, by: OrderBy, is_descending: bool) -> None:
    dice, order = random.Random(f"{by}{is_descending}"), DeviceOrder(by, is_descending)
    await crowd(operator.db, 40)
    async with operator.db.transaction() as conn:
        for device in range(1, 41):
            name = dice.choice(["press", "Press", "ärmel", "zoo", "", "Ärmel"])
            seen = dice.choice([None, await operator.db.now(conn)])
            await conn.execute("update devices set name = $2, last_seen_at = $3 where id = $1", device, name, seen)

    whole = await fleet.page(operator, DeviceFilter(), order, None, 100)
    read: list[Any] = []
    while part := await fleet.page(operator, DeviceFilter(), order, Place.of(read[-1], order) if read else None, 7):
        read += part

    assert read == whole
    assert len({device.id for device in whole}) == 40
    keys = [(device.last_seen_at is not None, device.last_seen_at) for device in whole]
    if by is OrderBy.LAST_SEEN:
        assert [key[0] for key in keys] == sorted([key[0] for key in keys], reverse=is_descending)
    if by is OrderBy.REGISTERED:
        assert [device.id for device in whole] == sorted([device.id for device in whole], reverse=is_descending)
    if by is OrderBy.NAME:
        assert [device.name.lower() for device in whole if device.name.isascii()] == sorted(
            [device.name.lower() for device in whole if device.name.isascii()], reverse=is_descending
        )


async def test_the_index_on_labels_finds_a_few_among_many(operator: Context) -> None:
    await crowd(operator.db, 20_000)
    async with operator.db.transaction() as conn:
        await conn.execute("update devices set labels = jsonb_build_object('site', 'site ' || id % 2000, 'tier', 'edge')")
        await conn.execute("analyze devices")
        selector = {"text": "", "path": " && ".join(term.path for term in Selector.parse("site='site 7', tier in (edge, lab)").terms)}
        plan = await conn.fetch("explain select * from devices d where selects($1::jsonb, d.labels)", selector)
    assert "devices_by_labels" in str(plan)


# What clients see


async def test_a_cursor_belongs_to_its_order_and_nonsense_is_refused(api: Api) -> None:
    await api.devices("nginx:1.26", "nginx:1.26")
    page = (await api.graphql(LISTED, by="NAME", direction="DESCENDING", first=1))["devices"]
    after = page["pageInfo"]["endCursor"]

    assert (len(page["nodes"]), page["pageInfo"]["hasNextPage"]) == (1, True)
    assert len((await api.graphql(LISTED, by="NAME", direction="DESCENDING", after=after))["devices"]["nodes"]) == 1
    for by, direction, order in (("NAME", "ASCENDING", "name"), ("LAST_SEEN", "DESCENDING", "last_seen descending")):
        assert await api.refused(LISTED, by=by, direction=direction, after=after) == (
            "BAD_USER_INPUT",
            f"after: this cursor is of a list ordered by name descending, and this one is ordered by {order}: begin at its beginning",
        )
    for text in (
        "", "1:1", "2:name", "2:name:x:y", "2:nothing:1:", "3:name:1:a", f"2:name:{2**63}:a", "2:name:1:\0", "2:name:-1:a",
        "2:last_seen:1:yesterday", "2:last_seen:1:2020-01-01T00:00:00", "2:last_seen:1:0001-01-01T00:00:00+14:00",
    ):  # fmt: skip
        cursor = base64.urlsafe_b64encode(text.encode()).decode()
        by = "LAST_SEEN" if "last_seen" in text else "NAME"
        refused = await api.refused(LISTED, by=by, after=cursor)
        assert refused == ("BAD_USER_INPUT", "after: this is not a cursor that was handed out here"), text


async def test_a_filter_that_makes_no_sense_is_refused_by_name(api: Api) -> None:
    for wanted, words in (
        ({"selector": "tier in"}, "selector, character 8: expected “(”"),
        ({"selector": ""}, "a selector says something"),
        ({"search": ""}, "search: 1 to 255 characters"),
        ({"search": "x" * 256}, "search: 1 to 255 characters"),
        ({"runs": "http://x"}, "scheme"),
    ):
        code, sentence = await api.refused(LISTED, filter=wanted)
        assert (code, words in sentence) == ("BAD_USER_INPUT", True), sentence
    assert (await api.stranger().refused(LISTED))[0] == "UNAUTHENTICATED"
    assert (await api.stranger().refused("{ fleets { nodes { name } } }"))[0] == "UNAUTHENTICATED"


async def test_devices_and_fleets_are_counted(api: Api) -> None:
    [agent] = await api.devices("nginx:1.26", fleet="plant-a")
    await api.devices("nginx:1.26", "nginx:1.27", first=2)
    await agent.poll()

    async def counted() -> Any:
        return await api.graphql(
            """{ all: devices(first: 1) { totalCount nodes { uuid } } some: devices(filter: {runs: "nginx:1.26"}) { totalCount }
                 fleets { nodes { name deviceCount onlineCount } totalCount } }"""
        )

    wanted = {
        "all": {"totalCount": 3, "nodes": [{"uuid": agent.uuid}]},
        "some": {"totalCount": 2},
        "fleets": {
            "nodes": [{"name": None, "deviceCount": 2, "onlineCount": 0}, {"name": "plant-a", "deviceCount": 1, "onlineCount": 1}],
            "totalCount": 2,
        },
    }
    await eventually(counted, wanted)


async def test_a_device_shows_where_it_is_not_as_it_should_be(api: Api) -> None:
    agent = await api.device("00000000-0000-4000-8000-000000000001", web("nginx:1.26"))
    asked = """query ($uuid: UUID!) { device(uuid: $uuid) { inSync differences { app service kind wanted running status } } }"""

    async def shown() -> Any:
        return (await api.graphql(asked, uuid=agent.uuid))["device"]

    missing = {"app": "1001", "service": "web", "kind": "MISSING", "wanted": "nginx:1.26", "running": None, "status": None}
    assert await shown() == {"inSync": False, "differences": [missing]}
    await agent.report("nginx:1.25")
    await eventually(
        shown, {"inSync": False, "differences": [{**missing, "kind": "OTHER_IMAGE", "running": "nginx:1.25", "status": "running"}]}
    )
    await agent.report("nginx:1.26")
    await eventually(shown, {"inSync": True, "differences": []})


# What differs


def _target(**images: str) -> Target:
    services = [{"serviceName": name, "imageName": image, "config": {"image": image}} for name, image in images.items()]
    return Target("uuid", {"1": {"services": services}}, {}, 1, False)


def _state(**services: tuple[str, str]) -> CurrentState:
    shown = [{"serviceName": name, "imageName": image, "status": status} for name, (image, status) in services.items()]
    return CurrentState({"1": {"services": shown}}, None, {}, None)  # type: ignore[arg-type]


def test_each_service_differs_in_one_way() -> None:
    target = _target(a="nginx:1", b="nginx:1", c="nginx:1", d="nginx:1")
    state = _state(a=("nginx:1", "running"), b=("nginx:2", "running"), c=("nginx:1", "exited"), e=("redis:7", "running"))

    image = Image.parse("nginx:1")
    assert differences(target, state) == [
        Difference("1", "b", DifferenceKind.OTHER_IMAGE, image, "nginx:2", "running"),
        Difference("1", "c", DifferenceKind.NOT_RUNNING, image, "nginx:1", "exited"),
        Difference("1", "d", DifferenceKind.MISSING, image, None, None),
        Difference("1", "e", DifferenceKind.EXTRA, None, "redis:7", "running"),
    ]
    assert differences(_target(), None) == []
    assert [one.kind for one in differences(_target(a="nginx:1"), None)] == [DifferenceKind.MISSING]
