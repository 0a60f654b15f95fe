"""What operators say of images, where a policy takes approved ones only."""

from datetime import datetime

from domain.actors import Permission
from domain.catalogue import KnownImage, Standing, covers, standing
from domain.errors import BadInput
from domain.events import EventType
from domain.images import Image, split
from resolvers.context import Context
from storage import catalogue, enrolment, events, pushes
from storage.connection import Connection

_TOLD = {
    Standing.APPROVED: EventType.IMAGE_APPROVED,
    Standing.REJECTED: EventType.IMAGE_REJECTED,
    Standing.DEPRECATED: EventType.IMAGE_DEPRECATED,
}
_LONGEST_REMARK = 1000


async def standing_of(conn: Connection, image: Image) -> Standing | None:
    """What operators said of an image; None when they were never asked."""
    return standing(image, await catalogue.of_repository(conn, image.repository))


async def request(conn: Connection, image: Image, now: datetime) -> None:
    """Ask operators about an image, once however often it is pushed."""
    if await catalogue.request(conn, image, now):
        await events.record(conn, EventType.IMAGE_APPROVAL_REQUESTED, now, image=str(image))


async def judge(ctx: Context, name: str, verdict: Standing, remark: str | None) -> KnownImage:
    """Approve, reject or deprecate a repository, by its bare name, or an image, by its tag, its digest or both; raises BadInput."""
    ctx.actor.must(Permission.OPERATE)
    if remark is not None and len(remark) > _LONGEST_REMARK:
        raise BadInput(f"remark: at most {_LONGEST_REMARK} characters")
    named, (_, tag, digest) = Image.parse(name), split(name)
    image = named if tag or digest else None
    async with ctx.db.transaction() as conn:
        # Whoever decides about a push holds it while asking about its image; without this, each would wait for the other.
        await enrolment.alone(conn, named.repository)
        now = await ctx.db.now(conn)
        said = await catalogue.judge(conn, named.repository, image, verdict, ctx.actor.name, remark, now)
        await _answer(conn, said)
        await events.record(conn, _TOLD[verdict], now, image=said.name, actor=ctx.actor.name, remark=remark)
        await pushes.wake(conn, [named.repository], now)
    return said


async def _answer(conn: Connection, said: KnownImage) -> None:
    """What was said of a tag, a digest or a repository answers what was asked about images that it covers."""
    known = await catalogue.of_repository(conn, said.repository)
    asked = [one for one in known if one.standing is Standing.PENDING and one.image is not None]
    await catalogue.answered(conn, [one.id for one in asked if one.image and covers(said.image, one.image)])


async def page(ctx: Context, before: int, limit: int, wanted: Standing | None) -> list[KnownImage]:
    """What is known of images, newest request first."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await catalogue.page(conn, before, limit, wanted)
