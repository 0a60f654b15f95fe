"""GraphQL over the same objects in memory, by Rollwave's stack and by Strawberry as it comes, each in a process of its own."""

import argparse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import StrEnum

import strawberry
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp
from strawberry.asgi import GraphQL

from domain.actors import Actor
from resolvers.budget import Budget
from resolvers.context import Context
from resolvers.feed import Feed
from schema.build import schema
from schema.session import Session
from server.bodies import Bounded
from server.graphql.callers import Caller
from server.graphql.documents import Documents
from server.graphql.endpoint import Endpoint
from server.graphql.operations import Operations
from server.process import served
from server.settings import Settings
from tools.processes import Process, living


@strawberry.enum
class Status(StrEnum):
    """Where a device is."""

    ONLINE = "online"
    OFFLINE = "offline"


@strawberry.type
class Device:
    """As many fields as a client asks of a row in a table."""

    id: strawberry.ID
    name: str
    image: str
    version: int
    status: Status
    fleet: str | None


def _device(number: int) -> Device:
    key, fleet = strawberry.ID(f"RGV2aWNlOj{number}"), None if number % 2 else "berlin"
    return Device(id=key, name=f"lamp {number}", image="acme/lamp:1.0.0", version=14, status=Status.ONLINE, fleet=fleet)


DEVICES = [_device(number) for number in range(50)]


@strawberry.type
class Query:
    """What both are asked."""

    @strawberry.field
    async def device(self) -> Device:
        """One of them."""
        return DEVICES[0]

    @strawberry.field
    async def devices(self) -> list[Device]:
        """All fifty."""
        return DEVICES


_CALLER = Context(None, Feed(), Actor.operator("bench"))  # type: ignore[arg-type] # no field here reads a database


class _Known(Caller):
    def __init__(self) -> None:
        pass

    async def session(self, request: str) -> Session:
        return Session(_CALLER, Budget(10**12))


class _Ours(Endpoint):
    """Rollwave's endpoint, with everything of its schema but the types, for a caller whom no database has to vouch for."""

    def __init__(self) -> None:
        super().__init__(Settings())
        alike = type(schema)(
            Query, extensions=schema.extensions, config=schema.config, execution_context_class=schema.execution_context_class
        )
        self.operations = Operations(Documents(), alike)

    def caller(self, request: Request) -> Caller:
        return _Known()


def stock() -> ASGIApp:
    """What Strawberry's documentation shows."""
    return Starlette(routes=[Route("/graphql", GraphQL[object, None](strawberry.Schema(Query)))])


def ours() -> ASGIApp:
    """What server.app puts around the endpoint."""
    return Starlette(routes=[Route("/graphql", _Ours())], middleware=[Middleware(Bounded)])


@asynccontextmanager
async def serving(name: str) -> AsyncIterator[str]:
    """The address of one of them, which runs as long as the block."""
    async with living(Process("tools.queries", name)) as process:
        yield process.url


def main() -> None:
    """Serve one of them on ROLLWAVE_PORT."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=("ours", "stock"))
    app = {"ours": ours, "stock": stock}[parser.parse_args().name]()
    uvloop.run(uvicorn.Server(served(app, Settings.read())).serve())


if __name__ == "__main__":
    main()
