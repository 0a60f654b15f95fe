"""What devices do, through the use cases, for tests that have no server: poll and report, each alone."""

import asyncio

from domain.devices import Report
from domain.ids import DeviceId
from domain.targets import Target
from resolvers import devices
from resolvers.context import Context
from resolvers.polls import Question, known_to, parsed
from resolvers.reports import Said, save
from storage import presence


async def poll(ctx: Context, device: DeviceId) -> Target:
    """What a device is told, and that it was heard of."""
    found = await devices.by_id(ctx, device)
    assert found is not None
    async with ctx.db.transaction() as conn:
        await presence.seen(conn, [device], await ctx.db.now(conn))
    question = Question(parsed(found.uuid), True)
    async with asyncio.timeout(60):
        while not (told := (await known_to(ctx.db, [question])).get(question)):
            await asyncio.sleep(0.01)
    return told.target


async def report(ctx: Context, device: DeviceId, uuid: str, report: Report) -> None:
    """A device says something, until it is heard."""
    said = Said.by(device, uuid, report)
    async with ctx.db.transaction() as conn:
        await presence.seen(conn, [device], await ctx.db.now(conn))
    async with asyncio.timeout(60):
        while not await save(ctx.db, [said]):
            await asyncio.sleep(0.01)
