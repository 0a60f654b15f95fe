"""The server under test, and the operator's side of it."""

import os
from collections.abc import AsyncIterator

import pytest

from resolvers import tokens
from server.process import running
from server.settings import Settings
from tests.api import Api
from tests.conformance.agents import Agent
from tests.conftest import KEYS, a_database

FLEET = "conformance"


@pytest.fixture(scope="session")
async def ours(cluster: str, template: str) -> AsyncIterator[tuple[str, str]]:
    """A server of our own, and a token for it."""
    async with a_database(cluster, template) as url, running(Settings(port=0, encryption_keys=KEYS), url) as server:
        yield server.url, await tokens.issue(server.db, "conformance")


@pytest.fixture(scope="session")
def address(request: pytest.FixtureRequest) -> tuple[str, str]:
    """The server that is asked, and an operator's token."""
    if url := os.environ.get("ROLLWAVE_URL"):
        return url.rstrip("/"), os.environ["ROLLWAVE_TOKEN"]
    url, token = request.getfixturevalue("ours")
    return url, token


@pytest.fixture(scope="session")
async def operator(address: tuple[str, str]) -> AsyncIterator[Api]:
    """Who sets targets, makes policies and reads what devices said."""
    async with Api.at(*address, secret="") as operator:
        yield operator


@pytest.fixture
async def provisioning(operator: Api) -> str:
    """A key that lets devices register."""
    return await operator.provisioning_key(FLEET)


@pytest.fixture
def stranger(operator: Api) -> Agent:
    """A device that is not registered."""
    return Agent.new(operator.http)


@pytest.fixture
async def agent(stranger: Agent, provisioning: str) -> Agent:
    """A device that is registered."""
    assert (await stranger.register(provisioning)).status == 200
    return stranger


@pytest.fixture
async def other(operator: Api, provisioning: str) -> Agent:
    """Another device."""
    other = Agent.new(operator.http)
    assert (await other.register(provisioning)).status == 200
    return other
