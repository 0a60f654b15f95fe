"""What operators say of images, where a policy takes approved ones only."""

from collections.abc import Sequence
from datetime import datetime

from domain import expected
from domain.actors import Permission
from domain.audit import Action, Subject, SubjectType
from domain.catalogue import KnownImage, KnownImageFilter, Standing, covers, standing
from domain.errors import BadInput, about
from domain.events import EventType
from domain.images import Image, split
from resolvers.changing import Change
from resolvers.context import Context
from storage import catalogue, enrolment, events, pushes
from storage.connection import Connection

_TOLD = {
    Standing.APPROVED: EventType.IMAGE_APPROVED,
    Standing.REJECTED: EventType.IMAGE_REJECTED,
    Standing.DEPRECATED: EventType.IMAGE_DEPRECATED,
}
_ACTIONS = {
    Standing.APPROVED: Action.APPROVE_IMAGE,
    Standing.REJECTED: Action.REJECT_IMAGE,
    Standing.DEPRECATED: Action.DEPRECATE_IMAGE,
}
_ALL = KnownImageFilter()
_LONGEST_REMARK = 1000


async def standing_of(conn: Connection, image: Image) -> Standing | None:
    """What operators said of an image; None when they were never asked."""
    return standing(image, await catalogue.of_repository(conn, image.repository))


async def request(conn: Connection, image: Image, now: datetime) -> None:
    """Ask operators about an image, once however often it is pushed."""
    if await catalogue.request(conn, image, now):
        await events.record(conn, EventType.IMAGE_APPROVAL_REQUESTED, now, image=str(image))


async def judge(ctx: Context, name: str, verdict: Standing, remark: str | None, *, expected_version: int | None = None) -> KnownImage:
    """Approve, reject or deprecate a repository, by its bare name, or an image, by its tag, its digest or both; raises BadInput.

    The version is that of what is known of this very name; 0 where nothing is. Raises StaleVersion.
    """
    async with ctx.changing(_ACTIONS[verdict]) as change:
        if remark is not None and len(remark) > _LONGEST_REMARK:
            raise BadInput(f"remark: at most {_LONGEST_REMARK} characters")
        said = await _judge(ctx, change, name, verdict, remark, expected_version)
        change.of(Subject.of(SubjectType.KNOWN_IMAGE, said.id), name=said.name, remark=remark)
    return said


async def _judge(
    ctx: Context, change: Change, name: str, verdict: Standing, remark: str | None, expected_version: int | None
) -> KnownImage:
    with about("name"):
        (named, (_, tag, digest)), conn = (Image.parse(name), split(name)), change.conn
    image = named if tag or digest else None
    # Whoever decides about a push holds it while asking about its image; without this, each would wait for the other.
    await enrolment.alone(conn, named.repository)
    before = await catalogue.locked(conn, named.repository, image)
    expected.check(f"what is known of {name}", 0 if before is None else before.version, expected_version)
    said = await catalogue.judge(conn, named.repository, image, verdict, ctx.actor.name, remark, change.now)
    await _answer(conn, said)
    await events.record(conn, _TOLD[verdict], change.now, image=said.name, actor=ctx.actor.name, remark=remark)
    await pushes.wake(conn, [named.repository], change.now)
    return said


async def _answer(conn: Connection, said: KnownImage) -> None:
    """What was said of a tag, a digest or a repository answers what was asked about images that it covers."""
    known = await catalogue.of_repository(conn, said.repository)
    asked = [one for one in known if one.standing is Standing.PENDING and one.image is not None]
    await catalogue.answered(conn, [one.id for one in asked if one.image and covers(said.image, one.image)])


async def page(ctx: Context, before: int, limit: int, wanted: KnownImageFilter = _ALL) -> list[KnownImage]:
    """What is known of images, newest request first."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await catalogue.page(conn, before, limit, wanted)


async def count(ctx: Context, wanted: KnownImageFilter = _ALL) -> int:
    """Of how much that is so."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await catalogue.count(conn, wanted)


async def many(ctx: Context, ids: Sequence[int]) -> dict[int, KnownImage]:
    """What is known of images, by the numbers of what was said."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await catalogue.many(conn, ids)
