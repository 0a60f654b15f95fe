"""Every statement that reads what PostgreSQL is busy with."""

from storage.connection import Connection


async def oldest_write(conn: Connection) -> float:
    """For how many seconds the oldest transaction that writes has been open, in any database of the cluster; 0 if there is none.

    Of transactions of other users PostgreSQL says since when only to members of pg_read_all_stats.
    """
    seconds: float = await conn.fetchval(
        """
        select coalesce(extract(epoch from clock_timestamp() - min(began)), 0)::float8
          from (select xact_start as began from pg_stat_activity where backend_xid is not null
                union all
                select prepared from pg_prepared_xacts) as writing
        """
    )
    return seconds
