"""A server in a thread of its own, for clients that do nothing else while they wait."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from server.process import Running, running
from server.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Apart:
    """A server that answers while this thread waits."""

    server: Running
    _loop: asyncio.AbstractEventLoop

    @property
    def url(self) -> str:
        return self.server.url

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What this comes to, over there."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)


@contextmanager
def apart(settings: Settings, url: str) -> Iterator[Apart]:
    """Serve in another thread while the block runs."""
    begun: Future[Apart] = Future()
    end = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(settings, url, begun, end)), name="server")
    thread.start()
    try:
        yield begun.result(60)
    finally:
        end.set()
        thread.join()


async def _serve(settings: Settings, url: str, begun: Future[Apart], end: threading.Event) -> None:
    try:
        async with running(settings, url) as server:
            begun.set_result(Apart(server, asyncio.get_running_loop()))
            await asyncio.to_thread(end.wait)
    except Exception as error:
        if begun.done():
            raise
        begun.set_exception(error)
