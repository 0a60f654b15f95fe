"""Connections that are cut before one of their statements."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from storage.database import Database
from tests.clock import MovableClock

CUT = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Fuse:
    """Cuts the connection before the n-th statement from when it was set."""

    left: int | None = None
    statements = 0
    cuts = 0

    @classmethod
    def burn(cls, conn: "asyncpg.Connection[Any]") -> None:
        cls.statements += 1
        if cls.left is not None:
            cls.left -= 1
            if cls.left == 0:
                cls.cuts += 1
                conn._transport.abort()  # type: ignore[attr-defined]


class FusedConnection(asyncpg.Connection):
    """A connection with a fuse in front of every statement, those that begin and end transactions among them."""

    async def _execute(self, query: str, *args: Any, **kwargs: Any) -> Any:
        if "pg_notify" not in query:
            Fuse.burn(self)
        return await super()._execute(query, *args, **kwargs)  # type: ignore[misc]

    async def execute(self, query: str, *args: Any, **kwargs: Any) -> str:
        if not args:
            Fuse.burn(self)
        return await super().execute(query, *args, **kwargs)


@asynccontextmanager
async def an_instance(url: str, clock: MovableClock, size: int = 2) -> AsyncIterator[Database]:
    """The database as another process sees it, through connections with fuses."""
    async with Database.connect(url, clock=clock, size=size, connection_class=FusedConnection) as db:
        yield db


@pytest.fixture
def no_fuse_is_left() -> Iterator[None]:
    """Nothing is cut once the test is over."""
    yield
    Fuse.left = None
