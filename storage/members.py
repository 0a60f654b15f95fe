"""Every statement that reads or writes members: the devices of a rollout, each with its rank."""

from collections.abc import Sequence
from datetime import datetime

from domain.health import Outcome
from domain.ids import DeviceId, RolloutId
from domain.images import Image
from domain.members import Member, Offer
from domain.rollouts import DeviceStatus, Rollout
from storage.connection import Connection, Row


async def base_images(conn: Connection, repository: str, fleet: str | None, except_fleets: Sequence[str]) -> list[Image]:
    """Every image of a repository that some device in scope is based on, found by hopping through the index: few images, many devices."""
    rows = await conn.fetch(
        """
        with recursive scope as not materialized (
            select s.image from services s join devices d on d.id = s.device_id
             where s.repository = $1 and ($2::text is null or d.fleet = $2) and (d.fleet is null or d.fleet <> all ($3::text[]))
        ), hop as (
            (select image from scope order by image limit 1)
            union all
            select (select image from scope where image > hop.image order by image limit 1) from hop where hop.image is not null
        )
        select image from hop where image is not null
        """,
        repository, fleet, list(except_fleets),
    )  # fmt: skip
    return [Image.parse(row["image"]) for row in rows]


async def images_in_use(conn: Connection, repository: str, only: DeviceId | None = None) -> list[Image]:
    """Every image of a repository that some device should run now, rollouts included."""
    rows = await conn.fetch(
        "select distinct image from effective_services where repository = $1 and ($2::bigint is null or device_id = $2)", repository, only
    )
    return [Image.parse(row["image"]) for row in rows]


async def enrol(conn: Connection, rollout: Rollout, newer: Sequence[Image], now: datetime, only: DeviceId | None = None) -> int:
    """Rank the devices that this rollout is for, after the members it has; returns how many were added.

    Left out: devices that already should run the image, run a `newer` one, belong to another fleet, or are in another
    active rollout of the same image. What older rollouts gave the others becomes part of their base target, or, while
    unproven, their `from_image`. Order: recently seen devices before silent ones, then by a hash salted with the rollout.
    """
    await _choose(conn, rollout, newer, only)
    await _fold_chosen(conn, rollout, now)
    added = await conn.execute(
        """
        insert into members (rollout_id, rank, device_id, repository, from_image)
        select $1, $2 + row_number() over (
                   -- Being seen is written down every half minute only, whatever the plan's patience.
                   order by coalesce(d.last_seen_at >= $4::timestamptz - greatest($5::interval, '1 minute'), false) desc,
                            hashint8extended(d.id, $1), d.id) - 1,
               d.id, $3, chosen.from_image
          from chosen
          join devices d on d.id = chosen.device_id
        """,
        rollout.id, rollout.size, rollout.image.repository, now, rollout.plan.pickup,
    )  # fmt: skip
    await conn.execute("drop table chosen")
    return int(added.split()[-1])


async def _choose(conn: Connection, rollout: Rollout, newer: Sequence[Image], only: DeviceId | None) -> None:
    await conn.execute("create temporary table chosen (device_id bigint primary key, from_image text) on commit drop")
    await conn.execute(
        """
        insert into chosen (device_id)
        select e.device_id
          from effective_services e
          join devices d on d.id = e.device_id
          left join rollouts r on r.id = e.rollout_id
         where e.repository = $1
           and ($2::bigint is null or e.device_id = $2)
           and ($3::text is null or d.fleet = $3)
           and (d.fleet is null or d.fleet <> all ($4::text[]))
           and not exists (select from members m where m.device_id = e.device_id and m.rollout_id = $7) -- left it, and stays out
         group by e.device_id
        having bool_or(e.image <> $5)
           and not bool_or(e.image = any ($6::text[]))
           and not bool_or(coalesce(r.status in ('enrolling', 'pending', 'in_progress', 'paused'), false))
        """,
        rollout.image.repository, only, rollout.fleet, list(rollout.except_fleets), str(rollout.image), [str(image) for image in newer],
        rollout.id,
    )  # fmt: skip
    await conn.execute("analyze chosen")


async def _fold_chosen(conn: Connection, rollout: Rollout, now: datetime) -> None:
    """Close what older rollouts did to the chosen devices."""
    await conn.execute(
        f"""
        with closing as materialized (
            select m.device_id, m.repository, m.rollout_id, r.image, exposure(m, r) as steps, is_proven(m, r, $2) as proven,
                   case when exposure(m, r) = 1 then r.image when exposure(m, r) = 0 then m.from_image end as shown
              from chosen
              join members m on m.device_id = chosen.device_id and m.repository = $1 and m.live
              join rollouts r on r.id = m.rollout_id
             order by m.rollout_id, m.device_id
               for update of m
        ), {_FOLD}
        update chosen set from_image = closing.shown
          from closing
         where closing.device_id = chosen.device_id and not closing.proven
        """,  # noqa: S608 – text of our own
        rollout.image.repository, now,
    )  # fmt: skip


# What `closing` names becomes part of the base target, without changing what any device sees.
_FOLD = """
        images as (
            update services set image = closing.image
              from closing
             where services.device_id = closing.device_id and services.repository = closing.repository and closing.proven
        ), versions as (
            update targets set version = targets.version + rises.total
              from (select device_id, sum(steps) as total from closing group by device_id) as rises
             where targets.device_id = rises.device_id and rises.total > 0
        ), closed as (
            update members set live = false
              from closing
             where members.device_id = closing.device_id and members.rollout_id = closing.rollout_id
        )
"""


async def fold(conn: Connection, limit: int, now: datetime, repository: str | None = None) -> int:
    """Make the result of ended rollouts part of the base target of up to `limit` devices, where no device sees it; returns how many.

    What stays: an image that a device shows although it has not proved itself on it, since the rollout was superseded or cancelled.
    """
    folded: int = await conn.fetchval(
        f"""
        with closing as materialized (
            select m.device_id, m.repository, m.rollout_id, r.image, exposure(m, r) as steps, is_proven(m, r, $2) as proven
              from members m
              join rollouts r on r.id = m.rollout_id
             where m.live and r.status in ('completed', 'rolled_back', 'cancelled', 'superseded')
               and ($3::text is null or r.repository = $3)
               and case exposure(m, r) when 0 then m.from_image is null when 1 then is_proven(m, r, $2) else true end
             limit $1
               for update of m skip locked
        ), {_FOLD}
        select count(*) from closing
        """,  # noqa: S608 – text of our own
        limit, now, repository,
    )  # fmt: skip
    return folded


async def taken(conn: Connection, device: DeviceId, now: datetime) -> None:
    """The device polled, and so took whatever it is offered; saying it again changes nothing."""
    await conn.execute(
        """
        with untaken as (
            select m.rollout_id from members m join rollouts r on r.id = m.rollout_id
             where m.device_id = $1 and m.live and m.taken_at is null and m.rank < r.frontier
             order by m.rollout_id
               for update of m
        )
        update members set taken_at = $2
          from untaken
         where members.device_id = $1 and members.rollout_id = untaken.rollout_id
        """,
        device, now,
    )  # fmt: skip


async def offers(conn: Connection, device: DeviceId) -> list[Offer]:
    """What live rollouts that reached this device mean for its report; their places are locked until the transaction ends."""
    rows = await conn.fetch(
        """
        select r.id, r.revision, r.repository, r.image, r.health_check_enabled, m.rank < r.frontier as is_exposed,
               m.outcome, m.reason, m.returned_at is not null as is_back,
               (select array_agg(array[s.app, s.service, s.image]) from services s
                 where s.device_id = m.device_id and s.repository = m.repository) as previous
          from members m
          join rollouts r on r.id = m.rollout_id
         where m.device_id = $1 and m.live and m.rank < r.reached
           and r.status not in ('completed', 'rolled_back') -- what these have shown is history, about to be folded
         order by r.id
           for update of m
        """,
        device,
    )
    return [_offer(row) for row in rows]


async def report(
    conn: Connection, rollout: RolloutId, device: DeviceId, outcome: Outcome | None, reason: str | None, now: datetime
) -> None:
    """What the device has shown of the image; whoever shows anything has taken it."""
    await conn.execute(
        """
        update members
           set outcome = $3, reason = $4, taken_at = coalesce(taken_at, $5),
               outcome_at = case when outcome is distinct from $3 then $5 else outcome_at end
         where rollout_id = $1 and device_id = $2
        """,
        rollout, device, outcome, reason, now,
    )  # fmt: skip


async def returned(conn: Connection, rollout: RolloutId, device: DeviceId, is_back: bool, now: datetime) -> None:
    """Whether the device reported its previous image after the rollout took its own back."""
    await conn.execute(
        """
        update members set returned_at = case when $3 then $4::timestamptz end, taken_at = coalesce(taken_at, $4)
         where rollout_id = $1 and device_id = $2
        """,
        rollout, device, is_back, now,
    )  # fmt: skip


async def skip(conn: Connection, device: DeviceId, repository: str, now: datetime) -> int:
    """Take a device out of the rollout of this image; returns how often its version had risen for it, to be kept in its base."""
    steps: int | None = await conn.fetchval(
        """
        with leaving as (
            select m.rollout_id, exposure(m, r) as steps, r.finished_at is null as is_under_way
              from members m join rollouts r on r.id = m.rollout_id
             where m.device_id = $1 and m.repository = $2 and m.live
        ), left_out as (
            update members set live = false, skipped_at = case when is_under_way then $3::timestamptz end
              from leaving
             where members.rollout_id = leaving.rollout_id and members.device_id = $1
        )
        select steps from leaving
        """,
        device, repository, now,
    )  # fmt: skip
    return steps or 0


async def page(
    conn: Connection, rollout: RolloutId, after_rank: int, limit: int, now: datetime, statuses: Sequence[DeviceStatus] | None = None
) -> list[Member]:
    """Members by rank."""
    rows = await conn.fetch(
        f"""{_MEMBER}
         where m.rollout_id = $2 and m.rank > $3 and ($5::text[] is null or member_status(m, r, $1) = any($5))
         order by m.rank limit $4
        """,
        now, rollout, after_rank, limit, statuses,
    )  # fmt: skip
    return [_member(row) for row in rows]


async def of_device(conn: Connection, device: DeviceId, before: RolloutId, limit: int, now: datetime) -> list[Member]:
    """A device's places in rollouts, newest first."""
    rows = await conn.fetch(
        f"{_MEMBER} where m.device_id = $2 and m.rollout_id < $3 order by m.rollout_id desc limit $4", now, device, before, limit
    )
    return [_member(row) for row in rows]


async def ranked(conn: Connection, rollout: RolloutId, first: int, end: int, at: datetime, limit: int) -> list[tuple[int, str]]:
    """(rank, device uuid) of up to `limit` members with first <= rank < end who had not left the rollout at that time."""
    rows = await conn.fetch(
        """
        select m.rank, d.uuid from members m join devices d on d.id = m.device_id
         where m.rollout_id = $1 and m.rank >= $2 and m.rank < $3 and (m.skipped_at is null or m.skipped_at > $4)
         order by m.rank limit $5
        """,
        rollout, first, end, at, limit,
    )  # fmt: skip
    return [(row["rank"], str(row["uuid"])) for row in rows]


_MEMBER = """
    select m.*, d.uuid, member_status(m, r, $1) as status, offered.stage + 1 as batch_number, offered.at as scheduled_at
      from members m
      join rollouts r on r.id = m.rollout_id
      join devices d on d.id = m.device_id
      left join lateral first_offer(m) as offered on true
"""


def _member(row: Row) -> Member:
    return Member(
        rollout_id=RolloutId(row["rollout_id"]),
        device_id=DeviceId(row["device_id"]),
        device_uuid=str(row["uuid"]),
        rank=row["rank"],
        batch_number=row["batch_number"],
        status=DeviceStatus(row["status"]),
        scheduled_at=row["scheduled_at"],
        taken_at=row["taken_at"],
        outcome_at=row["outcome_at"],
        returned_at=row["returned_at"],
        reason=row["reason"],
    )


def _offer(row: Row) -> Offer:
    return Offer(
        rollout_id=RolloutId(row["id"]),
        revision=row["revision"],
        repository=row["repository"],
        image=Image.parse(row["image"]),
        is_exposed=row["is_exposed"],
        health_check_enabled=row["health_check_enabled"],
        outcome=row["outcome"] and Outcome(row["outcome"]),
        reason=row["reason"],
        is_back=row["is_back"],
        previous={(app, service): Image.parse(image) for app, service, image in row["previous"] or []},
    )
