"""What a frontend and an automation may ask over GraphQL, and what they are told."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from gql.transport.exceptions import TransportQueryError

from schema.nodes import node_id
from server.process import Running
from tests.api import Agent, Api, eventually, everything, flat, mutation_of, nth, web
from tests.clock import MovableClock
from tests.roots import MOVES, MUTATIONS, ONE_ROLLOUT, POLICY, QUERIES, ROLLOUT, ROOTS
from tests.test_graphql_sse import followers
from tests.transports import bearer, socket

UNKNOWN = nth(999)
EVENTS = """subscription ($id: ID!, $after: String) { rolloutEvents(id: $id, after: $after) {
  cursor name deviceUuid revision data } }"""
PROGRESS = """subscription ($id: ID!) { rolloutProgress(id: $id) {
  status revision offeredDevices totalDevices failureRate devices { pending scheduled updating updated } } }"""


async def started(api: Api, *images: str, number: int = 1, **settings: Any) -> list[Agent]:
    """Devices on these images, and a rollout of nginx:1.27 to them that has opened its first batch."""
    agents = await api.devices(*images)
    await api.policy(**settings)
    await api.push("nginx:1.27")
    await eventually(lambda: offered(api, number), True)
    return agents


async def offered(api: Api, number: int = 1) -> bool:
    rollout = await api.rollout(number)
    return rollout is not None and rollout["offeredDevices"] > 0


async def read(api: Api, document: str, seconds: float = 5, **variables: Any) -> list[Any]:
    """Everything a subscription says until it ends."""
    async with asyncio.timeout(seconds), api.subscribed(document, **variables) as stream:
        return [one async for answer in stream for one in answer.values()]


async def read_some(api: Api, count: int, document: str, **variables: Any) -> list[Any]:
    """The first so many things a subscription says."""
    said: list[Any] = []
    async with asyncio.timeout(5), api.subscribed(document, **variables) as stream:
        async for answer in stream:
            said += answer.values()
            if len(said) == count:
                break
    return said


async def refusal(api: Api, document: str, **variables: Any) -> tuple[str, str]:
    """The code and the sentence with which a subscription ends before it says anything."""
    with pytest.raises(TransportQueryError) as refused:
        await read(api, document, **variables)
    [error] = refused.value.errors or []
    return error["extensions"]["code"], error["message"]


def cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


# Who may ask


async def test_every_root_field_wants_a_token(server: Running, api: Api) -> None:
    fields = await api.graphql("{ __schema { types { name fields { name } } } }")
    roots = {type_["name"]: {field["name"] for field in type_["fields"]} for type_ in fields["__schema"]["types"] if type_["name"] in ROOTS}
    assert roots == {name: set(calls) for name, calls in ROOTS.items()}
    await started(api, "nginx:1.26")
    before = await everything(server.db)
    nobody, pretender = api.stranger(), api.stranger()
    pretender.token = "rollwave_token_wrong"

    for stranger in (nobody, pretender):
        for name, call in QUERIES.items():
            assert (await stranger.refused(call))[0] == "UNAUTHENTICATED", name
        for name, values in MUTATIONS.items():
            assert (await stranger.refused(mutation_of(name, "__typename"), input=values))[0] == "UNAUTHENTICATED", name

    assert await everything(server.db) == before


# What cannot be understood


async def test_what_graphql_cannot_read_is_the_callers_mistake(server: Running, api: Api) -> None:
    before = await everything(server.db)
    documents: list[tuple[str, dict[str, Any]]] = [
        ("{", {}),
        ("", {}),
        ("{ nonsense }", {}),
        ("{ rollouts(first: true) { nodes { id } } }", {}),
        ("query ($first: Int!) { rollouts(first: $first) { nodes { id } } }", {}),
        ("query ($first: Int!) { rollouts(first: $first) { nodes { id } } }", {"first": 2**40}),
        ("query ($status: [RolloutStatus!]) { rollouts(filter: {status: $status}) { nodes { id } } }", {"status": ["nonsense"]}),
        ("{ policies { nodes { id } } } { devices { nodes { uuid } } }", {}),
    ]
    for document, variables in documents:
        answer = await api.ask(document, **variables)
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"BAD_USER_INPUT"}, (document[:80], answer)
    for long in ("{ " + " ".join(f"a{n}: __typename" for n in range(2000)) + " }", "{ " + "a { " * 5000):
        assert (await api.refused(long))[0] == "TOO_COMPLEX"
    assert await everything(server.db) == before


async def test_no_string_with_a_null_character_gets_as_far_as_the_database(server: Running, api: Api) -> None:
    await started(api, "nginx:1.26")
    before = await everything(server.db)
    documents = [
        f'mutation {{ pauseRollout(input: {{ id: "{ROLLOUT}", reason: … }}) {{ __typename }} }}',
        "{ devices(filter: { fleet: … }) { nodes { uuid } } }",
        f'mutation {{ createRollout(input: {{ policy: "{POLICY}", image: … }}) {{ __typename }} }}',
        'mutation { createPolicy(input: { imagePattern: "redis", updateStrategy: AUTO, fleet: … }) { __typename } }',
        f'mutation {{ setDeviceTarget(input: {{ uuid: "{nth(1)}", apps: {{ a: {{ services: [], x: … }} }} }}) {{ __typename }} }}',
        f'mutation {{ setDeviceTarget(input: {{ uuid: "{nth(1)}", apps: {{}}, config: {{ x: [ … ] }} }}) {{ __typename }} }}',
    ]

    for call in (
        *[document.replace("…", string) for document in documents for string in (r'"\u0000"', r'"a\u{0}b"', '"""\0"""')],
        '{ device(uuid: "\\u0000") { uuid } }',
        '{ node(id: "…") { id } }'.replace("…", node_id("Fleet", "=a\0b")),
    ):
        errors = (await api.ask(call))["errors"]
        assert {error["extensions"]["code"] for error in errors} == {"BAD_USER_INPUT"}, call
    document = mutation_of("setDeviceTarget", "__typename")
    assert await api.refused(document, input={"uuid": nth(1), "apps": {"a": {"services": [], "x\0": 1}}}) == (
        "BAD_USER_INPUT", "the body holds a null character",
    )  # fmt: skip

    assert await everything(server.db) == before
    note = r"no null: \u0000"
    written = await api.change("setDeviceTarget", "targetState { config }", uuid=nth(1), apps={}, config={"note": note})
    assert written["targetState"]["config"] == {"note": note}


async def test_a_bug_of_ours_is_told_in_two_words(server: Running, api: Api) -> None:
    agent = await api.device(nth(1))
    async with server.db.transaction() as conn:
        await conn.execute("alter table rollouts rename to hidden")

    assert await api.refused(QUERIES["rollout"]) == ("INTERNAL", "internal error")
    assert await api.refused(mutation_of("pauseRollout", "__typename"), input=ONE_ROLLOUT) == ("INTERNAL", "internal error")
    assert await refusal(api, PROGRESS, id=ROLLOUT) == ("INTERNAL", "internal error")
    async with server.db.transaction() as conn:
        await conn.execute("alter table hidden rename to rollouts")
        await conn.execute("alter table current_states rename to hidden")
    async with api.http.patch("/api/v1/device/state", json={agent.uuid: {"apps": {}}}, headers={"X-Device-API-Key": agent.key}) as response:
        assert (response.status, await response.json()) == (500, {"error": "internal error"})


# Policies


async def test_a_policy_is_made_changed_switched_and_taken_away(api: Api) -> None:
    fields = """id number imagePattern updateStrategy fleet { name } stagedBatches batchDelayMinutes healthCheckEnabled soakMinutes
                pickupMinutes deadlineMinutes autoRollbackEnabled maxFailureRate minOutcomes enabled createdAt updatedAt"""
    one = f"query ($id: ID!) {{ policy(id: $id) {{ {fields} rollouts {{ nodes {{ id }} }} }} }}"

    created = (await api.change("createPolicy", f"policy {{ {fields} }}", imagePattern="nginx*", updateStrategy="STAGED"))["policy"]
    policy = created["id"]
    assert (await api.graphql(one, id=policy))["policy"] == {**created, "rollouts": {"nodes": []}}
    assert created == {
        "id": policy, "number": 1, "imagePattern": "nginx*", "updateStrategy": "STAGED", "fleet": None, "stagedBatches": 3,
        "batchDelayMinutes": 30, "healthCheckEnabled": True, "soakMinutes": 1, "pickupMinutes": 15, "deadlineMinutes": 30,
        "autoRollbackEnabled": True, "maxFailureRate": 0.2, "minOutcomes": 5, "enabled": True,
        "createdAt": created["createdAt"], "updatedAt": created["createdAt"],
    }  # fmt: skip

    async def changed(**settings: Any) -> Any:
        return (await api.change("updatePolicy", "policy { imagePattern fleet { name } stagedBatches enabled }", id=policy, **settings))[
            "policy"
        ]

    now: dict[str, Any] = {"imagePattern": "nginx*", "fleet": None, "stagedBatches": 3, "enabled": True}
    assert await changed() == now
    assert await changed(fleet="plant-a", stagedBatches=5) == (now := {**now, "fleet": {"name": "plant-a"}, "stagedBatches": 5})
    assert await changed(imagePattern="redis:7*") == (now := {**now, "imagePattern": "redis:7*"})
    assert await changed(fleet=None) == {**now, "fleet": None}
    for verb, enabled in (("disable", False), ("disable", False), ("enable", True)):
        answer = await api.change(f"{verb}Policy", "policy { enabled }", id=policy)
        assert answer == {"policy": {"enabled": enabled}}
    assert len((await api.graphql(QUERIES["policies"]))["policies"]["nodes"]) == 1
    await api.change("deletePolicy", id=policy)

    assert (await api.graphql(QUERIES["policies"]))["policies"]["nodes"] == []
    for name in ("updatePolicy", "enablePolicy", "deletePolicy", "unblockRelease", "createRollout"):
        assert (await api.refusal(name, **MUTATIONS[name]))[0] == "NOT_FOUND", name


async def test_a_policy_that_makes_no_sense_is_refused_by_field_and_nothing_changes(server: Running, api: Api) -> None:
    good = {"imagePattern": "nginx*", "updateStrategy": "STAGED"}
    policy = await api.policy()
    before = await everything(server.db)
    wrong: list[tuple[str, list[Any]]] = [
        ("imagePattern", ["", "n" * 256, "Nginx", "nginx@sha256:1", "ng inx", "^nginx$", None, 7, []]),
        ("updateStrategy", ["SCHEDULED", "auto", None, 7]),
        ("fleet", ["", "f" * 256, 7]),
        ("stagedBatches", [0, -1, 101, 2**31, 1.5, "3", None]),
        *[(field, [-1, 1e9, 2**80, "1", None]) for field in ("batchDelayMinutes", "soakMinutes", "pickupMinutes")],
        ("deadlineMinutes", [0, -1, 1e9, None]),
        ("maxFailureRate", [-0.1, 1.1, 20, "1", None]),
        ("minOutcomes", [0, -1, 1_000_001, None]),
        *[(field, ["yes", 1, None]) for field in ("healthCheckEnabled", "autoRollbackEnabled", "enabled")],
        ("nonsense", [1]),
    ]

    for field, values in wrong:
        for value in values:
            for mutation, kept in (("createPolicy", good), ("updatePolicy", {"id": policy})):
                code, sentence = await refused_anyhow(api, mutation, {**kept, field: value})
                assert code in ("BAD_USER_INPUT", "INVALID_INPUT"), (field, value, code)
                assert field.lower() in sentence.replace("_", "").lower(), (field, value, sentence)
    several = await api.refusal("createPolicy", **{**good, "stagedBatches": 0, "maxFailureRate": 2})
    assert all(field in several[1] for field in ("stagedBatches", "maxFailureRate"))
    for mutation in ("updatePolicy", "enablePolicy"):
        for id in ("x", "", "-1", "9" * 30, "1", "1.5", "²", ROLLOUT, node_id("Policy", "x"), node_id("Policy", -1)):  # noqa: A001
            assert (await api.refusal(mutation, id=id))[0] == "INVALID_INPUT", id
    assert (await api.refusal("updatePolicy", id=node_id("Policy", 999)))[0] == "NOT_FOUND"

    assert await everything(server.db) == before


async def refused_anyhow(api: Api, mutation: str, values: Any) -> tuple[str, str]:
    """The code and the sentence of a refusal, be it data or, of what is not even of the input's type, an error of the operation."""
    answer = await api.ask(mutation_of(mutation, "__typename"), input=values)
    if "errors" in answer:
        [error] = answer["errors"]
        return error["extensions"]["code"], error["message"]
    return answer["data"]["done"]["refused"], answer["data"]["done"]["message"]


# Reading


PAGE_INFO = "hasNextPage hasPreviousPage startCursor endCursor"


async def test_every_list_comes_in_pages(api: Api) -> None:
    agents = [
        *await api.devices(*["nginx:1.26"] * 3),
        *await api.devices("nginx:1.26", fleet="plant-a", first=4),
        *await api.devices("nginx:1.26", fleet="plant-b", first=5),
    ]
    policy = await api.policy()
    await api.policy(imagePattern="redis")
    for tag in ("1.27", "1.28", "1.29"):
        await api.push(f"nginx:{tag}")
    await eventually(lambda: offered(api, 3), True)
    lists = [
        ("list: policies(AT) { PAGE }", "id", 2),
        ("list: rollouts(AT) { PAGE }", "id", 3),
        ("list: devices(AT) { PAGE }", "uuid", 5),
        (f'in: policy(id: "{policy}") {{ list: rollouts(AT) {{ PAGE }} }}', "id", 3),
        (f'in: device(uuid: "{agents[0].uuid}") {{ list: rollouts(AT) {{ PAGE }} }}', "id", None),
        ("in: rollout(number: 3) { list: devices(AT) { PAGE } }", "deviceUuid", 5),
        ("in: rollout(number: 3) { list: events(AT) { PAGE } }", "cursor", None),
        ("list: fleets(AT) { PAGE }", "name", 3),
        ("list: repositories(AT) { PAGE }", "name", None),
        ("list: pushes(AT) { PAGE }", "id", 3),
        ("list: tokens(AT) { PAGE }", "id", 1),
        ("list: audit(AT) { PAGE }", "id", None),
    ]

    for name, key, size in lists:
        shown = f"edges {{ cursor node {{ {key} }} }} nodes {{ {key} }} pageInfo {{ {PAGE_INFO} }} totalCount"
        called = name.replace("AT", "first: $first, after: $after").replace("PAGE", shown)
        document = f"query ($first: Int! = 50, $after: String) {{ {called} }}"

        async def page(document: str = document, **variables: Any) -> Any:
            data = await api.graphql(document, **variables)
            return data.get("in", data)["list"]

        whole = await page()
        assert len(whole["nodes"]) == (size or len(whole["nodes"])) > 0, name
        assert [edge["node"] for edge in whole["edges"]] == whole["nodes"]
        assert (total := whole["totalCount"]) == len(whole["nodes"]), name
        found: list[Any] = []
        after, more = None, True
        while more:
            part = await page(first=2, after=after)
            assert 0 < len(part["nodes"]) <= 2
            found += part["nodes"]
            info = part["pageInfo"]
            assert info["hasPreviousPage"] is (after is not None)
            after, more = info["endCursor"], info["hasNextPage"]
            assert (info["startCursor"], after) == (part["edges"][0]["cursor"], part["edges"][-1]["cursor"])
        assert found == whole["nodes"], name
        info = {"hasNextPage": False, "hasPreviousPage": True, "startCursor": None, "endCursor": None}
        assert await page(after=after) == {"edges": [], "nodes": [], "pageInfo": info, "totalCount": total}
        for first in (0, 101, -1, 2**31 - 1):
            code, words = await api.refused(document, first=first)
            assert (code, words) == ("BAD_USER_INPUT", "first: 1 to 100"), (name, first)
        for bad in (
            "",
            "x",
            "MTox!",
            "ä",
            cursor("1:x"),
            cursor("2:1"),
            cursor("1:1:1:1:1"),
            cursor("1:" + "9" * 40),
            cursor("1:-5:-5:-5"),
        ):
            code, words = await api.refused(document, after=bad)
            assert (code, words) == ("BAD_USER_INPUT", "after: this is not a cursor that was handed out here"), (name, bad)
        for far in (cursor("1:9223372036854775807"), cursor("1:9223372036854775807:9223372036854775807:9223372036854775807")):
            assert (await api.ask(document, after=far)).get("errors", [{"extensions": {"code": "BAD_USER_INPUT"}}])[0]["extensions"][
                "code"
            ] != "INTERNAL"


async def test_a_rollout_is_shown_from_every_side(api: Api) -> None:
    first, second = await started(api, "nginx:1.25", "nginx:1.26", updateStrategy="STAGED", stagedBatches=2, batchDelayMinutes=10)
    agents = {agent.uuid: agent for agent in (first, second)}
    document = """query ($number: Int!) { rollout(number: $number) {
      id number image { reference name tag digest } status reason revision currentBatch totalBatches totalDevices offeredDevices
      createdAt startedAt finishedAt
      policy { number imagePattern }
      progress { rollout { number } status reason revision currentBatch totalBatches totalDevices offeredDevices failureRate at
                 devices { pending scheduled updating updated healthy failed timedOut rollingBack rolledBack skipped } }
      batches { number plannedDevices offeredDevices startedAt completedAt }
      moves { revision at event actor reason status }
      devices { nodes { id deviceUuid batchNumber status scheduledAt takenAt outcomeAt returnedAt reason
                        device { uuid name } rollout { number } } }
      events(first: 100) { nodes { id cursor at type name rollout { number } revision deviceUuid device { uuid } data } }
    } }"""

    rollout = (await api.graphql(document, number=1))["rollout"]
    places = rollout["devices"]["nodes"]
    canary = agents.pop(places[0]["deviceUuid"])
    [other] = agents.values()

    assert rollout["image"] == {"reference": "nginx:1.27", "name": "nginx", "tag": "1.27", "digest": None}
    assert (rollout["status"], rollout["currentBatch"], rollout["totalBatches"], rollout["offeredDevices"]) == ("IN_PROGRESS", 1, 2, 1)
    assert rollout["startedAt"] is not None
    assert rollout["finishedAt"] is None
    assert rollout["policy"] == {"number": 1, "imagePattern": "nginx*"}
    assert rollout["progress"]["rollout"] == {"number": 1}
    counts = {name: count for name, count in rollout["progress"]["devices"].items() if count}
    assert counts == {"pending": 1, "scheduled": 1}
    assert [(batch["number"], batch["plannedDevices"], batch["offeredDevices"]) for batch in rollout["batches"]] == [(1, 1, 1), (2, 1, 0)]
    assert [(place["batchNumber"], place["status"]) for place in places] == [(1, "SCHEDULED"), (None, "PENDING")]
    assert places[1]["scheduledAt"] is None
    assert [place["device"]["uuid"] for place in places] == [canary.uuid, other.uuid]
    assert [place["rollout"]["number"] for place in places] == [1, 1]
    assert [(move["revision"], move["event"], move["actor"]) for move in rollout["moves"]] == [
        (1, "ROLLOUT_ENROLLED", "rollwave"), (2, "ROLLOUT_STARTED", "rollwave"), (3, "BATCH_STARTED", "rollwave"),
    ]  # fmt: skip
    assert [event["name"] for event in rollout["events"]["nodes"]] == [
        "image.webhook_received", "image.rollout_created", "image.rollout_enrolled", "image.rollout_started",
        "image.batch_started", "image.device_scheduled",
    ]  # fmt: skip
    assert all(event["name"] == f"image.{event['type'].lower()}" for event in rollout["events"]["nodes"])
    last = rollout["events"]["nodes"][-1]
    assert (last["deviceUuid"], last["device"], last["rollout"]) == (canary.uuid, {"uuid": canary.uuid}, {"number": 1})

    await canary.obey()
    await eventually(lambda: batches_done(api), 1)
    rollout = (await api.graphql(document, number=1))["rollout"]
    assert rollout["batches"][0]["completedAt"] is not None
    assert rollout["devices"]["nodes"][0]["takenAt"] is not None
    waiting = "query ($status: [DeviceRolloutStatus!]) { rollout(number: 1) { devices(status: $status) { nodes { deviceUuid } } } }"
    for status, expected in ((["PENDING"], [other.uuid]), (["UPDATED", "FAILED"], [canary.uuid]), (["FAILED"], []), ([], [])):
        nodes = (await api.graphql(waiting, status=status))["rollout"]["devices"]["nodes"]
        assert [node["deviceUuid"] for node in nodes] == expected, status
    standing = "query ($status: [RolloutStatus!]) { rollouts(filter: {status: $status}) { nodes { number } } }"
    assert (await api.graphql(standing, status=["IN_PROGRESS"]))["rollouts"]["nodes"] == [{"number": 1}]
    assert (await api.graphql(standing, status=["PAUSED", "COMPLETED"]))["rollouts"]["nodes"] == []
    assert (await api.graphql(document, number=999))["rollout"] is None
    by_id = "query ($id: ID, $number: Int) { rollout(id: $id, number: $number) { number } }"
    assert (await api.graphql(by_id, id=ROLLOUT))["rollout"] == {"number": 1}
    assert await api.refused(by_id, id="x") == ("BAD_USER_INPUT", "id: “x” is not an id that was handed out here")
    assert await api.refused(by_id, id=POLICY) == ("BAD_USER_INPUT", "id: this is the id of a Policy, not of a Rollout")
    for which in ({}, {"id": ROLLOUT, "number": 1}):
        assert await api.refused(by_id, **which) == ("BAD_USER_INPUT", "give one of id and number")


async def batches_done(api: Api) -> int:
    batches = (await api.graphql("{ rollout(number: 1) { batches { completedAt } } }"))["rollout"]["batches"]
    return sum(batch["completedAt"] is not None for batch in batches)


async def test_devices_are_shown_one_by_one_and_by_fleet(api: Api) -> None:
    [a] = await api.devices("nginx:1.26", fleet="plant-a")
    [b] = await api.devices("nginx:1.27", first=2)
    await b.obey()
    fields = """uuid name type fleet { name } createdAt lastSeenAt targetState { apps config version }
                currentState { apps version info reportedAt } rollouts { nodes { rollout { number } } }"""
    listed = f"query ($fleet: String) {{ devices(filter: {{fleet: $fleet}}) {{ nodes {{ {fields} }} }} }}"

    one = (await api.graphql(f"query ($uuid: UUID!) {{ device(uuid: $uuid) {{ {fields} }} }}", uuid=a.uuid.upper()))["device"]
    nodes = (await api.graphql(listed))["devices"]["nodes"]

    assert nodes[0] == one
    assert (one["uuid"], one["name"], one["type"], one["lastSeenAt"]) == (a.uuid, "press 0000", "pi4", None)
    assert one["fleet"] == {"name": "plant-a"}
    assert one["targetState"]["version"] == 1
    assert (one["currentState"], one["rollouts"]["nodes"]) == (None, [])
    assert nodes[1]["fleet"] is None
    assert nodes[1]["currentState"]["version"] == 1
    assert nodes[1]["currentState"]["apps"]["1001"]["services"][0]["imageName"] == "nginx:1.27"
    assert [node["uuid"] for node in (await api.graphql(listed, fleet="plant-a"))["devices"]["nodes"]] == [a.uuid]
    assert (await api.graphql(listed, fleet="plant-z"))["devices"]["nodes"] == []
    assert (await api.graphql("query ($uuid: UUID!) { device(uuid: $uuid) { uuid } }", uuid=UNKNOWN))["device"] is None
    code, words = await api.refused('{ device(uuid: "press-12") { uuid } }')
    assert (code, "a UUID is 32 hexadecimal digits" in words) == ("BAD_USER_INPUT", True), words


# What a device should run


async def test_a_target_that_makes_no_sense_is_refused_by_field_and_nothing_changes(server: Running, api: Api) -> None:
    [agent] = await api.devices("nginx:1.26")
    before = await everything(server.db)

    def service(**fields: Any) -> Any:
        return {"1001": {"services": [{"serviceName": "web", "imageName": "nginx:1.27", **fields}]}}

    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    apps: list[Any] = [7, "text", True, [7], [{"services": []}], {"1001": 7}, {"1001": None}, {"1001": {}}]
    services: list[Any] = [7, "text", {}, [7], [[]], None]
    names: list[Any] = ["", [], {"a": 1}, ["a"], 1.5]
    configs: list[Any] = [7, [], "text", True]
    images: list[Any] = [7, [], {}, "", "Nginx", "nginx:", "a b", "http://x/y"]
    wrong: list[tuple[Any, str]] = [
        *[(value, "apps") for value in apps],
        *[({"1001": {"services": value}}, "apps.1001.services") for value in services],
        ({"1001": {"services": [{"imageName": "nginx"}]}}, "apps.1001.services[0] needs a serviceName"),
        *[(service(serviceName=name), "apps.1001.services[0]") for name in names],
        ({"1001": {"services": [{"serviceName": "web"}]}}, "apps.1001.services[0] needs an imageName"),
        ({"1001": {"services": 2 * [{"serviceName": "web", "imageName": "nginx"}]}}, "two services named “web”"),
        *[(service(config=config), "apps.1001.services[0].config") for config in [*configs, None]],
        *[(service(imageName=image), "apps.1001.services[0].imageName") for image in images],
        (service(imageName="sha256:" + "a" * 64), "apps.1001.services[0].imageName"),
        (service(config={"image": ["nginx:1.27"]}), "apps.1001.services[0].config.image"),
        (service(config={"image": "nginx:1.28"}), "different images"),
        (service(image="nginx:1.28"), "different images"),
        ([{"appId": 1, "services": []}, {"appId": 1, "services": []}], "two apps with the appId 1"),
    ]

    for value, words in wrong:
        code, sentence = await api.refusal("setDeviceTarget", uuid=agent.uuid, apps=value)
        assert (code, words in sentence) == ("INVALID_INPUT", True), (str(value)[:200], sentence)
    for config in configs:
        refused = await api.refusal("setDeviceTarget", uuid=agent.uuid, apps={}, config=config)
        assert refused == ("INVALID_INPUT", "config must be an object")
    assert (await refused_anyhow(api, "setDeviceTarget", {"uuid": agent.uuid, "apps": service(note=deep)}))[0] == "BAD_USER_INPUT"
    huge = f'uuid: "{agent.uuid}", apps: {{ a: {{ services: [], x: {10**20 - 1} }} }}'
    answer = await api.graphql(f"mutation {{ setDeviceTarget(input: {{ {huge} }}) {{ ... on Error {{ code }} }} }}")
    assert answer["setDeviceTarget"] == {"code": "INVALID_INPUT"}
    assert (await refused_anyhow(api, "setDeviceTarget", {"uuid": "press-12", "apps": {}}))[0] == "BAD_USER_INPUT"
    assert (await api.refusal("setDeviceTarget", uuid=UNKNOWN, apps={}))[0] == "NOT_FOUND"
    for expected in (0, 2, -1):
        code, sentence = await api.refusal("setDeviceTarget", uuid=agent.uuid, apps={}, expectedVersion=expected)
        assert (code, sentence) == ("STALE_VERSION", f"the target is at version 1, not {expected}: read it again")

    assert await everything(server.db) == before
    written = await api.change("setDeviceTarget", "targetState { apps config version }", uuid=agent.uuid, apps={}, expectedVersion=1)
    assert written["targetState"] == {"apps": {}, "config": {}, "version": 2}


async def test_an_image_is_written_wherever_agents_look_however_it_was_given(api: Api) -> None:
    [agent] = await api.devices("nginx:1.25")
    ways: list[dict[str, Any]] = [
        {"imageName": "nginx:1.26"},
        {"config": {"image": "nginx:1.26"}},
        {"image": "nginx:1.26"},
        {"imageName": "docker.io/library/nginx:1.26", "config": {"image": "nginx:1.26"}},
        {"imageName": "nginx:1.26", "image": "nginx:1.26", "config": {"image": None}},
    ]
    wanted = {"serviceName": "web", "imageName": "nginx:1.26", "config": {"image": "nginx:1.26"}}

    for way in ways:
        await api.set_target(agent.uuid, {"1001": {"services": [{"serviceName": "web", **way}]}})
        assert (await api.target(agent.uuid))["apps"] == {"1001": {"services": [wanted]}}, way
        assert (await agent.poll())[1]["apps"]["1001"]["services"] == [wanted]
    listed = await api.set_target(agent.uuid, [{"appId": 7, "services": [{"serviceId": 7, "image": "redis"}]}])
    assert listed["apps"] == {
        "7": {"appId": 7, "services": [{"serviceId": 7, "imageName": "redis:latest", "config": {"image": "redis:latest"}}]}
    }
    config = {"intervals": {"reportIntervalMs": 1000}}
    written = await api.change("setDeviceTarget", "targetState { config }", uuid=agent.uuid, apps={}, config=config)
    kept = await api.change("setDeviceTarget", "targetState { config }", uuid=agent.uuid, apps={})
    assert written["targetState"]["config"] == kept["targetState"]["config"] == config


async def test_a_service_given_another_image_leaves_the_rollout_for_good(api: Api) -> None:
    agent, other = await started(api, "nginx:1.26", "nginx:1.26")
    offered = await api.target(agent.uuid)

    told = await api.set_target(agent.uuid, web("nginx:1.20"))

    assert told["version"] == offered["version"] + 1
    assert (await api.rollout())["devices"] == {agent.uuid: "SKIPPED", other.uuid: "SCHEDULED"}
    assert await api.image(agent.uuid) == "nginx:1.20"
    await agent.report("nginx:1.20", status="exited")
    await other.obey()
    await eventually(api.status, "COMPLETED")
    assert (await api.rollout())["devices"] == {agent.uuid: "SKIPPED", other.uuid: "UPDATED"}
    assert (await agent.obey(), (await api.target(agent.uuid))["version"]) == ("nginx:1.20", told["version"])


async def test_a_device_that_comes_to_run_the_image_joins_the_rollout_unless_it_is_ahead(api: Api) -> None:
    [agent] = await started(api, "nginx:1.26")

    late, there, ahead = await api.devices("nginx:1.25", "nginx:1.27", "nginx:1.28", first=10)
    assert list((await api.rollout())["devices"]) == [agent.uuid, late.uuid]
    await agent.obey()
    await eventually(lambda: api.image(late.uuid), "nginx:1.27")
    await late.obey()

    await eventually(api.status, "COMPLETED")
    assert (await api.rollout())["devices"] == {agent.uuid: "UPDATED", late.uuid: "UPDATED"}
    assert [await api.image(device.uuid) for device in (there, ahead)] == ["nginx:1.27", "nginx:1.28"]


async def test_writing_back_what_a_rollout_gave_does_not_make_it_the_devices_own(api: Api) -> None:
    [agent] = await started(api, "nginx:1.26", healthCheckEnabled=True, soakMinutes=60)
    target = await api.target(agent.uuid)

    target["apps"]["1001"]["services"][0]["config"]["environment"] = {"TZ": "UTC"}
    told = await api.change(
        "setDeviceTarget", "targetState { apps version }", uuid=agent.uuid, apps=target["apps"], expectedVersion=target["version"]
    )

    assert told["targetState"] == {"apps": target["apps"], "version": target["version"] + 1}
    assert (await api.rollout())["devices"] == {agent.uuid: "SCHEDULED"}
    assert await agent.obey() == "nginx:1.27"

    assert await api.request("rollBack") == "ROLLING_BACK"

    assert await api.image(agent.uuid) == "nginx:1.26"
    assert await agent.obey() == "nginx:1.26"
    await eventually(api.status, "ROLLED_BACK")
    after = await api.target(agent.uuid)
    assert after["apps"]["1001"]["services"][0]["config"]["environment"] == {"TZ": "UTC"}
    assert after["version"] == target["version"] + 2


async def test_a_device_that_leaves_a_rollout_is_told_exactly_what_was_written(api: Api) -> None:
    def two(first: str, second: str) -> Any:
        return {"1": {"services": [{"serviceName": "web", "imageName": first}, {"serviceName": "proxy", "imageName": second}]}}

    agent = await api.device(nth(1), two("nginx:1.25", "nginx:1.26"))
    await api.policy()
    await api.push("nginx:1.27")
    await eventually(lambda: offered(api), True)

    told = await api.set_target(agent.uuid, two("nginx:1.20", "nginx:1.27"))

    assert [service["imageName"] for service in told["apps"]["1"]["services"]] == ["nginx:1.20", "nginx:1.27"]
    assert (await api.rollout())["devices"] == {agent.uuid: "SKIPPED"}


async def test_of_two_who_write_at_once_from_the_same_version_one_is_told_to_read_again(api: Api) -> None:
    [agent] = await api.devices("nginx:1.26")

    document = mutation_of("setDeviceTarget", "__typename")
    wanted = [{"uuid": agent.uuid, "apps": web(f"nginx:1.2{number}"), "expectedVersion": 1} for number in range(5)]

    answers = await asyncio.gather(*[api.graphql(document, input=one) for one in wanted])

    assert sorted(answer["done"].get("refused", "") for answer in answers) == ["", *["STALE_VERSION"] * 4]
    assert (await api.target(agent.uuid))["version"] == 2


# Rollouts by hand


async def test_a_manual_rollout_waits_until_an_operator_starts_it(api: Api, clock: MovableClock) -> None:
    [agent] = await api.devices("nginx:1.26")
    await api.policy(updateStrategy="MANUAL")
    await api.push("nginx:1.27")
    await eventually(api.status, "PENDING")

    clock.advance(days=1)
    await asyncio.sleep(0.2)
    assert await agent.obey() == "nginx:1.26"
    assert (await api.rollout())["offeredDevices"] == 0
    answer = await api.change("startRollout", "rollout { status reason }", id=ROLLOUT, reason="CAB-17")

    assert answer["rollout"] == {"status": "IN_PROGRESS", "reason": "CAB-17"}
    await eventually(lambda: api.image(agent.uuid), "nginx:1.27")
    await agent.obey()
    await eventually(api.status, "COMPLETED")
    moves = (await api.graphql("{ rollout(number: 1) { moves { event actor reason } } }"))["rollout"]["moves"]
    assert {"event": "ROLLOUT_STARTED", "actor": "ops", "reason": "CAB-17"} in moves


async def test_a_rollout_can_only_be_asked_for_what_its_state_allows(server: Running, api: Api) -> None:
    legal = {
        "PENDING": {"start", "cancel", "replan"},
        "IN_PROGRESS": {"pause", "retry", "cancel", "rollBack"},
        "PAUSED": {"resume", "retry", "cancel", "rollBack"},
        "COMPLETED": {"rollBack"},
    }
    policy = await api.policy(updateStrategy="MANUAL", stagedBatches=1, healthCheckEnabled=True, soakMinutes=60)
    agent, _ = await api.devices("nginx:1.1", "nginx:1.1")
    number = 0

    async def fresh() -> int:
        nonlocal number
        number += 1
        await api.push(f"nginx:1.{number + 1}")
        await eventually(lambda: api.status(number), "PENDING")
        return number

    async def refuses_the_rest(rollout: int, status: str) -> None:
        await eventually(lambda: api.status(rollout), status)
        before = await everything(server.db)
        for move in MOVES:
            if move not in legal.get(status, set()):
                code, words = await api.refusal(f"{move}Rollout", id=node_id("Rollout", rollout))
                assert code == "ILLEGAL_MOVE", (move, status)
                assert words == f"cannot {'roll back' if move == 'rollBack' else move} a rollout that is {status.lower().replace('_', ' ')}"
        assert await everything(server.db) == before

    first = await fresh()
    await refuses_the_rest(first, "PENDING")
    assert await api.request("start", first) == "IN_PROGRESS"
    await eventually(lambda: offered(api, first), True)
    await refuses_the_rest(first, "IN_PROGRESS")
    assert await api.request("pause", first) == "PAUSED"
    await refuses_the_rest(first, "PAUSED")
    assert await api.request("resume", first) == "IN_PROGRESS"
    await agent.poll()
    assert await api.request("rollBack", first) == "ROLLING_BACK"
    await refuses_the_rest(first, "ROLLING_BACK")
    await agent.obey()
    await refuses_the_rest(first, "ROLLED_BACK")
    second = await fresh()
    assert await api.request("cancel", second) == "CANCELLED"
    await refuses_the_rest(second, "CANCELLED")
    third, fourth = await fresh(), await fresh()
    await refuses_the_rest(third, "SUPERSEDED")
    await api.request("start", fourth)
    await eventually(lambda: offered(api, fourth), True)
    await api.request("pause", fourth)
    assert await api.request("cancel", fourth) == "CANCELLED"
    await api.change("updatePolicy", id=policy, healthCheckEnabled=False)
    fifth = await fresh()
    await api.request("start", fifth)
    await eventually(lambda: offered(api, fifth), True)
    assert await api.request("rollBack", fifth) == "ROLLING_BACK"
    await refuses_the_rest(fifth, "ROLLED_BACK")
    for unknown, code in ((node_id("Rollout", 999), "NOT_FOUND"), ("x", "INVALID_INPUT"), ("", "INVALID_INPUT"), (POLICY, "INVALID_INPUT")):
        for move in MOVES:
            assert (await api.refusal(f"{move}Rollout", id=unknown))[0] == code


async def test_pause_keeps_what_was_offered_and_cancel_leaves_it(api: Api) -> None:
    agents = await started(api, *["nginx:1.26"] * 3, updateStrategy="STAGED", batchDelayMinutes=0)
    [canary] = [agent for agent in agents if await api.image(agent.uuid) == "nginx:1.27"]

    answer = await api.change("pauseRollout", "rollout { status reason }", id=ROLLOUT, reason="lunch")
    await canary.obey()
    await asyncio.sleep(0.2)
    assert answer["rollout"] == {"status": "PAUSED", "reason": "lunch"}
    assert (await api.rollout())["offeredDevices"] == 1
    await api.request("resume")
    await eventually(lambda: offered_devices(api), 2)
    await api.request("cancel")

    assert sorted([await agent.obey() for agent in agents]) == ["nginx:1.26", "nginx:1.27", "nginx:1.27"]
    assert (await api.rollout())["offeredDevices"] == 2
    answer = await api.graphql("{ rollout(number: 1) { finishedAt } }")
    assert answer["rollout"]["finishedAt"] is not None


async def offered_devices(api: Api) -> int:
    return int((await api.rollout())["offeredDevices"])


async def rolled_out(api: Api, policy: str, image: str) -> Any:
    """The rollout of an image by hand."""
    wanted = "rollout { number image { reference } status }"
    return flat(await api.change("createRollout", wanted, policy=policy, image=image))["rollout"]


async def test_an_operator_may_roll_out_any_version_to_the_devices_of_a_policy(api: Api) -> None:
    a, b = await api.devices("nginx:1.26", "nginx:1.27", fleet="plant-a")
    [stranger] = await api.devices("nginx:1.26", first=3)
    policy = await api.policy(fleet="plant-a", updateStrategy="MANUAL", stagedBatches=1, enabled=False)

    created = await rolled_out(api, policy, "nginx:1.19")
    await eventually(lambda: offered(api), True)

    assert created == {"number": 1, "image": "nginx:1.19", "status": "ENROLLING"}
    assert (await api.rollout())["devices"] == {a.uuid: "SCHEDULED", b.uuid: "SCHEDULED"}
    again = await rolled_out(api, policy, "nginx:1.18")
    await eventually(lambda: offered(api, 2), True)
    assert (again["number"], await api.status(1)) == (2, "SUPERSEDED")
    assert {await agent.obey() for agent in (a, b)} == {"nginx:1.18"}
    await eventually(lambda: api.status(2), "COMPLETED")
    assert await api.image(stranger.uuid) == "nginx:1.26"
    assert (await rolled_out(api, policy, "nginx:1.19"))["number"] == 3


async def test_a_rollout_by_hand_that_cannot_be_is_refused_and_nothing_changes(server: Running, api: Api) -> None:
    await started(api, "nginx:1.26")
    redis = await api.policy(imagePattern="redis")
    await api.request("rollBack")
    await eventually(api.status, "ROLLED_BACK")
    before = await everything(server.db)

    for policy, image, code, words in [
        (POLICY, "nginx:1.27", "CONFLICT", "nginx:1.27 is blocked: rolled back; unblock it first"),
        (POLICY, "redis:7", "INVALID_INPUT", "image: redis:7 does not match the policy's pattern nginx*"),
        (POLICY, "Nginx", "INVALID_INPUT", "lower case"),
        (POLICY, "", "INVALID_INPUT", "image"),
        (redis, "redis:7", "CONFLICT", "no device that this policy governs runs redis"),
        (node_id("Policy", 999), "nginx:1.27", "NOT_FOUND", "there is no policy 999"),
        ("x", "nginx:1.27", "INVALID_INPUT", "“x” is not an id that was handed out here"),
    ]:
        refused, sentence = await api.refusal("createRollout", policy=policy, image=image)
        assert refused == code, (image, sentence)
        assert words in sentence, (image, sentence)
    assert await unblocked(api, "nginx:1.26") is False
    assert (await api.refusal("unblockRelease", id=node_id("Policy", 999), image="nginx:1.27"))[0] == "NOT_FOUND"
    assert (await api.refusal("unblockRelease", id=POLICY, image="Nginx"))[0] == "INVALID_INPUT"
    assert await everything(server.db) == before

    assert await unblocked(api, "docker.io/library/nginx:1.27") is True
    assert await unblocked(api, "nginx:1.27") is False
    assert (await rolled_out(api, POLICY, "nginx:1.27"))["number"] == 2


async def unblocked(api: Api, image: str) -> bool:
    """Whether there was anything to unblock."""
    answer = await api.change("unblockRelease", "wasBlocked policy { id }", id=POLICY, image=image)
    assert answer["policy"] == {"id": POLICY}
    return bool(answer["wasBlocked"])


# Looking ahead


async def test_a_preview_tells_what_a_rollout_would_do_and_does_nothing(server: Running, api: Api) -> None:
    await api.devices("nginx:1.26", "nginx:1.26", "nginx:1.26", "nginx:1.27")
    policy = await api.policy(updateStrategy="STAGED", batchDelayMinutes=5, pickupMinutes=10)
    await api.change("pinDevice", **MUTATIONS["pinDevice"])
    before = await everything(server.db)
    document = """query ($policy: ID!, $image: ImageReference!, $sample: Int!) {
      previewRollout(policy: $policy, image: $image, sample: $sample) { ... on Error { code message } ... on RolloutPreview {
        images { reference } at refusal totalDevices leftOutDevices approvalsRequired notBefore notAfter checksum
        policy { id } supersedes { id } batches { number devices offeredDevices } openings { timezone devices at }
        leftOut { reason devices first { deviceUuid device { uuid } name fleet images sentence rollout { number } aside { kind reason } } }
        finish { likely late whyNot basis } } } }"""

    async def previewed(**wanted: Any) -> Any:
        wanted = {"policy": policy, "image": "nginx:1.27", "sample": 5, **wanted}
        return flat(await api.graphql(document, **wanted))["previewRollout"]

    told = await previewed()

    assert told["leftOut"] == [
        {"reason": "SAME_IMAGE", "devices": 1, "first": [
            {"deviceUuid": nth(4), "device": {"uuid": nth(4)}, "name": "press 0000", "fleet": None, "images": ["nginx:1.27"],
             "rollout": None, "aside": None, "sentence": "it is told to run nginx:1.27 already"}]},
        {"reason": "PINNED", "devices": 1, "first": [
            {"deviceUuid": nth(1), "device": {"uuid": nth(1)}, "name": "press 0000", "fleet": None, "images": ["nginx:1.26"],
             "rollout": None, "aside": {"kind": "PINNED", "reason": "a fair"}, "sentence": told["leftOut"][1]["first"][0]["sentence"]}]},
    ]  # fmt: skip
    assert told["batches"] == [{"number": 1, "devices": 1, "offeredDevices": 1}, {"number": 2, "devices": 1, "offeredDevices": 2}]
    assert {name: told[name] for name in ("images", "refusal", "totalDevices", "leftOutDevices", "supersedes", "policy", "openings")} == {
        "images": ["nginx:1.27"], "refusal": None, "totalDevices": 2, "leftOutDevices": 2, "supersedes": [], "policy": {"id": policy},
        "openings": [],
    }  # fmt: skip
    took = datetime.fromisoformat(told["finish"]["likely"]) - datetime.fromisoformat(told["at"])
    assert took == timedelta(minutes=10 + 5 + 10)
    for wrong in ({"policy": "x"}, {"policy": ROLLOUT}, {"image": "NGINX"}, {"sample": -1}, {"sample": 101}):
        assert (await previewed(**wrong))["code"] == "INVALID_INPUT", wrong
    assert (await previewed(policy=node_id("Policy", 99)))["code"] == "NOT_FOUND"
    assert await everything(server.db) == before

    created = (await rolled_out(api, policy, "nginx:1.27"))["number"]
    await eventually(lambda: offered(api, created), True)
    checksum = (await api.graphql("query ($number: Int!) { rollout(number: $number) { checksum totalDevices } }", number=created))[
        "rollout"
    ]
    assert checksum == {"checksum": told["checksum"], "totalDevices": 2}


async def test_a_device_explains_itself(api: Api) -> None:
    [agent] = await started(api, "nginx:1.26", healthCheckEnabled=False)
    await agent.obey()
    await eventually(api.status, "COMPLETED")
    document = f"""{{ device(uuid: "{agent.uuid}") {{ explain {{
      at sentences services {{ app service image rollout {{ number }} status since until sentences }} }} }} }}"""

    told = (await api.graphql(document))["device"]["explain"]

    [service] = told["services"]
    assert {name: service[name] for name in ("app", "service", "image", "rollout", "status", "until")} == {
        "app": "1001", "service": "web", "image": "nginx:1.27", "rollout": {"number": 1}, "status": "UPDATED", "until": None,
    }  # fmt: skip
    assert told["sentences"] == service["sentences"]
    assert service["sentences"][0].startswith(
        "web of app 1001 is told to run nginx:1.27: rollout 1 offered it in batch 1, whose turn came at "
    )
    assert service["sentences"][-1] == "rollout 1 is completed; should it be rolled back, the device returns to nginx:1.26"


# Devices set aside


async def test_a_device_says_what_is_written_on_it_and_why_it_joins_no_rollout(server: Running, api: Api) -> None:
    await api.device(nth(1), web("nginx:1.26"))
    read = f'{{ device(uuid: "{nth(1)}") {{ labels aside {{ kind until at by reason }} }} }}'
    assert (await api.graphql(read))["device"] == {"labels": {}, "aside": None}

    async def held(until: str) -> Any:
        return (await api.change("holdDevice", "device { aside { kind until by reason } }", uuid=nth(1), until=until))["device"]["aside"]

    until = (datetime.now(UTC) + timedelta(days=30)).isoformat()
    labelled = await api.change("setDeviceLabels", "device { labels }", uuid=nth(1), labels={"site": "north"})
    assert labelled == {"device": {"labels": {"site": "north"}}}
    assert await held(until) == {"kind": "HELD", "until": until, "by": "ops", "reason": None}
    await api.change("pinDevice", uuid=nth(1), reason="a fair")
    pinned = (await api.graphql(read))["device"]["aside"]
    assert pinned == {"kind": "PINNED", "until": None, "by": "ops", "reason": "a fair", "at": pinned["at"]}

    before = await everything(server.db)
    for bad in ("2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z", until[:19], "9999-12-31T23:59:59-14:00", "tomorrow", 7, None):
        assert (await refused_anyhow(api, "holdDevice", {"uuid": nth(1), "until": bad}))[0] in ("BAD_USER_INPUT", "INVALID_INPUT"), bad
    assert (await api.refusal("holdDevice", uuid=nth(1), until=until))[0] == "CONFLICT"
    labels: list[Any] = [[], "a", {"": "a"}, {"a": 1}, {"a": "v" * 256}, {"n" * 64: "a"}, {str(n): "" for n in range(65)}]
    for wrong in labels:
        assert (await api.refusal("setDeviceLabels", uuid=nth(1), labels=wrong))[0] == "INVALID_INPUT", wrong
    assert (await refused_anyhow(api, "setDeviceLabels", {"uuid": nth(1), "labels": None}))[0] == "BAD_USER_INPUT"
    assert (await api.refusal("pinDevice", uuid=nth(1), reason="r" * 501))[0] == "INVALID_INPUT"
    for name in ("pinDevice", "holdDevice", "releaseDevice", "setDeviceLabels"):
        assert (await api.refusal(name, **{**MUTATIONS[name], "uuid": UNKNOWN}))[0] == "NOT_FOUND", name
    assert await everything(server.db) == before

    await api.change("releaseDevice", uuid=nth(1))
    assert (await api.graphql(read))["device"] == {"labels": {"site": "north"}, "aside": None}


# Following


async def listed(api: Api, number: int = 1) -> list[Any]:
    """Every event of a rollout, as the query tells it."""
    document = (
        "query ($number: Int!) { rollout(number: $number) { events(first: 100) { nodes { cursor name deviceUuid revision data } } } }"
    )
    nodes = (await api.graphql(document, number=number))["rollout"]["events"]["nodes"]
    assert isinstance(nodes, list)
    return nodes


async def test_the_events_of_a_rollout_are_the_same_from_its_start_and_from_any_cursor(api: Api) -> None:
    agents = await started(api, *["nginx:1.26"] * 3, updateStrategy="STAGED", batchDelayMinutes=0)

    async def status_once_they_obeyed() -> str | None:
        for agent in agents:
            await agent.obey()
        return await api.status()

    await eventually(status_once_they_obeyed, "COMPLETED")
    await eventually(lambda: last_event(api), "image.rollout_completed")
    whole = await listed(api)

    assert await read_some(api, len(whole), EVENTS, id=ROLLOUT) == whole
    assert len({event["cursor"] for event in whole}) == len(whole)
    assert sorted(event["deviceUuid"] for event in whole if event["name"] == "image.device_scheduled") == [agent.uuid for agent in agents]
    async with asyncio.TaskGroup() as group:
        resumed = [
            group.create_task(read_some(api, len(whole) - number, EVENTS, id=ROLLOUT, after=event["cursor"]))
            for number, event in enumerate(whole[:-1], 1)
        ]
    for number, task in enumerate(resumed, 1):
        assert task.result() == whole[number:]


async def last_event(api: Api) -> str:
    return str((await listed(api))[-1]["name"])


async def test_whoever_follows_while_it_happens_misses_nothing(api: Api) -> None:
    [agent] = await api.devices("nginx:1.26")
    await api.policy(updateStrategy="MANUAL")
    await api.push("nginx:1.27")
    await eventually(api.status, "PENDING")
    heard: list[Any] = []

    async with asyncio.timeout(10), api.subscribed(EVENTS, id=ROLLOUT) as stream:
        async for answer in stream:
            heard.append(answer["rolloutEvents"])
            match heard[-1]["name"]:
                case "image.rollout_enrolled":
                    await api.request("start")
                case "image.device_scheduled":
                    await agent.obey()
                case "image.rollout_completed":
                    break

    assert heard == await listed(api)
    assert [event["revision"] for event in heard if event["revision"] is not None] == sorted(
        event["revision"] for event in heard if event["revision"] is not None
    )


async def test_progress_is_told_when_it_changes_and_ends_with_the_rollout(api: Api) -> None:
    [agent] = await started(api, "nginx:1.26")
    following = asyncio.create_task(read(api, PROGRESS, seconds=10, id=ROLLOUT))
    await asyncio.sleep(0.1)
    await agent.poll()
    await asyncio.sleep(1.2)
    await agent.report("nginx:1.27")

    told = await following

    assert told[0]["status"] == "IN_PROGRESS"
    assert told[0]["devices"] == {"pending": 0, "scheduled": 1, "updating": 0, "updated": 0}
    assert (told[-1]["status"], told[-1]["failureRate"]) == ("COMPLETED", 0)
    assert told[-1]["devices"] == {"pending": 0, "scheduled": 0, "updating": 0, "updated": 1}
    assert all(one != next_ for one, next_ in pairwise(told))
    assert await read(api, PROGRESS, id=ROLLOUT) == [told[-1]]


async def test_following_what_is_not_there_is_an_error_and_not_a_wait(api: Api) -> None:
    await started(api, "nginx:1.26")

    for document in (EVENTS, PROGRESS):
        assert await refusal(api, document, id=node_id("Rollout", 999)) == ("NOT_FOUND", "there is no rollout 999")
        assert (await refusal(api, document, id="x"))[0] == "BAD_USER_INPUT"
    assert (await refusal(api, EVENTS, id=ROLLOUT, after="nonsense")) == (
        "BAD_USER_INPUT",
        "after: this is not a cursor that was handed out here",
    )
    async with socket(api, bearer(api)) as ws:
        await ws.receive_json()
        await ws.send_json({"type": "subscribe", "id": "1", "payload": {"query": "subscription { nonsense }"}})
        error = await ws.receive_json()
        assert (error["id"], error["type"]) == ("1", "error")
        assert error["payload"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
        # The connection lives on, and takes queries too.
        await ws.send_json({"type": "subscribe", "id": "1", "payload": {"query": "{ rollout(number: 1) { number } }", "variables": None}})
        answer = await ws.receive_json()
        assert (answer["id"], answer["type"], answer["payload"]["data"]) == ("1", "next", {"rollout": {"number": 1}})
        assert await ws.receive_json() == {"id": "1", "type": "complete"}


async def test_who_stops_following_leaves_nothing_behind(api: Api) -> None:
    await started(api, "nginx:1.26")

    async with socket(api, bearer(api)) as ws:
        await ws.receive_json()
        for id, document in (("1", EVENTS), ("2", PROGRESS)):  # noqa: A001
            await ws.send_json({"type": "subscribe", "id": id, "payload": {"query": document, "variables": {"id": ROLLOUT}}})
        await eventually(followers, 2)
        await ws.send_json({"type": "complete", "id": "1"})
        await eventually(followers, 1)
        await ws.send_json({"type": "complete", "id": "1"})
        await ws.send_json({"type": "complete", "id": "unknown"})
        await ws.send_json({"type": "ping"})
        async with asyncio.timeout(5):
            while (await ws.receive_json())["type"] != "pong":
                pass
        await ws.send_json({"type": "subscribe", "id": "1", "payload": {"query": EVENTS, "variables": {"id": ROLLOUT}}})
        await eventually(followers, 2)
    await eventually(followers, 0)
    assert await read_some(api, 1, EVENTS, id=ROLLOUT) == (await listed(api))[:1]
