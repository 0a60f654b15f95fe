"""Servers of the tests as processes of their own."""

from contextlib import AbstractAsyncContextManager

from tests.conftest import SECRET
from tools import processes
from tools.processes import Process


def a_process(database_url: str) -> AbstractAsyncContextManager[Process]:
    """A server that is gone when the block ends."""
    return processes.a_process(database_url, SECRET)
