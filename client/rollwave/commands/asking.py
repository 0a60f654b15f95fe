"""Commands that ask the server."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from rollwave import access
from rollwave.connection import Rollwave

P = ParamSpec("P")
T = TypeVar("T")


def asking(command: Callable[Concatenate[Rollwave, P], Awaitable[T]]) -> Callable[P, T]:
    """Run it with a connection to the server that is logged in to."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        return asyncio.run(_asked(lambda rollwave: command(rollwave, *args, **kwargs)))

    return run


async def _asked(ask: Callable[[Rollwave], Awaitable[T]]) -> T:
    login = access.current()
    async with Rollwave(login.url, login.token) as rollwave:
        return await ask(rollwave)
