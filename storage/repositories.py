"""The statements that find repositories wherever they are named, and tags in what was told."""

from domain.images import Image
from domain.repositories import HeardTag
from storage.connection import Connection, Row

# From one name to the next by the indexes that begin with it: of a few repositories in millions of services each is looked up once.
_NAMES = """
    with recursive names as (
        select $1::text as repository
        union all
        select (select min(next.repository)
                  from ((select repository from services where repository > names.repository order by repository limit 1)
                        union all
                        (select repository from pushes where repository > names.repository order by repository limit 1)
                        union all
                        (select repository from known_images where repository > names.repository order by repository limit 1)) as next)
          from names where names.repository is not null
    )
    select repository from names
     where repository <> $1 and ($2::text is null or position(lower($2) in repository) > 0)
"""


async def page(conn: Connection, after: str, limit: int, search: str | None) -> list[str]:
    """The names of repositories that devices run images of, that were pushed to, or that operators said something of, by name."""
    rows = await conn.fetch(f"{_NAMES} limit {limit:d}", after, search)
    return [row["repository"] for row in rows]


async def count(conn: Connection, search: str | None) -> int:
    """How many there are."""
    found: int = await conn.fetchval(f"select count(*) from ({_NAMES}) as found", "", search)  # noqa: S608 – text of our own
    return found


async def tags(conn: Connection, repository: str, after: str, limit: int) -> list[HeardTag]:
    """Tags that were told of, by name: when they were heard of changes while somebody reads."""
    rows = await conn.fetch(
        """
        with told as (
            select coalesce(case when resolved_round = round then resolved end, image) as image, first_at, heard_at, id,
                   substring(split_part(image, '@', 1) from ':([^:/]+)$') as tag
              from pushes where repository = $1
        )
        select tag, (array_agg(image order by heard_at desc, id desc))[1] as image, min(first_at) as first_at, max(heard_at) as heard_at
          from told where tag > $2
         group by tag order by tag limit $3
        """,
        repository, after, limit,
    )  # fmt: skip
    return [_heard(row) for row in rows]


def _heard(row: Row) -> HeardTag:
    return HeardTag(row["tag"], Image.parse(row["image"]).digest, row["first_at"], row["heard_at"])
