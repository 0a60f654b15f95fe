"""Asks registries that cannot call for new tags; of several processes one asks about a repository."""

from collections.abc import Sequence

from domain.polling import Polled
from monitor.abreast import abreast
from resolvers import polling
from resolvers.context import Context


async def poll(ctx: Context) -> None:
    """Ask about whatever is due, until nothing is."""
    every = await polling.wanted(ctx)

    async def claim(spared: Sequence[str]) -> tuple[str, Polled] | None:
        polled = await polling.claim(ctx, every, spared)
        return None if polled is None else (polled.repository.partition("/")[0], polled)

    async def look(polled: Polled) -> None:
        await polling.look(ctx, polled, every[polled.repository])

    await abreast(claim, look)
