"""Asks registries that cannot call for new tags, one repository after another; of several processes one asks each."""

from resolvers import polling
from resolvers.context import Context


async def poll(ctx: Context) -> None:
    """Ask whatever is due, until nothing is."""
    every = await polling.wanted(ctx)
    while await polling.poll_next(ctx, every):
        pass
