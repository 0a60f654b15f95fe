"""The statements that find repositories wherever they are named, and tags in what was told."""

from collections.abc import Sequence

from domain.images import Image
from domain.repositories import HeardTag
from storage.connection import Connection, Row
from storage.grouping import counted, grouped

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


# What was told of repositories, tag by tag.
_TAGS = """
    select repository, tag, (array_agg(image order by heard_at desc, id desc))[1] as image, min(first_at) as first_at,
           max(heard_at) as heard_at
      from (select repository, coalesce(case when resolved_round = round then resolved end, image) as image, first_at, heard_at, id,
                   substring(split_part(image, '@', 1) from ':([^:/]+)$') as tag
              from pushes) as told
"""


async def tags_of(conn: Connection, repositories: Sequence[str], after: str, limit: int) -> dict[str, list[HeardTag]]:
    """The tags of each of these that were told of, by name: when they were heard of changes while somebody reads."""
    rows = await conn.fetch(
        f"""
        select found.*
          from unnest($1::text[]) as asked (name),
               lateral ({_TAGS} where repository = asked.name and tag > $2 group by repository, tag order by tag limit $3) as found
         order by found.tag
        """,  # noqa: S608 – text of our own
        repositories, after, limit,
    )  # fmt: skip
    return grouped(rows, "repository", _heard)


async def count_tags_of(conn: Connection, repositories: Sequence[str]) -> dict[str, int]:
    """How many tags of each of these were told of."""
    rows = await conn.fetch(
        """
        select repository, count(distinct substring(split_part(image, '@', 1) from ':([^:/]+)$')) as found
          from pushes where repository = any ($1) group by repository
        """,
        repositories,
    )
    return counted(rows, "repository")


async def many_tags(conn: Connection, named: Sequence[tuple[str, str]]) -> dict[tuple[str, str], HeardTag]:
    """Those of these tags that were told of, each by its repository and its name."""
    rows = await conn.fetch(
        f"{_TAGS} where (repository, tag) in (select * from unnest($1::text[], $2::text[])) group by repository, tag",  # noqa: S608
        [repository for repository, _ in named],
        [tag for _, tag in named],
    )
    return {(row["repository"], row["tag"]): _heard(row) for row in rows}


def _heard(row: Row) -> HeardTag:
    return HeardTag(row["repository"], row["tag"], Image.parse(row["image"]).digest, row["first_at"], row["heard_at"])
