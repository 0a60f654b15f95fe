"""Rollwave as in `tests`, a docker-registry for each test, and a rollout to follow."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from live.registry import Registry, a_registry
from live.site import Site
from live.story import Story
from server.process import Running
from storage.database import Database
from tests.api import Api
from tests.clock import MovableClock
from tests.conftest import SECRET
from tools.processes import Process, a_process

pytest_plugins = ("tests.conftest",)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    """A registry that is not started yet."""
    async with a_registry(tmp_path) as registry:
        yield registry


@pytest.fixture
def site(api: Api, registry: Registry, clock: MovableClock) -> Site:
    """Where a test takes place."""
    return Site(api, registry, clock)


@pytest.fixture
async def story(api: Api) -> Story:
    """A rollout under way."""
    return await Story.begun(api)


@pytest.fixture
async def process(database_url: str) -> AsyncIterator[Process]:
    """A server that can be stopped, and started again on the same port."""
    async with a_process(database_url, SECRET) as process:
        yield process


@pytest.fixture
async def interrupted(process: Process, db: Database) -> AsyncIterator[Story]:
    """A rollout under way on that server."""
    async with Api.of(Running(process.url, db), SECRET) as api:
        yield await Story.begun(api)
