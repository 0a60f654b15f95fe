"""Who changed what: read by those who administer."""

from collections.abc import Sequence

from domain.actors import Permission
from domain.audit import AuditFilter, Entry, Subject
from domain.events import Cursor
from domain.ids import EntryId
from resolvers import replaying
from resolvers.context import Context
from resolvers.trails import Trail
from storage import audit


async def page(ctx: Context, wanted: AuditFilter, before: EntryId, limit: int) -> list[Entry]:
    """Entries that have something in common, newest first."""
    ctx.actor.must(Permission.ADMINISTER)
    async with ctx.db.reading() as conn:
        return await audit.page(conn, wanted, before, limit)


async def count(ctx: Context, wanted: AuditFilter) -> int:
    """How many entries have something in common."""
    ctx.actor.must(Permission.ADMINISTER)
    async with ctx.db.reading() as conn:
        return await audit.count(conn, wanted)


async def many(ctx: Context, ids: Sequence[EntryId]) -> dict[EntryId, Entry]:
    """Those of these entries that there are."""
    ctx.actor.must(Permission.ADMINISTER)
    async with ctx.db.reading() as conn:
        return await audit.many(conn, ids)


async def of_subjects(ctx: Context, subjects: Sequence[Subject], before: EntryId, limit: int) -> dict[Subject, list[Entry]]:
    """The entries of each of these, newest first; what nobody changed is absent."""
    ctx.actor.must(Permission.ADMINISTER)
    async with ctx.db.reading() as conn:
        return await audit.of_subjects(conn, subjects, before, limit)


async def count_of_subjects(ctx: Context, subjects: Sequence[Subject]) -> dict[Subject, int]:
    """How many entries each of these has; what nobody changed is absent."""
    ctx.actor.must(Permission.ADMINISTER)
    async with ctx.db.reading() as conn:
        return await audit.count_of_subjects(conn, subjects)


async def stream(ctx: Context, wanted: AuditFilter, after: Cursor | None) -> Trail[EntryId, Entry]:
    """Entries that have something in common as they are made after a cursor; without one, from now on. Raises CursorExpired."""
    ctx.actor.must(Permission.ADMINISTER)
    return Trail(ctx, await replaying.beginning(ctx, after), wanted, lambda event: event.entry_id, many)
