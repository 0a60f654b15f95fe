"""Every statement that reads members, the devices of a rollout, each with its rank; or notes what one has shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain import plans
from domain.health import Outcome
from domain.ids import DeviceId, RolloutId
from domain.images import Image
from domain.members import Member, Offer
from domain.selectors import Selector, document
from domain.statuses import DeviceStatus
from storage.connection import Connection, Row
from storage.grouping import counted, grouped


async def base_images(
    conn: Connection, repository: str, fleet: str | None, except_fleets: Sequence[str], selector: Selector | None
) -> list[Image]:
    """Every image of a repository that some device in scope is based on, found by hopping through the index: few images, many devices.

    Beside them those that completed rollouts have brought: they become what devices are based on a month later, or with the next.
    """
    rows = await conn.fetch(
        """
        with recursive scope as not materialized (
            select s.image from services s join devices d on d.id = s.device_id
             where s.repository = $1 and ($2::text is null or d.fleet = $2) and (d.fleet is null or d.fleet <> all ($3::text[]))
               and selects($4, d.labels) is not false
        ), hop as (
            (select image from scope order by image limit 1)
            union all
            select (select image from scope where image > hop.image order by image limit 1) from hop where hop.image is not null
        )
        select image from hop where image is not null
        """,
        repository, fleet, list(except_fleets), document(selector),
    )  # fmt: skip
    based_on = [Image.parse(row["image"]) for row in rows]
    return list(dict.fromkeys([*based_on, *await _brought(conn, repository, fleet, except_fleets, selector)]))


async def _brought(
    conn: Connection, repository: str, fleet: str | None, except_fleets: Sequence[str], selector: Selector | None
) -> list[Image]:
    """Every image of a repository that some device in scope has from a completed rollout."""
    rows = await conn.fetch(
        """
        select r.image || r.also as images
          from rollouts r
         where r.status = 'completed' and $1 = any (r.repositories)
           -- Else all of a million members were looked through for one of a fleet that it left out.
           and ($2::text is null or r.fleet = $2 or r.fleet is null and $2 <> all (r.except_fleets))
           and exists (select from members m join devices d on d.id = m.device_id
                        where m.rollout_id = r.id and m.live and m.repository = $1 and is_offered(m, r)
                          and ($2::text is null or d.fleet = $2) and (d.fleet is null or d.fleet <> all ($3::text[]))
                          and selects($4, d.labels) is not false)
        """,
        repository, fleet, list(except_fleets), document(selector),
    )  # fmt: skip
    images = [Image.parse(text) for row in rows for text in row["images"]]
    return [image for image in images if image.repository == repository]


async def images_in_use(conn: Connection, repository: str, only: DeviceId | None = None) -> list[Image]:
    """Every image of a repository that some device should run now, rollouts included."""
    rows = await conn.fetch(
        "select distinct image from effective_services where repository = $1 and ($2::bigint is null or device_id = $2)", repository, only
    )
    return [Image.parse(row["image"]) for row in rows]


async def taken(conn: Connection, devices: Sequence[DeviceId], now: datetime) -> None:
    """These devices polled, and so took whatever they are offered; saying it again changes nothing.

    Places that somebody else is changing are left out: who holds many locks waits for nobody.
    """
    await conn.execute(
        """
        with untaken as (
            select m.rollout_id, m.device_id, m.part from members m join rollouts r on r.id = m.rollout_id
             where m.device_id = any ($1) and m.live and m.taken_at is null and is_offered(m, r)
               for update of m skip locked
        )
        update members set taken_at = $2
          from untaken
         where members.device_id = untaken.device_id and members.rollout_id = untaken.rollout_id and members.part = untaken.part
        """,
        devices, now,
    )  # fmt: skip


_CONCERNED = """
               m.live and (is_offered(m, r) or is_taken_back(m, r))
           and r.status <> 'rolled_back' -- what it has shown is history, about to be folded
           -- What ran well until a rollout completed is history too; its devices report for a month before they are folded.
           and (r.status <> 'completed' or m.outcome is distinct from 'running' or m.withdrawn_at is not null and m.returned_at is null)
"""


async def lock_free(conn: Connection, devices: Sequence[DeviceId]) -> set[DeviceId]:
    """Lock the places that reports of these devices concern; returns the devices with whose places nobody else is busy.

    Who holds the locks of many waits for nobody's, or two would wait for each other.
    """
    rows = await conn.fetch(
        f"""
        with locked as materialized (
            select m.device_id, m.rollout_id, m.part from members m join rollouts r on r.id = m.rollout_id
             where m.device_id = any ($1) and {_CONCERNED}
               for update of m skip locked
        )
        select m.device_id from members m join rollouts r on r.id = m.rollout_id
         where m.device_id = any ($1) and {_CONCERNED}
           and (m.device_id, m.rollout_id, m.part) not in (select * from locked)
        """,  # noqa: S608 – text of our own
        devices,
    )
    return set(devices) - {DeviceId(row["device_id"]) for row in rows}


async def offers(conn: Connection, devices: Sequence[DeviceId]) -> dict[DeviceId, list[Offer]]:
    """What live rollouts that reached these devices mean for their reports; their places are locked until the transaction ends."""
    rows = await conn.fetch(
        f"""
        select m.device_id, r.id, r.revision, r.plan, is_offered(m, r) as is_exposed,
               r.status in ('in_progress', 'paused') as is_under_way,
               r.status in ('in_progress', 'paused', 'completed') as is_kept,
               m.outcome, m.reason, m.retries, coalesce(m.checked = 'failed', false) as has_failed_check,
               m.returned_at is not null as is_back,
               (select array_agg(array[s.app, s.service, s.image, coalesce(part.image, r.image)])
                  from members part
                  join services s on s.device_id = part.device_id and s.repository = part.repository
                 where part.rollout_id = r.id and part.device_id = m.device_id) as services
          from members m
          join rollouts r on r.id = m.rollout_id
         where m.part = 0 and m.device_id = any ($1) and {_CONCERNED}
         order by m.device_id, r.id
           for update of m
        """,  # noqa: S608 – text of our own
        devices,
    )
    found: dict[DeviceId, list[Offer]] = {}
    for row in rows:
        found.setdefault(DeviceId(row["device_id"]), []).append(_offer(row))
    return found


async def report(
    conn: Connection, rollout: RolloutId, device: DeviceId, outcome: Outcome | None, reason: str | None, now: datetime
) -> None:
    """What the device has shown of the image; whoever shows anything has taken it.

    Once it shows nothing conclusive any more its deadline begins anew if it had run for the soak time or a deadline, and runs on
    from when it took the image if not: else one that fails or restarts every other minute would be waited for for ever.
    """
    await conn.execute(
        """
        update members m
           set outcome = $3, reason = $4, taken_at = coalesce(taken_at, $5),
               outcome_at = case when outcome is not distinct from $3 then outcome_at
                                 when $3::text is not null then $5
                                 when outcome = 'running' and r.health_check_enabled
                                      and outcome_at + least(r.soaks[batch_of(m, r) + 1], r.deadline) <= $5 then $5::timestamptz end,
               checked = case when outcome is distinct from $3 then null else checked end
          from rollouts r
         where r.id = $1 and m.rollout_id = $1 and m.device_id = $2
        """,
        rollout, device, outcome, reason, now,
    )  # fmt: skip


async def found_unhealthy(conn: Connection, rollout: RolloutId, device: DeviceId, reason: str, now: datetime) -> None:
    """A check from outside failed: it counts as unhealthy, whatever it says itself, until it is tried again."""
    await conn.execute(
        "update members set outcome = 'unhealthy', outcome_at = $4, reason = $3 where rollout_id = $1 and device_id = $2",
        rollout, device, reason, now,
    )  # fmt: skip


async def progressed(conn: Connection, rollout: RolloutId, device: DeviceId, now: datetime) -> None:
    """A device that took the image said something, though nothing conclusive: its step timer begins anew."""
    await conn.execute(
        "update members set progress_at = $3 where rollout_id = $1 and device_id = $2 and taken_at is not null", rollout, device, now
    )


async def returned(conn: Connection, rollout: RolloutId, device: DeviceId, is_back: bool, now: datetime) -> None:
    """Whether the device reported its previous image after the rollout took its own back."""
    await conn.execute(
        """
        update members set returned_at = case when $3 then $4::timestamptz end, taken_at = coalesce(taken_at, $4)
         where rollout_id = $1 and device_id = $2
        """,
        rollout, device, is_back, now,
    )  # fmt: skip


async def cannot_return(conn: Connection, rollout: RolloutId, device: DeviceId, reason: str) -> None:
    """The device was told to return, and says that its previous image does not run either."""
    await conn.execute("update members set reason = $3 where rollout_id = $1 and device_id = $2", rollout, device, reason)


async def pages(
    conn: Connection, rollouts: Sequence[RolloutId], after_rank: int, limit: int, now: datetime, statuses: Sequence[DeviceStatus] | None
) -> dict[RolloutId, list[Member]]:
    """Members of each of these rollouts, by rank."""
    rows = await conn.fetch(
        f"""
        select place.*
          from unnest($2::bigint[]) as asked (rollout_id),
               lateral ({_MEMBER}
                where m.rollout_id = asked.rollout_id and m.part = 0 and m.rank > $3
                  and ($5::text[] is null or member_status(m, r, $1) = any ($5))
                order by m.rank limit $4) as place
         order by place.rank
        """,  # noqa: S608 – text of our own
        now, rollouts, after_rank, limit, statuses,
    )  # fmt: skip
    return grouped(rows, "rollout_id", _member)


async def of_devices(
    conn: Connection, devices: Sequence[DeviceId], before: RolloutId, limit: int, now: datetime
) -> dict[DeviceId, list[Member]]:
    """The places of devices in rollouts, newest first: of each, so many."""
    rows = await conn.fetch(
        f"""
        select place.*
          from unnest($2::bigint[]) as asked (device_id),
               lateral ({_MEMBER}
                where m.device_id = asked.device_id and m.part = 0 and m.rollout_id < $3
                order by m.rollout_id desc limit $4) as place
         order by place.rollout_id desc
        """,  # noqa: S608 – text of our own
        now, devices, before, limit,
    )  # fmt: skip
    return grouped(rows, "device_id", _member)


async def count_of_devices(conn: Connection, devices: Sequence[DeviceId]) -> dict[DeviceId, int]:
    """In how many rollouts each of these devices has a place."""
    rows = await conn.fetch(
        "select device_id, count(*) as found from members where device_id = any ($1) and part = 0 group by device_id", devices
    )
    return counted(rows, "device_id")


@dataclass(frozen=True, slots=True)
class Reached:
    """The members whose turn came with a batch: those with first <= rank < end who had not left the rollout at that time."""

    rollout: RolloutId
    first: int
    end: int
    at: datetime


async def ranked(conn: Connection, reached: Sequence[Reached], limit: int) -> list[list[tuple[int, str]]]:
    """(rank, device uuid) of the members of each; of a rollout only the first `limit`, in the order of what is asked."""
    rows = await conn.fetch(
        """
        select nth, rank, uuid
          from (select asked.nth, m.rank, m.uuid, row_number() over (partition by asked.rollout_id order by asked.nth, m.rank) as place
                  from unnest($1::bigint[], $2::integer[], $3::integer[], $4::timestamptz[]) with ordinality
                       as asked (rollout_id, first, below, at, nth),
                       lateral (select m.rank, d.uuid from members m join devices d on d.id = m.device_id
                                 where m.rollout_id = asked.rollout_id and m.part = 0 and m.rank >= asked.first and m.rank < asked.below
                                   and (m.skipped_at is null or m.skipped_at > asked.at)
                                 order by m.rank limit $5) as m) as found
         where place <= $5
         order by nth, rank
        """,
        [one.rollout for one in reached], [one.first for one in reached], [one.end for one in reached], [one.at for one in reached], limit,
    )  # fmt: skip
    found = grouped(rows, "nth", lambda row: (row["rank"], str(row["uuid"])))
    return [found.get(nth, []) for nth, _ in enumerate(reached, 1)]


_MEMBER = """
    select m.*, d.uuid, member_status(m, r, $1) as status, offered.at as scheduled_at,
           case when m.rank < r.reached then batch_of(m, r) + 1 end as batch_number
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
        retries=row["retries"],
        retry_at=row["retry_at"],
        reason=row["reason"],
    )


def _offer(row: Row) -> Offer:
    services = row["services"] or []
    return Offer(
        rollout_id=RolloutId(row["id"]),
        revision=row["revision"],
        wanted={(app, service): Image.parse(image) for app, service, _, image in services},
        is_exposed=row["is_exposed"],
        is_under_way=row["is_under_way"],
        is_kept=row["is_kept"],
        plan=plans.from_document(row["plan"]),
        retries=row["retries"],
        outcome=row["outcome"] and Outcome(row["outcome"]),
        reason=row["reason"],
        has_failed_check=row["has_failed_check"],
        is_back=row["is_back"],
        previous={(app, service): Image.parse(image) for app, service, image, _ in services},
    )


async def many(conn: Connection, named: Sequence[tuple[RolloutId, str]], now: datetime) -> dict[tuple[RolloutId, str], Member]:
    """Those of these members that there are, each by its rollout and its device's uuid."""
    rows = await conn.fetch(
        f"{_MEMBER} where m.part = 0 and (m.rollout_id, d.uuid) in (select * from unnest($2::bigint[], $3::uuid[]))",  # noqa: S608 – text of our own
        now, [rollout for rollout, _ in named], [device for _, device in named],
    )  # fmt: skip
    return {(member.rollout_id, member.device_uuid): member for member in map(_member, rows)}
