"""Every statement that reads or writes pushes: a queue of images to decide about, and what was decided."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from domain.ids import DeliveryId, PolicyId, PushId, RolloutId
from domain.images import Image
from domain.pushes import Decision, Push, PushFilter
from storage.conditions import Conditions
from storage.connection import Connection, Row
from storage.grouping import counted, grouped

_ALL = PushFilter()


async def insert(conn: Connection, source: str, images: Sequence[Image], now: datetime, delivery: DeliveryId | None = None) -> None:
    """Images that somebody says were pushed, to be decided about now; those that the same delivery told before are left as they are.

    What waits under the same tags is looked at, and may give way.
    """
    await conn.execute(
        """
        insert into pushes (delivery_id, source, repository, image, first_at, heard_at, due_at)
        select $1, $2, told.repository, told.image, $5, $5, $5 from unnest($3::text[], $4::text[]) as told (repository, image)
        on conflict (delivery_id, image) do nothing
        """,
        delivery, source, [image.repository for image in images], [str(image) for image in images], now,
    )  # fmt: skip
    await conn.execute(
        """
        update pushes set due_at = $3
         where id in (select p.id from pushes p
                        join unnest($1::text[], $2::text[]) as told (repository, image) on p.repository = told.repository
                       where p.due_at > $3 and split_part(p.image, '@', 1) = split_part(told.image, '@', 1)
                       order by p.id for update of p)
        """,
        [image.repository for image in images], [str(image) for image in images], now,
    )  # fmt: skip


async def heard_again(conn: Connection, delivery: DeliveryId, now: datetime) -> None:
    """The same words again may mean another image where they name no digest: those are decided anew, once nobody looks at them."""
    await _anew(conn, [push.id for push in await of_delivery(conn, delivery) if push.image.digest is None], now)


async def replay(conn: Connection, delivery: DeliveryId, now: datetime) -> None:
    """Decide anew about everything that a delivery told."""
    await _anew(conn, [push.id for push in await of_delivery(conn, delivery)], now)


async def _anew(conn: Connection, some: Sequence[PushId], now: datetime) -> None:
    await conn.execute(
        """
        update pushes
           set heard_at = $2, round = round + 1, attempts = 0, due_at = $2, waits_for = null
         where id in (select id from pushes where id = any ($1::bigint[]) order by id for update)
        """,
        list(some), now,
    )  # fmt: skip


async def undecided(conn: Connection) -> list[str]:
    """The repositories of which a push is not decided yet."""
    return [row["repository"] for row in await conn.fetch("select distinct repository from pushes where due_at is not null")]


async def wake(conn: Connection, repositories: Sequence[str], now: datetime) -> None:
    """Look at once, and soon again, at whatever waits for something about these repositories.

    Also at what somebody looks at just now, who may have asked too early.
    """
    await conn.execute(
        """
        update pushes set due_at = least(due_at, $2), attempts = 0, leased_until = null
         where id in (select id from pushes where repository = any ($1::text[]) and due_at is not null order by id for update)
        """,
        list(repositories), now,
    )  # fmt: skip


async def are_due(conn: Connection, now: datetime) -> bool:
    """Whether there is anything for `claim`."""
    # In order, as `claim` reads them: asked whether any exists, PostgreSQL looks through all that are settled.
    first: int | None = await conn.fetchval(
        "select id from pushes where due_at <= $1 and (leased_until is null or leased_until <= $1) order by due_at, id limit 1", now
    )
    return first is not None


async def claim(conn: Connection, spared: Sequence[str], now: datetime, lease: timedelta) -> Push | None:
    """The push that has been due for longest, of any registry but those spared; for this caller alone until the lease is over.

    Those of one repository are looked at one after the other, as they were told.
    """
    row = await conn.fetchrow(
        """
        update pushes set leased_until = $1::timestamptz + $2::interval
         where id = (select id from pushes
                      where due_at <= $1 and (leased_until is null or leased_until <= $1)
                        and split_part(repository, '/', 1) <> all ($3::text[])
                        -- Not “exists”: of a thousand that wait for one repository each would look at all the others.
                        and repository not in (select repository from pushes where due_at is not null and leased_until > $1)
                      order by due_at, id limit 1
                        for update skip locked)
        returning *
        """,
        now, lease, list(spared),
    )  # fmt: skip
    return None if row is None else _push(row)


async def locked(conn: Connection, push: Push) -> bool:
    """Lock a push for the one that decides; false if it was decided, or told again, since it was read."""
    found: int | None = await conn.fetchval(
        "select id from pushes where id = $1 and round = $2 and due_at is not null for update", push.id, push.round
    )
    return found is not None


async def resolved(conn: Connection, push: Push, image: Image) -> None:
    """Note the digest that the registry gave; of what was told again, another than before is heard of for the first time."""
    await conn.execute(
        """
        update pushes
           set resolved = $2, resolved_round = round,
               first_at = case when round = 1 or resolved = $2 then first_at else heard_at end
         where id = $1
        """,
        push.id, str(image),
    )  # fmt: skip


async def is_told_again(conn: Connection, push: Push, policy: PolicyId) -> bool:
    """Whether the same tag was pushed again since, by whoever may say so, and that is or will be decided under this policy."""
    again: bool = await conn.fetchval(
        """
        select exists (select from pushes p
                        where repository = $1 and id <> $2 and heard_at > $3 and split_part(image, '@', 1) = split_part($4, '@', 1)
                          and (due_at is not null or exists (select from decisions where push_id = p.id and policy_id = $5)))
        """,
        push.image.repository, push.id, push.heard_at, str(push.image), policy,
    )  # fmt: skip
    return again


async def told_together(conn: Connection, push: Push) -> list[Image]:
    """The images of the same repository that the same delivery told, but for those that its endpoint may not speak for."""
    rows = await conn.fetch(
        """
        select image from pushes p
         where delivery_id = $1 and repository = $2
           and not exists (select from decisions d where d.push_id = p.id and d.round = p.round and d.policy_id is null)
        """,
        push.delivery_id, push.image.repository,
    )  # fmt: skip
    return [Image.parse(row["image"]) for row in rows]


async def first_heard(conn: Connection, image: Image) -> datetime | None:
    """When this very release was first told of."""
    first: datetime | None = await conn.fetchval(
        "select min(first_at) from pushes where repository = $1 and $2 in (image, resolved)", image.repository, str(image)
    )
    return first


async def was_heard(conn: Connection, image: Image, since: datetime) -> bool:
    """Whether somebody who may told of this very release since then, or it is being decided about."""
    was: bool = await conn.fetchval(
        """
        select exists (select from pushes p
                        where repository = $1 and (image = $2 or (resolved = $2 and resolved_round = round))
                          and (due_at is not null
                               or (heard_at >= $3 and exists (select from decisions where push_id = p.id and policy_id is not null))))
        """,
        image.repository, str(image), since,
    )  # fmt: skip
    return was


async def decided(conn: Connection, push: Push) -> set[PolicyId | None]:
    """The policies under which this round of a push is decided already; None stands for no policy."""
    rows = await conn.fetch("select policy_id from decisions where push_id = $1 and round = $2", push.id, push.round)
    return {row["policy_id"] for row in rows}


async def decide(conn: Connection, push: Push, decision: Decision, now: datetime) -> None:
    """Keep what was decided; where the round before came to the same, only its time is new."""
    same = await conn.fetchval(
        """
        update decisions set round = $3, at = $8
         where id = (select id from decisions where push_id = $1 and policy_id is not distinct from $2 order by id desc limit 1)
           and image = $4 and rollout_id is not distinct from $5 and started = $6 and decision = $7
        returning id
        """,
        push.id, decision.policy_id, push.round, str(decision.image), decision.rollout_id, decision.started, decision.decision, now,
    )  # fmt: skip
    if same is None:
        await conn.execute(
            """
            insert into decisions (push_id, policy_id, round, image, rollout_id, started, decision, at)
            values ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            push.id, decision.policy_id, push.round, str(decision.image), decision.rollout_id, decision.started, decision.decision, now,
        )  # fmt: skip


async def settle(conn: Connection, push: Push) -> None:
    """Nothing is left to decide."""
    await conn.execute("update pushes set due_at = null, leased_until = null, waits_for = null where id = $1", push.id)


async def put_off(conn: Connection, push: Push, until: datetime, why: str) -> bool:
    """Look again later, unless somebody told it again meanwhile: that is due already."""
    done = await conn.execute(
        """
        update pushes set due_at = $3, leased_until = null, attempts = attempts + 1, waits_for = $4
         where id = $1 and round = $2 and due_at is not null
        """,
        push.id, push.round, until, why,
    )  # fmt: skip
    return done == "UPDATE 1"


async def release(conn: Connection, push: Push) -> None:
    """What was found out is of no use any more: whoever is free looks again."""
    await conn.execute("update pushes set leased_until = null where id = $1", push.id)


async def of_delivery(conn: Connection, delivery: DeliveryId) -> list[Push]:
    """What a delivery told, in its order."""
    return (await of_deliveries(conn, [delivery])).get(delivery, [])


async def of_deliveries(conn: Connection, deliveries: Sequence[DeliveryId]) -> dict[DeliveryId, list[Push]]:
    """What each of these deliveries told, in its order."""
    return grouped(await conn.fetch("select * from pushes where delivery_id = any ($1) order by id", deliveries), "delivery_id", _push)


async def page(conn: Connection, before: PushId, limit: int, wanted: PushFilter = _ALL) -> list[Push]:
    """Pushes that have something in common, newest first."""
    conditions = _conditions(wanted)
    conditions.add("id < {}", before)
    rows = await conn.fetch(
        f"select * from pushes where {conditions} order by id desc limit {limit:d}",  # noqa: S608 – text of our own
        *conditions.given,
    )
    return [_push(row) for row in rows]


async def count(conn: Connection, wanted: PushFilter) -> int:
    """How many pushes have something in common."""
    conditions = _conditions(wanted)
    found: int = await conn.fetchval(f"select count(*) from pushes where {conditions}", *conditions.given)  # noqa: S608 – text of our own
    return found


def _conditions(wanted: PushFilter) -> Conditions:
    conditions = Conditions()
    if wanted.waiting is not None:
        conditions.add("due_at is not null" if wanted.waiting else "due_at is null")
    conditions.where("repository = {}", wanted.repository)
    conditions.where("source = {}", wanted.source)
    conditions.where("heard_at >= {}", wanted.since)
    return conditions


async def one(conn: Connection, push: PushId) -> Push | None:
    return (await many(conn, [push])).get(push)


async def many(conn: Connection, pushes: Sequence[PushId]) -> dict[PushId, Push]:
    """Those of these pushes that there are."""
    return {PushId(row["id"]): _push(row) for row in await conn.fetch("select * from pushes where id = any ($1)", pushes)}


async def decisions(conn: Connection, push: PushId) -> list[tuple[Decision, datetime]]:
    """What came of a push, in the order in which it was decided."""
    return (await decisions_of(conn, [push])).get(push, [])


async def decisions_of(conn: Connection, pushes: Sequence[PushId]) -> dict[PushId, list[tuple[Decision, datetime]]]:
    """What came of each of these pushes, in the order in which it was decided."""
    rows = await conn.fetch("select * from decisions where push_id = any ($1) order by id", pushes)
    return grouped(rows, "push_id", lambda row: (_decision(row), row["at"]))


async def began(conn: Connection, rollouts: Sequence[RolloutId]) -> dict[RolloutId, str]:
    """What was decided of the push that started each of these rollouts; absent are those of operators, and of forgotten pushes."""
    rows = await conn.fetch("select rollout_id, decision from decisions where rollout_id = any ($1) and started", rollouts)
    return {RolloutId(row["rollout_id"]): row["decision"] for row in rows}


async def forget(conn: Connection, now: datetime, older_than: timedelta, limit: int) -> int:
    """Drop old pushes that were found by asking and are settled; those of deliveries go with them."""
    done = await conn.execute(
        """
        delete from pushes where id in (
            select id from pushes where delivery_id is null and due_at is null and heard_at < $1::timestamptz - $2::interval
             limit $3 for update skip locked)
        """,
        now, older_than, limit,
    )  # fmt: skip
    return int(done.split()[-1])


def _push(row: Row) -> Push:
    return Push(
        id=PushId(row["id"]),
        delivery_id=row["delivery_id"] and DeliveryId(row["delivery_id"]),
        source=row["source"],
        image=Image.parse(row["image"]),
        resolved=Image.parse(row["resolved"]) if row["resolved_round"] == row["round"] else None,
        first_at=row["first_at"],
        heard_at=row["heard_at"],
        round=row["round"],
        due_at=row["due_at"],
        attempts=row["attempts"],
        waits_for=row["waits_for"],
    )


def _decision(row: Row) -> Decision:
    return Decision(
        image=Image.parse(row["image"]),
        policy_id=row["policy_id"] and PolicyId(row["policy_id"]),
        rollout_id=row["rollout_id"] and RolloutId(row["rollout_id"]),
        started=row["started"],
        decision=row["decision"],
    )


async def of_rollouts(conn: Connection, rollouts: Sequence[RolloutId], before: PushId, limit: int) -> dict[RolloutId, list[Push]]:
    """The pushes that started each of these rollouts or were found to belong to it, newest first."""
    # Ranges of the index, as below.
    rows = await conn.fetch(
        """
        select asked.rollout_id, p.*
          from unnest($1::bigint[]) as asked (rollout_id),
               lateral (select distinct d.rollout_id, d.push_id from decisions d
                         where d.rollout_id is not null
                           and (d.rollout_id, d.push_id) > (asked.rollout_id, 0) and (d.rollout_id, d.push_id) < (asked.rollout_id, $2)
                         order by d.rollout_id desc, d.push_id desc limit $3) as led
         cross join lateral (select * from pushes where id = led.push_id offset 0) as p -- or all of them might be read, and hashed
         order by p.id desc
        """,
        rollouts, before, limit,
    )  # fmt: skip
    return grouped(rows, "rollout_id", _push)


async def count_of_rollouts(conn: Connection, rollouts: Sequence[RolloutId]) -> dict[RolloutId, int]:
    """How many pushes started each of these rollouts or belong to it."""
    rows = await conn.fetch(
        "select rollout_id, count(distinct push_id) as found from decisions where rollout_id = any ($1) group by rollout_id", rollouts
    )
    return counted(rows, "rollout_id")


async def of_repositories(conn: Connection, repositories: Sequence[str], before: PushId, limit: int) -> dict[str, list[Push]]:
    """The pushes of each of these repositories, newest first."""
    # Ranges of the index: of a quiet repository, planned for all, PostgreSQL might read every push backwards.
    rows = await conn.fetch(
        """
        select told.*
          from unnest($1::text[]) as asked (repository),
               lateral (select * from pushes p
                         where (p.repository, p.id) > (asked.repository, 0) and (p.repository, p.id) < (asked.repository, $2)
                         order by p.repository desc, p.id desc limit $3) as told
         order by told.id desc
        """,
        repositories, before, limit,
    )  # fmt: skip
    return grouped(rows, "repository", _push)


async def count_of_repositories(conn: Connection, repositories: Sequence[str]) -> dict[str, int]:
    """How many pushes there are of each of these repositories."""
    rows = await conn.fetch(
        "select repository, count(*) as found from pushes where repository = any ($1) group by repository", repositories
    )
    return counted(rows, "repository")
