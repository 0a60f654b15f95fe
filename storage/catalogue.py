"""Every statement that reads or writes what operators said of images."""

from collections.abc import Sequence
from datetime import datetime

from domain.catalogue import KnownImage, KnownImageFilter, Standing
from domain.images import Image
from storage.conditions import Conditions
from storage.connection import Connection, Row


async def of_repository(conn: Connection, repository: str) -> list[KnownImage]:
    """All that was said about a repository and the images in it."""
    return [_known(row) for row in await conn.fetch("select * from known_images where repository = $1 order by id", repository)]


async def request(conn: Connection, image: Image, now: datetime) -> bool:
    """Ask operators what they think of an image, unless they were asked already; tells whether this asked them."""
    done = await conn.execute(
        """
        insert into known_images (repository, image, status, requested_at) values ($1, $2, 'pending', $3)
        on conflict (repository, image) do nothing
        """,
        image.repository, str(image), now,
    )  # fmt: skip
    return bool(done == "INSERT 0 1")


async def judge(
    conn: Connection, repository: str, image: Image | None, standing: Standing, actor: str, remark: str | None, now: datetime
) -> KnownImage:
    """Keep what an operator said of a repository, or of one image in it."""
    row = await conn.fetchrow(
        """
        insert into known_images (repository, image, status, requested_at, decided_at, decided_by, remark)
        values ($1, $2, $3, $4, $4, $5, $6)
        on conflict (repository, image) do update
           set status = excluded.status, decided_at = excluded.decided_at, decided_by = excluded.decided_by, remark = excluded.remark
        returning *
        """,
        repository, None if image is None else str(image), standing, now, actor, remark,
    )  # fmt: skip
    assert row is not None
    return _known(row)


async def answered(conn: Connection, requests: Sequence[int]) -> None:
    """Ask no more about these; whatever was said meanwhile stays."""
    await conn.execute("delete from known_images where id = any ($1::bigint[]) and status = 'pending'", list(requests))


async def last_said(conn: Connection, repository: str) -> datetime | None:
    """When operators last said something of a repository, or of an image in it."""
    last: datetime | None = await conn.fetchval("select max(decided_at) from known_images where repository = $1", repository)
    return last


async def locked(conn: Connection, repository: str, image: Image | None) -> KnownImage | None:
    """What was said of this, and of nothing else, so that nobody else says something before this transaction ends."""
    row = await conn.fetchrow(
        "select * from known_images where repository = $1 and image is not distinct from $2 for no key update",
        repository, None if image is None else str(image),
    )  # fmt: skip
    return None if row is None else _known(row)


async def page(conn: Connection, before: int, limit: int, wanted: KnownImageFilter) -> list[KnownImage]:
    """What is known of images, newest request first."""
    conditions = _conditions(wanted)
    conditions.add("id < {}", before)
    rows = await conn.fetch(
        f"select * from known_images where {conditions} order by id desc limit {limit:d}",  # noqa: S608 – text of our own
        *conditions.given,
    )
    return [_known(row) for row in rows]


async def count(conn: Connection, wanted: KnownImageFilter) -> int:
    """Of how much that is so."""
    conditions = _conditions(wanted)
    found: int = await conn.fetchval(f"select count(*) from known_images where {conditions}", *conditions.given)  # noqa: S608 – text of our own
    return found


def _conditions(wanted: KnownImageFilter) -> Conditions:
    conditions = Conditions()
    conditions.where("status = {}", wanted.standing)
    conditions.where("repository = {}", wanted.repository)
    return conditions


def _known(row: Row) -> KnownImage:
    return KnownImage(
        id=row["id"],
        repository=row["repository"],
        image=None if row["image"] is None else Image.parse(row["image"]),
        standing=Standing(row["status"]),
        requested_at=row["requested_at"],
        decided_at=row["decided_at"],
        decided_by=row["decided_by"],
        remark=row["remark"],
        version=row["version"],
    )


async def many(conn: Connection, ids: Sequence[int]) -> dict[int, KnownImage]:
    """What is known of images, by the numbers of what was said."""
    return {row["id"]: _known(row) for row in await conn.fetch("select * from known_images where id = any ($1)", ids)}
