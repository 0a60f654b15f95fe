"""Rollwave as in `tests`, and a docker-registry for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from live.registry import Registry, a_registry
from live.site import Site
from tests.api import Api
from tests.clock import MovableClock

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
