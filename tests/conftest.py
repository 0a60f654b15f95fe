"""One PostgreSQL for the whole run, one database for each test, cloned from a template that has the tables."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from time import monotonic

import asyncpg
import pytest
from cryptography.fernet import Fernet

from domain.actors import Actor
from registries.oci.session import client
from resolvers.context import Context
from resolvers.feed import Feed
from resolvers.vault import Vault
from server.embedded import embedded_postgres
from server.process import Running, running
from server.settings import Settings
from storage.database import Database
from storage.migrate import migrate
from tests.api import Api
from tests.clock import MovableClock
from tests.factories import name
from tests.field import Field
from tests.registry import LittleRegistry, registry

SECRET = "a-secret-for-webhooks"
KEYS = (Fernet.generate_key().decode(),)
_numbers = count(1)


@pytest.fixture(scope="session")
def cluster() -> Iterator[str]:
    """The URL of a PostgreSQL where databases may be made: DATABASE_URL, or an embedded one that does not wait for the disk."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    directory = Path(tempfile.mkdtemp(prefix="rollwave-test-"))
    directory.chmod(0o755)  # as root the server runs under another user, who has to get in
    try:
        with embedded_postgres(directory / "data", {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}) as url:
            yield url
    finally:
        shutil.rmtree(directory)


@pytest.fixture(scope="session")
async def template(cluster: str) -> AsyncIterator[str]:
    """A database with the tables and nothing in them."""
    name = f"rollwave_template_{os.getpid()}"
    await _run(cluster, f"create database {name}")
    await migrate(_at(cluster, name))
    yield name
    await _run(cluster, f"drop database {name} with (force)")


@pytest.fixture
async def database_url(cluster: str, template: str) -> AsyncIterator[str]:
    """A database of this test's own."""
    async with a_database(cluster, template) as url:
        yield url


@pytest.fixture
def clock() -> MovableClock:
    """The database's clock, which the test may move."""
    return MovableClock()


@pytest.fixture
async def db(database_url: str, clock: MovableClock) -> AsyncIterator[Database]:
    """A pool on this test's database."""
    async with Database.connect(database_url, clock=clock) as database:
        yield database


@pytest.fixture
def operator(db: Database) -> Context:
    """An operator in this process, with nothing running beside."""
    return Context(db, Feed(), Actor.operator("ops"), Vault(KEYS))


@pytest.fixture
async def field(operator: Context, clock: MovableClock) -> AsyncIterator[Field]:
    """Devices that poll and report. At the end every rollout is what its history says."""
    field = Field(operator, clock)
    yield field
    await field.histories_give_the_rows()


@pytest.fixture
async def little() -> AsyncIterator[LittleRegistry]:
    """A registry on this machine."""
    async with registry() as little:
        yield little


@pytest.fixture
async def asking(operator: Context, little: LittleRegistry, clock: MovableClock) -> AsyncIterator[Context]:
    """An operator who let that registry be asked; what it wants to rest for passes by the test's clock."""
    async with client(seconds=1, clock=lambda: monotonic() + clock.ahead.total_seconds()) as registries:
        asking = replace(operator, registries=registries)
        await name(asking, little)
        yield asking


@pytest.fixture
def settings() -> Settings:
    """A server on a free port."""
    return Settings(port=0, webhook_secret=SECRET, encryption_keys=KEYS)


@pytest.fixture
async def server(database_url: str, settings: Settings, clock: MovableClock) -> AsyncIterator[Running]:
    """A whole server over real sockets."""
    async with running(settings, database_url, clock=clock) as server:
        yield server


@pytest.fixture
async def api(server: Running) -> AsyncIterator[Api]:
    """A client of that server who holds an operator's token."""
    async with Api.of(server, SECRET) as api:
        yield api


@asynccontextmanager
async def a_database(cluster: str, template: str) -> AsyncIterator[str]:
    """A database with the tables, for as long as the block runs."""
    name = f"rollwave_test_{os.getpid()}_{next(_numbers)}"
    await _run(cluster, f"create database {name} template {template}")
    yield _at(cluster, name)
    await _run(cluster, f"drop database {name} with (force)")


async def _run(url: str, statement: str) -> None:
    conn = await asyncpg.connect(url)
    try:
        await conn.execute(statement)
    finally:
        await conn.close()


def _at(url: str, database: str) -> str:
    """The same server, another database."""
    head, _, query = url.partition("?")
    return f"{head.rpartition('/')[0]}/{database}" + (f"?{query}" if query else "")
