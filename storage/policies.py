"""Every statement that reads or writes policies and the releases they govern."""

from collections.abc import Sequence
from datetime import datetime

from domain.ids import PolicyId, ReleaseId
from domain.images import Image
from domain.policies import Policy, PolicyFilter
from domain.settings import PolicySettings
from storage.conditions import Conditions
from storage.connection import Connection, Row
from storage.grouping import counted, grouped


async def insert(conn: Connection, settings: PolicySettings, now: datetime) -> Policy:
    """A new policy."""
    row = await conn.fetchrow(
        "insert into policies (settings, created_at, updated_at) values ($1, $2, $2) returning *", settings.model_dump(mode="json"), now
    )
    assert row is not None
    return _policy(row)


async def update(conn: Connection, policy: PolicyId, settings: PolicySettings, now: datetime) -> Policy:
    """Replace what was decided; rollouts under way keep the plan they started with."""
    row = await conn.fetchrow(
        "update policies set settings = $2, updated_at = $3 where id = $1 returning *", policy, settings.model_dump(mode="json"), now
    )
    assert row is not None
    return _policy(row)


async def delete(conn: Connection, policy: PolicyId, now: datetime) -> Policy:
    """Take a policy out of sight; its rollouts keep pointing at it."""
    row = await conn.fetchrow(
        """update policies set deleted_at = $2, settings = settings || '{"enabled": false}' where id = $1 returning *""", policy, now
    )
    assert row is not None
    return _policy(row)


async def locked(conn: Connection, policy: PolicyId) -> Policy | None:
    """One policy, so that nobody else changes it before this transaction ends."""
    row = await conn.fetchrow("select * from policies where id = $1 and deleted_at is null for update", policy)
    return None if row is None else _policy(row)


async def one(conn: Connection, policy: PolicyId) -> Policy | None:
    return (await many(conn, [policy])).get(policy)


async def many(conn: Connection, policies: Sequence[PolicyId]) -> dict[PolicyId, Policy]:
    """Those of these policies that there are, deleted or not."""
    return {PolicyId(row["id"]): _policy(row) for row in await conn.fetch("select * from policies where id = any ($1)", policies)}


async def page(conn: Connection, after: PolicyId, limit: int, wanted: PolicyFilter) -> list[Policy]:
    """Policies that have something in common, in the order of their ids."""
    conditions = _conditions(wanted)
    conditions.add("id > {}", after)
    rows = await conn.fetch(
        f"select * from policies where {conditions} order by id limit {limit:d}",  # noqa: S608 – text of our own
        *conditions.given,
    )
    return [_policy(row) for row in rows]


async def count(conn: Connection, wanted: PolicyFilter) -> int:
    """How many policies have something in common."""
    conditions = _conditions(wanted)
    found: int = await conn.fetchval(f"select count(*) from policies where {conditions}", *conditions.given)  # noqa: S608 – text of our own
    return found


def _conditions(wanted: PolicyFilter) -> Conditions:
    conditions = Conditions()
    conditions.where("(settings -> 'enabled')::boolean = {}", wanted.enabled)
    conditions.where("settings ->> 'fleet' = {}", wanted.fleet)
    conditions.where("position(lower({}::text) in lower(settings ->> 'image_pattern')) > 0", wanted.search)
    conditions.where("(deleted_at is not null) = {}", wanted.deleted)
    return conditions


async def enabled(conn: Connection) -> list[Policy]:
    """Every policy that may act on a push."""
    return [
        _policy(row)
        for row in await conn.fetch("select * from policies where (settings -> 'enabled')::boolean and deleted_at is null order by id")
    ]


async def release(conn: Connection, policy: PolicyId, image: Image, now: datetime) -> tuple[ReleaseId, bool]:
    """The release of this image under this policy, and whether it is new; of two at once, one sees a new one."""
    release_id = await conn.fetchval(
        """
        insert into releases (policy_id, repository, identity, first_seen_at)
        values ($1, $2, $3, $4)
        on conflict do nothing
        returning id
        """,
        policy, image.repository, image.release, now,
    )  # fmt: skip
    if release_id is not None:
        return ReleaseId(release_id), True
    known = await conn.fetchval(
        "select id from releases where policy_id = $1 and repository = $2 and identity = $3",
        policy, image.repository, image.release,
    )  # fmt: skip
    return ReleaseId(known), False


async def known_release(conn: Connection, policy: PolicyId, image: Image) -> ReleaseId | None:
    """The release of this image under this policy, if it was ever pushed."""
    release_id: int | None = await conn.fetchval(
        "select id from releases where policy_id = $1 and repository = $2 and identity = $3", policy, image.repository, image.release
    )
    return None if release_id is None else ReleaseId(release_id)


async def why_blocked(conn: Connection, release_id: ReleaseId) -> str | None:
    """Why this release may not be rolled out, or None if it may."""
    reason: str | None = await conn.fetchval("select blocked_reason from releases where id = $1 and blocked_at is not null", release_id)
    return reason


async def unblock(conn: Connection, policy: PolicyId, image: Image) -> bool:
    """Let a release that was rolled back be rolled out again; tells whether it was blocked."""
    done = await conn.execute(
        """
        update releases set blocked_at = null, blocked_reason = null, blocked_by = null
         where policy_id = $1 and repository = $2 and identity = $3 and blocked_at is not null
        """,
        policy, image.repository, image.release,
    )  # fmt: skip
    return done == "UPDATE 1"


def _policy(row: Row) -> Policy:
    return Policy(
        PolicyId(row["id"]),
        PolicySettings.model_validate(row["settings"]),
        row["created_at"],
        row["updated_at"],
        row["deleted_at"],
        row["version"],
    )


async def of_fleets(conn: Connection, fleets: Sequence[str | None], after: PolicyId, limit: int) -> dict[str | None, list[Policy]]:
    """The policies that are for each of these fleets and no other, in the order of their ids."""
    rows = await conn.fetch(
        """
        select asked.fleet, p.*
          from unnest($1::text[]) as asked (fleet),
               lateral (select * from policies where settings ->> 'fleet' = asked.fleet and id > $2 and deleted_at is null
                         order by id limit $3) as p
         order by p.id
        """,
        fleets, after, limit,
    )  # fmt: skip
    return grouped(rows, "fleet", _policy)


async def count_of_fleets(conn: Connection, fleets: Sequence[str | None]) -> dict[str | None, int]:
    """How many policies are for each of these fleets and no other."""
    rows = await conn.fetch(
        """
        select settings ->> 'fleet' as fleet, count(*) as found from policies
         where settings ->> 'fleet' = any ($1) and deleted_at is null
         group by settings ->> 'fleet'
        """,
        fleets,
    )  # fmt: skip
    return counted(rows, "fleet")
