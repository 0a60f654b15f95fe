"""A client of a running server, over real HTTP and WebSocket."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from datetime import datetime
from typing import Any, Self

import aiohttp
import orjson
from gql import Client, gql
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport

from resolvers import tokens
from schema.nodes import node_id
from server.process import Running
from storage.database import Database


class Api:
    """What a frontend, an automation, a registry and a device would send."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str, secret: str) -> None:
        self.http = http
        self.url = url
        self.token = token
        self.secret = secret

    @classmethod
    @asynccontextmanager
    async def of(cls, server: Running, secret: str) -> AsyncIterator[Self]:
        """A client with a fresh token."""
        async with cls.at(server.url, await tokens.issue(server.db, "ops"), secret) as api:
            yield api

    @classmethod
    @asynccontextmanager
    async def at(cls, url: str, token: str, secret: str) -> AsyncIterator[Self]:
        """A client with a token that it was given."""
        async with aiohttp.ClientSession(url) as http:
            yield cls(http, url, token, secret)

    async def graphql(self, document: str, **variables: Any) -> Any:
        """The data of an answer without errors."""
        answer = await self.ask(document, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    async def change(self, mutation: str, wanted: str = "__typename", /, **values: Any) -> Any:
        """The payload of a mutation that was not refused, with the fields that are wanted."""
        answer = (await self.graphql(mutation_of(mutation, wanted), input=values))["done"]
        assert "refused" not in answer, answer
        return answer

    async def refusal(self, mutation: str, /, **values: Any) -> tuple[str, str]:
        """The code and the sentence of a mutation that changed nothing."""
        answer = (await self.graphql(mutation_of(mutation, "__typename"), input=values))["done"]
        return answer["refused"], answer["message"]

    async def refused(self, document: str, **variables: Any) -> tuple[str, str]:
        """The code and the sentence of an answer that refuses."""
        [error] = (await self.ask(document, **variables))["errors"]
        return error["extensions"]["code"], error["message"]

    async def ask(self, document: str, **variables: Any) -> Any:
        """An answer, whatever it says."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.http.post("/graphql", json={"query": document, "variables": variables}, headers=headers) as response:
            return await response.json()

    def stranger(self) -> "Api":
        """The same client without a token."""
        return Api(self.http, self.url, "", self.secret)

    async def webhook(self, body: Any, secret: str | None = None) -> tuple[int, Any]:
        """Post to the webhook with the secret in its path."""
        async with self.http.post(f"/api/v1/webhooks/docker-registry/{secret or self.secret}", json=body) as response:
            return response.status, await response.json()

    async def told(self, body: Any) -> list[Any]:
        """Post to the webhook, and what is decided of it."""
        status, answer = await self.webhook(body)
        assert status == 202, answer
        return await self.decided(answer["delivery_id"])

    async def push(self, image: str) -> list[Any]:
        """Docker Hub says an image was pushed; what is decided of it."""
        name, _, tag = image.partition(":")
        return await self.told({"repository": {"repo_name": name}, "push_data": {"tag": tag}})

    async def delivery(self, delivery: str) -> Any:
        """What was posted, by the number its sender was answered, and what came of it so far; all as `flat` has it."""
        answer = await self.graphql(
            """query ($number: Int!) { delivery(number: $number) {
                 id number sender key times headers body endpoint { number }
                 pushes { image { reference } resolved { reference } source dueAt waitsFor
                          decisions { image { reference } policy { number } rollout { number } started sentence } }
               } }""",
            number=int(delivery),
        )
        return flat(answer["delivery"])

    async def decided(self, delivery: str) -> list[Any]:
        """What was decided of a delivery, once everything is."""
        async with asyncio.timeout(10):
            while any(push["dueAt"] for push in (await self.delivery(delivery))["pushes"]):
                await asyncio.sleep(0.02)
        found = await self.delivery(delivery)
        return [decision for push in found["pushes"] for decision in push["decisions"]]

    @asynccontextmanager
    async def subscribed(self, document: str, **variables: Any) -> AsyncIterator[AsyncIterator[Any]]:
        """A subscription over graphql-transport-ws."""
        transport = AIOHTTPWebsocketsTransport(
            url=f"{self.url.replace('http', 'ws', 1)}/graphql", init_payload={"Authorization": f"Bearer {self.token}"}
        )
        async with Client(transport=transport) as session:
            query = gql(document)
            query.variable_values = variables
            async with aclosing(session.subscribe(query)) as answers:
                yield answers

    async def provisioning_key(self, fleet: str | None = None, **more: Any) -> str:
        """A key that lets devices register."""
        wanted = {"name": "tests", "fleet": fleet, **more}
        return str((await self.change("createProvisioningKey", "secret", **wanted))["secret"])

    async def policy(self, **settings: Any) -> str:
        """A policy, by its id: nginx for everybody at once, good as soon as it runs, unless the settings say otherwise."""
        wanted = {"imagePattern": "nginx*", "updateStrategy": "AUTO", "healthCheckEnabled": False, **settings}
        return str((await self.change("createPolicy", "policy { id }", **wanted))["policy"]["id"])

    async def rollout(self, number: int = 1) -> Any:
        """A rollout, and the status of each of its devices by uuid; None if there is no such rollout."""
        answer = await self.graphql(
            """query ($number: Int!) { rollout(number: $number) {
                 id number image { reference } status reason revision currentBatch totalBatches totalDevices offeredDevices
                 devices { nodes { deviceUuid status } }
               } }""",
            number=number,
        )
        rollout = flat(answer["rollout"])
        if rollout is not None:
            rollout["devices"] = {place["deviceUuid"]: place["status"] for place in rollout["devices"]["nodes"]}
        return rollout

    async def status(self, number: int = 1) -> str | None:
        """Where a rollout is in its life."""
        rollout = await self.rollout(number)
        return None if rollout is None else str(rollout["status"])

    async def batch(self, number: int = 1) -> int | None:
        """Which batch of a rollout is open; after that nothing more happens until a device says something."""
        rollout = await self.rollout(number)
        return None if rollout is None else int(rollout["currentBatch"])

    async def request(self, move: str, number: int = 1) -> str:
        """Ask a rollout to move: start, pause, resume, cancel or rollBack; returns what it became."""
        moved = await self.change(f"{move}Rollout", "rollout { status }", id=node_id("Rollout", number))
        return str(moved["rollout"]["status"])

    async def device(self, uuid: str, apps: Any = None, *, fleet: str | None = None) -> "Agent":
        """A registered device, told to run these apps."""
        agent = Agent(self.http, uuid)
        await agent.register(await self.provisioning_key(fleet))
        if apps is not None:
            await self.set_target(uuid, apps)
        return agent

    async def devices(self, *images: str, fleet: str | None = None, first: int = 1) -> list["Agent"]:
        """A device for each image, in their order; `first` is the number of the first."""
        return [await self.device(nth(number), web(image), fleet=fleet) for number, image in enumerate(images, first)]

    async def seen(self, uuid: str) -> datetime:
        """When a device was last heard of, once that is written down."""
        async with asyncio.timeout(10):
            while not (seen := await self._last_seen(uuid)):
                await asyncio.sleep(0.05)
        return datetime.fromisoformat(seen)

    async def _last_seen(self, uuid: str) -> str | None:
        answer = await self.graphql("query ($uuid: UUID!) { device(uuid: $uuid) { lastSeenAt } }", uuid=uuid)
        seen: str | None = answer["device"]["lastSeenAt"]
        return seen

    async def target(self, uuid: str) -> Any:
        """What a device should run, as people see it."""
        answer = await self.graphql("query ($uuid: UUID!) { device(uuid: $uuid) { targetState { apps config version } } }", uuid=uuid)
        return answer["device"]["targetState"]

    async def image(self, uuid: str) -> str:
        """The image a device's one service should run."""
        return image_of(await self.target(uuid))

    async def set_target(self, uuid: str, apps: Any) -> Any:
        """Tell a device what to run."""
        return (await self.change("setDeviceTarget", "targetState { version apps }", uuid=uuid, apps=apps))["targetState"]


class Agent:
    """A device in the field, as agent A2 speaks."""

    def __init__(self, http: aiohttp.ClientSession, uuid: str) -> None:
        self.http = http
        self.uuid = uuid
        self.key = uuid.replace("-", "") * 2
        self.etag: str | None = None
        self.version: int | None = None

    async def register(self, provisioning_key: str) -> tuple[int, Any]:
        """Introduce itself."""
        body = {"uuid": self.uuid, "deviceName": f"press {self.uuid[:4]}", "deviceType": "pi4", "deviceApiKey": self.key}
        headers = {"Authorization": f"Bearer {provisioning_key}"}
        async with self.http.post("/api/v1/device/register", json=body, headers=headers) as response:
            return response.status, await response.json()

    async def poll(self) -> tuple[int, Any]:
        """Ask for the target state; remembers the ETag as agents do."""
        headers = {"X-Device-API-Key": self.key} | ({"if-none-match": self.etag} if self.etag else {})
        async with self.http.get(f"/api/v1/device/{self.uuid}/state", headers=headers) as response:
            body = (await response.json())[self.uuid] if response.status == 200 else None
            self.etag = response.headers.get("etag")
            self.version = body["version"] if body else self.version
            return response.status, body

    async def report(self, image: str, status: str = "running", **more: Any) -> int:
        """Say what runs."""
        service = {"serviceName": "web", "imageName": image, "status": status, **more}
        return await self.send({"apps": {"1001": {"appId": 1001, "services": [service]}}, "version": self.version})

    async def send(self, state: Any) -> int:
        """A report of any shape."""
        status, _ = await self.send_body(orjson.dumps({self.uuid: state}))
        return status

    async def send_body(self, body: bytes, **headers: str) -> tuple[int, Any]:
        """A report of any bytes."""
        headers = {"X-Device-API-Key": self.key, **headers}
        async with self.http.patch("/api/v1/device/state", data=body, headers=headers) as response:
            return response.status, await (response.json() if response.content_type == "application/json" else response.text())

    async def obey(self, **more: Any) -> str:
        """Poll, and report that what was asked for runs; returns the image."""
        _, body = await self.poll()
        if body is not None:
            self.image = image_of(body)
        assert await self.report(self.image, **more) == 200
        return self.image


def mutation_of(name: str, wanted: str) -> str:
    """The document of a mutation whose answer is called `done`."""
    kind = name[0].upper() + name[1:]
    payload = f"... on {kind}Payload {{ {wanted} }} ... on Error {{ refused: code message }}"
    return f"mutation ($input: {kind}Input!) {{ done: {name}(input: $input) {{ {payload} }} }}"


def flat(answer: Any) -> Any:
    """An answer in which images, and whatever was asked for by its number alone, stand as their names and numbers."""
    match answer:
        case {"reference": reference, **rest} if not rest:
            return reference
        case {"number": number, **rest} if not rest:
            return number
        case dict():
            return {name: flat(value) for name, value in answer.items()}
        case list():
            return [flat(value) for value in answer]
    return answer


def nth(number: int) -> str:
    """The uuid of the n-th device."""
    return f"00000000-0000-4000-8000-{number:012}"


def image_of(target: Any) -> str:
    """The image of the one service in a target, the same wherever agents look."""
    service = target["apps"]["1001"]["services"][0]
    assert service["imageName"] == service["config"]["image"]
    return str(service["imageName"])


async def everything(db: Database) -> dict[str, list[Any]]:
    """All there is in the database: for saying that nothing changed. But for when devices were heard of and tokens used."""
    async with db.reading() as conn:
        tables = [row["name"] for row in await conn.fetch("select tablename as name from pg_tables where schemaname = 'public'")]
        return {table: [_lasting(row) for row in await conn.fetch(f"select * from {table} order by 1, 2")] for table in tables}


def _lasting(row: Any) -> tuple[Any, ...]:
    return tuple(value for name, value in row.items() if name not in ("last_seen_at", "last_used_at"))


def web(image: str, app: str = "monitoring") -> dict[str, Any]:
    """The apps of a device with one service."""
    return {
        "1001": {
            "appId": 1001,
            "appName": app,
            "services": [{"serviceId": 7, "serviceName": "web", "imageName": image, "config": {"ports": ["8080:80"]}}],
        }
    }


async def eventually(check: Callable[[], Awaitable[Any]], wanted: Any, seconds: float = 10) -> None:
    """Ask again until the answer is what is wanted."""
    answer: Any = None
    try:
        async with asyncio.timeout(seconds):
            while (answer := await check()) != wanted:
                await asyncio.sleep(0.02)
    except TimeoutError:
        assert answer == wanted, f"not within {seconds} s, but {answer!r}"
