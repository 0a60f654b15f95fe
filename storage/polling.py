"""Every statement that reads or writes when which repository is asked for new tags."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from domain.polling import Polled
from storage.connection import Connection


async def repositories(conn: Connection) -> list[str]:
    """Every repository that some device runs an image of, found by hopping through the index."""
    rows = await conn.fetch(
        """
        with recursive hop as (
            (select repository from services order by repository limit 1)
            union all
            select (select repository from services where repository > hop.repository order by repository limit 1)
              from hop where hop.repository is not null
        )
        select repository from hop where repository is not null
        """
    )
    return [row["repository"] for row in rows]


async def begin(conn: Connection, wanted: Sequence[str], now: datetime) -> None:
    """Ask these from now on, and no others."""
    await conn.execute(
        "insert into polled_repositories (repository, due_at) select unnest($1::text[]), $2 on conflict do nothing", list(wanted), now
    )
    await conn.execute("delete from polled_repositories where repository <> all ($1::text[])", list(wanted))


async def wake(conn: Connection, host: str, now: datetime) -> None:
    """Ask about the repositories of a registry at once where it did not answer last time."""
    await conn.execute(
        """
        update polled_repositories set due_at = $2
         where repository in (select repository from polled_repositories
                               where split_part(repository, '/', 1) = $1 and failures > 0 and due_at > $2
                               order by repository for update)
        """,
        host, now,
    )  # fmt: skip


async def claim(conn: Connection, wanted: Mapping[str, timedelta], spared: Sequence[str], now: datetime, lease: timedelta) -> Polled | None:
    """A repository that is due, or was asked longer ago than is wanted, of any registry but those spared; until the lease is over."""
    row = await conn.fetchrow(
        """
        update polled_repositories set leased_until = $3::timestamptz + $4::interval
         where repository = (
               select p.repository
                 from polled_repositories p
                 join unnest($1::text[], $2::interval[]) as wanted (repository, every) on wanted.repository = p.repository
                where (p.due_at <= $3 or p.failures = 0 and p.asked_at + wanted.every * 1.1 <= $3)
                  and (p.leased_until is null or p.leased_until <= $3)
                  and split_part(p.repository, '/', 1) <> all ($5::text[])
                order by p.due_at limit 1
                  for update of p skip locked)
        returning *
        """,
        list(wanted), list(wanted.values()), now, lease, list(spared),
    )  # fmt: skip
    return None if row is None else Polled(**{name: row[name] for name in Polled.__slots__})


async def answered(conn: Connection, repository: str, seen: dict[str, str], now: datetime, due_at: datetime) -> None:
    """It answered; ask again then."""
    await conn.execute(
        """
        update polled_repositories
           set leased_until = null, failures = 0, problem = null, asked_at = $3, seen = $2, due_at = $4
         where repository = $1
        """,
        repository, seen, now, due_at,
    )  # fmt: skip


async def failed(conn: Connection, repository: str, problem: str, due_at: datetime) -> None:
    """It did not answer; ask again then."""
    await conn.execute(
        "update polled_repositories set leased_until = null, failures = failures + 1, problem = $2, due_at = $3 where repository = $1",
        repository, problem, due_at,
    )  # fmt: skip


async def all_of_them(conn: Connection) -> list[Polled]:
    """Every repository that is asked."""
    rows = await conn.fetch("select * from polled_repositories order by repository")
    return [Polled(**{name: row[name] for name in Polled.__slots__}) for row in rows]
