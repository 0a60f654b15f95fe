"""Rollwave's GraphQL API as an operator's program uses it: queries over HTTP, subscriptions over one WebSocket."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import getitem
from typing import Annotated, Any, Self

from aiohttp import TCPConnector
from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel

from domain.errors import Refused
from domain.statuses import DeviceStatus, Status
from tools.line import KEEP_ALIVE

_COUNTS = " ".join(f"{status.value}: {to_camel(status.value)}" for status in DeviceStatus)


class _Seen(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel)


class Progress(_Seen):
    """A rollout at one moment."""

    status: Annotated[Status, BeforeValidator(lambda name: Status[name])]
    reason: str | None
    current_batch: int
    total_batches: int
    total_devices: int
    offered_devices: int
    devices: dict[DeviceStatus, int]


class Event(_Seen):
    """Something that happened to a rollout."""

    at: datetime
    name: str
    data: dict[str, Any]


class Batch(_Seen):
    """Devices that are offered the image together."""

    number: int
    planned_devices: int


class Ref(_Seen):
    """What a rollout is known by, to programs and to people."""

    id: str
    number: int


class Decision(_Seen):
    """What was decided about a push."""

    rollout: Ref | None
    started: bool
    sentence: str


class Told(_Seen):
    """What a device should run."""

    apps: dict[str, Any]
    version: int


class Said(_Seen):
    """What a device last reported."""

    apps: dict[str, Any]
    version: int | None


class Known(_Seen):
    """All that the server knows of one device."""

    uuid: str
    target_state: Told
    current_state: Said | None


@dataclass(frozen=True, slots=True)
class Api:
    """An operator's two connections."""

    http: AsyncClientSession
    socket: AsyncClientSession

    @classmethod
    @asynccontextmanager
    async def connect(cls, url: str, token: str) -> AsyncIterator[Self]:
        """Open both for as long as the block runs."""
        authorization = {"Authorization": f"Bearer {token}"}
        connector = TCPConnector(keepalive_timeout=KEEP_ALIVE)
        asks = AIOHTTPTransport(url=f"{url}/graphql", headers=authorization, client_session_args={"connector": connector})
        follows = AIOHTTPWebsocketsTransport(
            url=f"{url.replace('http', 'ws', 1)}/graphql", subprotocols=["graphql-transport-ws"], init_payload=authorization
        )
        async with Client(transport=asks) as http, Client(transport=follows) as socket:
            yield cls(http, socket)

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """One query or mutation; raises TransportQueryError with the server's sentence."""
        return await self.http.execute(GraphQLRequest(query, variable_values=variables))

    async def decisions(self, delivery: str) -> list[Decision]:
        """What is decided about a webhook, once that is so."""
        query = """
            query ($delivery: Int!) { delivery(number: $delivery) {
              pushes { dueAt decisions { rollout { id number } started sentence } }
            } }"""
        pushes = (await self.ask(query, delivery=int(delivery)))["delivery"]["pushes"]
        while any(push["dueAt"] for push in pushes):
            await asyncio.sleep(0.1)
            pushes = (await self.ask(query, delivery=int(delivery)))["delivery"]["pushes"]
        return [Decision.model_validate(one) for push in pushes for one in push["decisions"]]

    async def progress(self, rollout: str) -> AsyncGenerator[Progress, None]:
        """A rollout's progress whenever it changes, to its end."""
        query = f"""
            subscription ($rollout: ID!) {{
              rolloutProgress(id: $rollout) {{
                status reason currentBatch totalBatches totalDevices offeredDevices devices {{ {_COUNTS} }}
              }}
            }}"""
        async for said in self.socket.subscribe(GraphQLRequest(query, variable_values={"rollout": rollout})):
            yield Progress.model_validate(said["rolloutProgress"])

    async def events(self, rollout: str) -> AsyncGenerator[Event, None]:
        """Everything that happens to a rollout, from its beginning."""
        query = "subscription ($rollout: ID!) { rolloutEvents(id: $rollout) { at name data } }"
        async for said in self.socket.subscribe(GraphQLRequest(query, variable_values={"rollout": rollout})):
            yield Event.model_validate(said["rolloutEvents"])

    async def batches(self, rollout: str) -> list[Batch]:
        """How a rollout is divided; empty until its devices are ranked."""
        said = await self.ask("query ($rollout: ID!) { rollout(id: $rollout) { batches { number plannedDevices } } }", rollout=rollout)
        return [Batch.model_validate(batch) for batch in said["rollout"]["batches"]]

    async def image(self, rollout: str) -> str:
        """What a rollout brings."""
        said = await self.ask("query ($rollout: ID!) { rollout(id: $rollout) { image { reference } } }", rollout=rollout)
        return str(said["rollout"]["image"]["reference"])

    async def rollouts_after(self, last: int) -> list[Ref]:
        """The rollouts created after this one, oldest first."""
        said = await self.ask("{ rollouts(first: 20) { nodes { id number } } }")
        return [Ref.model_validate(node) for node in reversed(said["rollouts"]["nodes"]) if node["number"] > last]

    async def devices(self) -> list[Known]:
        """Every device, in the order they registered."""
        query = """
            query ($after: String) { devices(first: 100, after: $after) {
              nodes { uuid targetState { apps version } currentState { apps version } } pageInfo { hasNextPage endCursor }
            } }"""
        return [Known.model_validate(node) async for node in self._all(query, "devices")]

    async def device(self, uuid: str, rollout: str) -> tuple[Known, DeviceStatus | None]:
        """One device, and where it is in a rollout."""
        query = """
            query ($uuid: UUID!) { device(uuid: $uuid) {
              uuid targetState { apps version } currentState { apps version } rollouts(first: 10) { nodes { rollout { id } status } }
            } }"""
        said = (await self.ask(query, uuid=uuid))["device"]
        places = {node["rollout"]["id"]: DeviceStatus[node["status"]] for node in said["rollouts"]["nodes"]}
        return Known.model_validate(said), places.get(rollout)

    async def statuses(self, rollout: str) -> dict[str, DeviceStatus]:
        """Where each device of a rollout is, by uuid."""
        query = """
            query ($after: String, $rollout: ID!) { rollout(id: $rollout) { devices(first: 100, after: $after) {
              nodes { deviceUuid status } pageInfo { hasNextPage endCursor }
            } } }"""
        return {node["deviceUuid"]: DeviceStatus[node["status"]] async for node in self._all(query, "rollout", "devices", rollout=rollout)}

    async def _all(self, query: str, *path: str, **variables: Any) -> AsyncIterator[dict[str, Any]]:
        """What a list holds, page by page; `path` says where it is in the answer."""
        after, is_more = None, True
        while is_more:
            page = reduce(getitem, path, await self.ask(query, after=after, **variables))
            for node in page["nodes"]:
                yield node
            after, is_more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]

    async def create_provisioning_key(self, fleet: str) -> str:
        """A key that lets devices register in a fleet."""
        return str((await self._change("createProvisioningKey", "secret", name=fleet, fleet=fleet))["secret"])

    async def set_target(self, uuid: str, apps: dict[str, Any]) -> None:
        """Tell one device what to run."""
        await self._change("setDeviceTarget", "__typename", uuid=uuid, apps=apps)

    async def create_policy(self, **policy: Any) -> str:
        """A new policy; returns its id."""
        return str((await self._change("createPolicy", "policy { id }", **policy))["policy"]["id"])

    async def _change(self, mutation: str, wanted: str, **values: Any) -> Any:
        """The payload of a mutation; raises Refused with the server's sentence."""
        kind = mutation[0].upper() + mutation[1:]
        payload = f"... on {kind}Payload {{ {wanted} }} ... on Error {{ refused: message }}"
        document = f"mutation ($input: {kind}Input!) {{ done: {mutation}(input: $input) {{ {payload} }} }}"
        done = (await self.ask(document, input=values))["done"]
        if "refused" in done:
            raise Refused(done["refused"])
        return done
