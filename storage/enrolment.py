"""Who may change which devices run an image while somebody ranks them: one lock for each repository, held until the transaction ends.

It is taken before any row is locked, but by the reconciler, which holds a rollout already and therefore does not wait for it.
"""

from collections.abc import Iterable

from storage.connection import Connection

_FOLDING = 0x666F6C64  # any number that nobody else uses


async def shared(conn: Connection, repositories: Iterable[str]) -> None:
    """Change which devices run these images; nobody ranks them meanwhile."""
    for repository in sorted(set(repositories)):
        await conn.execute("select pg_advisory_xact_lock_shared(hashtextextended($1, 0))", repository)


async def alone(conn: Connection, repository: str) -> None:
    """Decide about this image; nobody else does, nor ranks its devices or changes them."""
    await conn.execute("select pg_advisory_xact_lock(hashtextextended($1, 0))", repository)


async def alone_at_once(conn: Connection, repositories: Iterable[str]) -> bool:
    """The same for several images, or false if that would mean waiting."""
    taken: bool = await conn.fetchval(
        "select bool_and(pg_try_advisory_xact_lock(hashtextextended(name, 0))) from unnest($1::text[]) as name", list(repositories)
    )
    return taken


async def folding_at_once(conn: Connection) -> bool:
    """Be the only one that folds the places of many devices, or false if that would mean waiting.

    Two at once would each hold the targets of some devices and wait for those of others.
    """
    taken: bool = await conn.fetchval("select pg_try_advisory_xact_lock($1)", _FOLDING)
    return taken
