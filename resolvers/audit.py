"""Who changed what: read by those who administer."""

from collections.abc import Sequence

from domain.actors import Permission
from domain.audit import AuditFilter, Entry, Subject
from domain.ids import EntryId
from resolvers.context import Context
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


async def of_subjects(ctx: Context, keys: Sequence[Subject], limit: int) -> dict[Subject, list[Entry]]:
    """The newest entries of each of these, newest first."""
    ctx.actor.must(Permission.ADMINISTER)
    found: dict[Subject, list[Entry]] = {subject: [] for subject in keys}
    async with ctx.db.reading() as conn:
        for entry in await audit.of_subjects(conn, list(found), limit):
            found[entry.subject].append(entry)
    return found
