"""Every statement that reads or writes members: the devices of a rollout, each with its rank."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain import plans
from domain.health import Outcome
from domain.ids import DeviceId, RolloutId
from domain.images import Image
from domain.members import Member, Offer
from domain.plans import Schedule
from domain.rollouts import ROLLBACK_WINDOW, Rollout
from domain.statuses import DeviceStatus
from storage.connection import Connection, Row
from storage.rollouts import Silence


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


# Seconds for one statement: a million devices took 25 to 45, and other statements have 60.
RANKING = 600


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Who was ranked."""

    devices: int
    canaries: tuple[int, ...]
    """How many of them each stage of the plan names."""
    zones: tuple[str, ...]
    """Whose windows they wait for; none where the plan has no windows."""


async def enrol(conn: Connection, rollout: Rollout, newer: Sequence[Image], now: datetime, only: DeviceId | None = None) -> Enrolled:
    """Rank the devices that this rollout is for, after the members it has.

    Left out: devices that already should run the image, run a `newer` one, belong to another fleet, were set aside, or are in
    another active rollout of the same image. What older rollouts gave the others becomes part of their base target, or, while
    unproven, their `from_image`. Order: canaries; devices that were seen recently before silent ones; where only so many of a
    label's value may be on their way, first so many of each, then the next; then by a hash salted with the rollout.
    """
    plan = rollout.plan
    await _choose(conn, rollout, newer, now, only)
    await _fold_chosen(conn, now)
    named = [(uuid, stage) for stage, planned in enumerate(plan.stages) for uuid in planned.canaries]
    cap = plan.pace.per_label
    rows = await conn.fetch(
        """
        with candidates as (
            select d.id, chosen.from_image, canary.stage, d.labels ->> $6 as lane, chosen.zone,
                   -- Being seen is written down every half minute only, whatever the plan's patience.
                   coalesce(d.last_seen_at >= $4::timestamptz - greatest($5::interval, '1 minute'), false) as is_awake,
                   hashint8extended(d.id, $1) as salted
              from chosen
              join devices d on d.id = chosen.device_id and chosen.part = 0
              left join unnest($8::uuid[], $9::integer[]) as canary (uuid, stage) on canary.uuid = d.uuid
        ), paired as (
            select *, case when lane is null then 0
                           else (row_number() over (partition by lane order by stage, is_awake desc, salted, id) - 1) / $7 end as turn
              from candidates
        ), ranked as (
            select *, $2 + row_number() over (order by stage, is_awake desc, turn, salted, id) - 1 as rank from paired
        ), inserted as (
            insert into members (rollout_id, rank, device_id, repository, from_image, lane, zone)
            select $1, rank, id, $3, from_image, lane, zone from ranked
        ), followed as (
            insert into members (rollout_id, rank, part, device_id, repository, image, from_image, lane, zone)
            select $1, rank, chosen.part, id, chosen.repository, chosen.image, chosen.from_image, lane, ranked.zone
              from ranked join chosen on chosen.device_id = ranked.id and chosen.part > 0
        )
        select stage, zone, count(*) as devices from paired group by stage, zone
        """,
        rollout.id, rollout.size, rollout.image.repository, now, plan.pickup, cap and cap.label, cap.devices if cap else 1,
        [uuid for uuid, _ in named], [stage for _, stage in named], timeout=RANKING,
    )  # fmt: skip
    await conn.execute("drop table chosen")
    return Enrolled(
        devices=sum(row["devices"] for row in rows),
        canaries=tuple(sum(row["devices"] for row in rows if row["stage"] == stage) for stage in range(len(plan.stages))) if named else (),
        zones=tuple(sorted({row["zone"] for row in rows if row["zone"] is not None})),
    )


async def _choose(conn: Connection, rollout: Rollout, newer: Sequence[Image], now: datetime, only: DeviceId | None) -> None:
    await conn.execute(
        """
        create temporary table chosen (device_id bigint, part smallint, repository text, image text, from_image text, zone text,
                                       primary key (device_id, part)) on commit drop
        """
    )
    await (_choose_together if rollout.also else _choose_alone)(conn, rollout, newer, now, only)
    if rollout.plan.schedule.windows:
        await _place(conn, rollout.plan.schedule)
    await conn.execute("analyze chosen")


async def _choose_alone(conn: Connection, rollout: Rollout, newer: Sequence[Image], now: datetime, only: DeviceId | None) -> None:
    await conn.execute(
        """
        insert into chosen (device_id, part, repository)
        select c.device_id, 0, $1 from choice($1, $2, $3, $4, $5, '{}', $6) as c
         where c.why_not is null
           and ($7::bigint is null or c.device_id = $7)
           and ($4::text is null or c.device_fleet = $4) -- implied, but so a small fleet is found without looking at the others
           and not exists (select from members m where m.device_id = c.device_id and m.rollout_id = $8) -- left it, and stays out
        """,
        rollout.image.repository, str(rollout.image), [str(image) for image in newer], rollout.fleet, list(rollout.except_fleets), now,
        only, rollout.id, timeout=RANKING,
    )  # fmt: skip


async def _choose_together(conn: Connection, rollout: Rollout, newer: Sequence[Image], now: datetime, only: DeviceId | None) -> None:
    """All images or none: of a device that takes part, every service that runs one of them."""
    await conn.execute(
        """
        with agreed as materialized (
            select c.device_id from choice_together($1, $2, $3, $4, $5, '{}', $6) as c
             where c.why_not is null
               and ($7::bigint is null or c.device_id = $7)
               and not exists (select from members m where m.device_id = c.device_id and m.rollout_id = $8)
        )
        insert into chosen (device_id, part, repository, image)
        select agreed.device_id, brought.nr - 1, brought.repository, brought.image
          from agreed, unnest($1::text[], $2::text[]) with ordinality as brought (repository, image, nr)
         where nr > 1 and exists (select from services s where s.device_id = agreed.device_id and s.repository = brought.repository)
        union all
        select device_id, 0, $1[1], null from agreed
        """,
        list(rollout.repositories), [str(image) for image in rollout.images], [str(image) for image in newer], rollout.fleet,
        list(rollout.except_fleets), now, only, rollout.id, timeout=RANKING,
    )  # fmt: skip


async def _place(conn: Connection, schedule: Schedule) -> None:
    """Note whose windows the chosen devices wait for."""
    named = await conn.fetch(
        "select distinct coalesce(d.labels ->> $1, '') as label from chosen join devices d on d.id = chosen.device_id and part = 0",
        schedule.zone_label,
    )
    labels = [row["label"] for row in named]
    await conn.execute(
        """
        update chosen set zone = named.zone
          from devices d, unnest($2::text[], $3::text[]) as named (label, zone)
         where d.id = chosen.device_id and part = 0 and named.label = coalesce(d.labels ->> $1, '')
        """,
        schedule.zone_label, labels, [plans.zone_of(schedule, label) for label in labels],
    )  # fmt: skip


async def _fold_chosen(conn: Connection, now: datetime) -> None:
    """Close what older rollouts did to the chosen devices."""
    await conn.execute(
        f"""
        with closing as materialized (
            select m.device_id, m.part, m.repository, m.rollout_id, coalesce(m.image, r.image) as image, rises(m, r) as steps,
                   is_proven(m, r, $1) as proven,
                   case when is_offered(m, r) then coalesce(m.image, r.image) when not is_back_at_base(m, r) then m.from_image end as shown
              from chosen
              join members m on m.device_id = chosen.device_id and m.repository = chosen.repository and m.live
              join rollouts r on r.id = m.rollout_id
             order by m.rollout_id, m.device_id
               for update of m
        ), {_FOLD}
        update chosen set from_image = closing.shown
          from closing
         where closing.device_id = chosen.device_id and closing.repository = chosen.repository and not closing.proven
        """,  # noqa: S608 – text of our own
        now,
    )


# What `closing` names becomes part of the base target, without changing what any device sees.
_FOLD = """
        images as (
            update services set image = closing.image
              from closing
             where services.device_id = closing.device_id and services.repository = closing.repository and closing.proven
        ), versions as (
            update targets set version = targets.version + rises.total
              from (select device_id, sum(steps) as total from closing where part = 0 group by device_id) as rises
             where targets.device_id = rises.device_id and rises.total > 0
        ), closed as (
            update members set live = false
              from closing
             where members.device_id = closing.device_id and members.rollout_id = closing.rollout_id and members.part = closing.part
        )
"""


async def fold(conn: Connection, limit: int, now: datetime, before: Rollout | None = None) -> int:
    """Make the result of ended rollouts part of the base target of up to `limit` devices; returns how many.

    Seen by no device: except that one which slept through a completed rollout for as long as that could be taken back has
    its image from then on at any time. What stays: a completed rollout until then, save for the devices that another rollout,
    `before` which this is done, is for; and an image that a device shows although it has not proved itself on it, since the
    rollout was superseded or cancelled.
    """
    folded: int = await conn.fetchval(
        f"""
        with closing as materialized (
            select m.device_id, m.part, m.repository, m.rollout_id, coalesce(m.image, r.image) as image,
                   late.comes_to_have_it or is_proven(m, r, $2) as proven,
                   rises(m, r) + case when late.comes_to_have_it then 1 else 0 end as steps
              from members m
              join rollouts r on r.id = m.rollout_id
              join devices d on d.id = m.device_id,
                   lateral (select r.status = 'completed' and $3::text[] is null and m.rank < r.frontier and m.skipped_at is null
                                   and not is_offered(m, r) and not is_taken_back(m, r) as comes_to_have_it) as late
             where m.live and r.status in ('completed', 'rolled_back', 'cancelled', 'superseded')
               and ($3::text[] is null and (r.status <> 'completed' or r.finished_at <= $4) or m.repository = any ($3)
                    and ($5::text is null or d.fleet = $5) and (d.fleet is null or d.fleet <> all ($6::text[])))
               and (late.comes_to_have_it or is_taken_back(m, r)
                    or case when is_offered(m, r) then is_proven(m, r, $2) else m.from_image is null end)
             limit $1
               for update of m skip locked
        ), {_FOLD}
        select count(*) from closing
        """,  # noqa: S608 – text of our own
        limit, now, before and list(before.repositories), now - ROLLBACK_WINDOW,
        before and before.fleet, list(before.except_fleets) if before else [],
    )  # fmt: skip
    return folded


async def taken(conn: Connection, device: DeviceId, now: datetime) -> None:
    """The device polled, and so took whatever it is offered; saying it again changes nothing."""
    await conn.execute(
        """
        with untaken as (
            select m.rollout_id from members m join rollouts r on r.id = m.rollout_id
             where m.device_id = $1 and m.live and m.taken_at is null and is_offered(m, r)
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
        select r.id, r.revision, r.plan, is_offered(m, r) as is_exposed,
               r.status in ('in_progress', 'paused') as is_under_way,
               m.outcome, m.reason, m.retries, coalesce(m.checked = 'failed', false) as has_failed_check,
               m.returned_at is not null as is_back,
               (select array_agg(array[s.app, s.service, s.image, coalesce(part.image, r.image)])
                  from members part
                  join services s on s.device_id = part.device_id and s.repository = part.repository
                 where part.rollout_id = r.id and part.device_id = m.device_id) as services
          from members m
          join rollouts r on r.id = m.rollout_id
         where m.device_id = $1 and m.live and m.part = 0 and (is_offered(m, r) or is_taken_back(m, r))
           and r.status <> 'rolled_back' -- what it has shown is history, about to be folded
           -- What ran well until a rollout completed is history too; its devices report for a month before they are folded.
           and (r.status <> 'completed' or m.outcome is distinct from 'running' or m.withdrawn_at is not null and m.returned_at is null)
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
               outcome_at = case when outcome is distinct from $3 then $5 else outcome_at end,
               checked = case when outcome is distinct from $3 then null else checked end
         where rollout_id = $1 and device_id = $2
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


async def withdraw(conn: Connection, rollout: RolloutId, device: DeviceId, now: datetime, retry_at: datetime | None) -> None:
    """Take the image back from one device, for good or until it is tried again."""
    await conn.execute(
        """
        update members set withdrawn_at = coalesce(withdrawn_at, $3), retry_at = $4, returned_at = null
         where rollout_id = $1 and device_id = $2
        """,
        rollout, device, now, retry_at,
    )  # fmt: skip


async def withdraw_all(conn: Connection, rollout: Rollout, first: int, end: int, now: datetime, only: DeviceId | None = None) -> list[str]:
    """Take the image back from members with first <= rank < end that were offered it, or from one of them; returns their uuids."""
    rows = await conn.fetch(
        """
        update members set withdrawn_at = $4, retry_at = null
          from devices d
         where d.id = members.device_id and rollout_id = $1 and rank >= $2 and rank < $3 and ($5::bigint is null or device_id = $5)
           and live and skipped_at is null and (withdrawn_at is null or retry_at is not null)
        returning d.uuid
        """,
        rollout.id, first, end, now, only,
    )  # fmt: skip
    return sorted({str(row["uuid"]) for row in rows})


async def time_out(conn: Connection, rollout: Rollout, now: datetime) -> list[str]:
    """Take the image back from devices that were silent past the deadline, where the plan tries them again or returns failed ones."""
    retries = rollout.plan.retries
    limit = retries.limits.get(Outcome.TIMED_OUT, 0)
    rows = await conn.fetch(
        """
        update members m
           set outcome = 'timed_out', outcome_at = $2, reason = 'silent past the deadline', withdrawn_at = $2,
               retry_at = case when m.retries < $3 then $2::timestamptz + $4::interval * 2 ^ m.retries end
          from rollouts r, devices d
         where r.id = $1 and m.rollout_id = r.id and d.id = m.device_id and m.rank < r.frontier and m.live and m.withdrawn_at is null
           and m.outcome is null and m.taken_at is not null and member_status(m, r, $2) = 'timed_out'
           and ($5 or m.retries < $3)
        returning d.uuid
        """,
        rollout.id, now, limit, retries.backoff, rollout.plan.only_failed_return,
    )  # fmt: skip
    return sorted({str(row["uuid"]) for row in rows})


async def try_again(conn: Connection, rollout: Rollout, now: datetime) -> None:
    """Have all that failed tried again: at once, or where only so many may be on their way as soon as there is room."""
    await conn.execute(
        """
        update members m
           set retry_at = $2, withdrawn_at = coalesce(withdrawn_at, $2), returned_at = null
          from rollouts r
         where r.id = $1 and m.rollout_id = r.id and m.rank < r.frontier and m.live and m.skipped_at is null
           and (m.outcome <> 'running' or member_status(m, r, $2) = 'timed_out')
        """,
        rollout.id, now,
    )  # fmt: skip
    if not rollout.plan.pace.is_capped:
        await admit(conn, rollout, 0, now)


async def defer_silent(conn: Connection, rollout: Rollout, silence: Silence, now: datetime) -> None:
    """Take the offer from devices that were silent when their turn came, lest they wake when somebody else has it."""
    await conn.execute(
        """
        update members m set deferred_at = $6, offered_at = null
          from rollouts r
         where r.id = $1 and m.rollout_id = r.id and m.rank < r.frontier and m.live and m.deferred_at is null
           and is_silent(m, r, $2, $3, $4, $5)
        """,
        rollout.id, *silence.as_arguments(), now,
    )  # fmt: skip


async def admit(conn: Connection, rollout: Rollout, in_flight: int, now: datetime) -> list[str]:
    """Offer the image again to those whose time for another try has come, and to those that slept through their turn and are awake.

    As far as there is room: who waits to be tried again holds a place already, also one that is not there. Returns their uuids.
    """
    cap = rollout.plan.pace.per_label
    rows = await conn.fetch(
        """
        with due as (
            select m.* from members m join rollouts r on r.id = m.rollout_id
             where m.rollout_id = $1 and m.part = 0 and m.live and m.retry_at <= $2
               and (m.zone is null or is_let_in(m.rank, m.zone, r.zones))
        ), waiting as (
            select device_id, lane, rank, retry_at from due
            union all
            select m.device_id, m.lane, m.rank, null
              from members m join rollouts r on r.id = m.rollout_id join devices d on d.id = m.device_id
             where m.rollout_id = $1 and m.part = 0 and m.live and m.deferred_at < d.last_seen_at and m.withdrawn_at is null
               and (m.zone is null or is_let_in(m.rank, m.zone, r.zones))
        ), busy as (
            select m.lane, count(*) as devices from members m join rollouts r on r.id = m.rollout_id
             where m.rollout_id = $1 and m.part = 0 and $5::integer is not null and m.lane is not null and m.rank < r.reached
               and not exists (select from due where due.device_id = m.device_id) and is_on_its_way(m, r, $2)
             group by m.lane
        ), queue as (
            select device_id, lane, retry_at, rank, row_number() over (partition by lane order by retry_at, rank) as nth from waiting
        ), admitted as (
            select device_id from queue left join busy using (lane)
             where $5 is null or lane is null or nth + coalesce(busy.devices, 0) <= $5
             order by retry_at, rank
             limit case when $4::integer is not null then greatest(0, $4 - $3::integer + (select count(*) from due)) end
        )
        update members m
           set withdrawn_at = null, retry_at = null, deferred_at = null, offered_at = $2, taken_at = null, progress_at = null,
               retries = m.retries + case when m.retry_at is null then 0 else 1 end,
               outcome = null, outcome_at = null, returned_at = null, reason = null, checked = null
          from admitted, devices d
         where m.rollout_id = $1 and m.device_id = admitted.device_id and d.id = m.device_id
        returning d.uuid
        """,
        rollout.id, now, in_flight, rollout.plan.pace.in_flight, cap and cap.devices,
    )  # fmt: skip
    return sorted({str(row["uuid"]) for row in rows})


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


async def skip(conn: Connection, device: DeviceId, repository: str, now: datetime) -> int:
    """Take a device out of the rollout of this image; returns how often its version had risen for it, to be kept in its base."""
    steps: int | None = await conn.fetchval(
        """
        with leaving as (
            select m.rollout_id, rises(m, r) as steps, r.finished_at is null as is_under_way
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


async def together(conn: Connection, device: DeviceId, repositories: Iterable[str]) -> set[str]:
    """The repositories whose images move together with these on a device, these included."""
    rows = await conn.fetch(
        """
        select distinct other.repository
          from members m
          join members other on other.rollout_id = m.rollout_id and other.device_id = m.device_id and other.live
         where m.device_id = $1 and m.live and m.repository = any ($2)
        """,
        device, list(repositories),
    )  # fmt: skip
    return set(repositories) | {row["repository"] for row in rows}


async def keep(conn: Connection, device: DeviceId, now: datetime, *, only_unoffered: bool) -> None:
    """Take a device out of the rollouts it is in, or of those only that have not offered it their image; it sees no difference.

    What it shows becomes part of its base target. A rollout that has ended keeps what the device showed of its image.
    """
    await conn.execute(
        """
        with leaving as materialized (
            select m.rollout_id, m.repository, case m.part when 0 then rises(m, r) else 0 end as steps,
                   r.finished_at is null or member_status(m, r, $2) = 'deferred' as is_left
              from members m join rollouts r on r.id = m.rollout_id
             where m.device_id = $1 and m.live and (not $3 or not is_offered(m, r) and not is_taken_back(m, r))
             order by m.rollout_id, m.part
               for update of m -- before the services and targets that follow, as whoever folds does
        ), images as (
            update services set image = shown.image
              from leaving join effective_services shown on shown.device_id = $1 and shown.repository = leaving.repository
             where services.device_id = $1 and services.app = shown.app and services.service = shown.service
        ), versions as (
            update targets set version = targets.version + (select sum(steps) from leaving)
             where targets.device_id = $1 and exists (select from leaving)
        )
        update members set live = false, skipped_at = case when is_left then $2::timestamptz end
          from leaving
         where members.device_id = $1 and members.rollout_id = leaving.rollout_id
        """,
        device, now, only_unoffered,
    )  # fmt: skip


async def page(
    conn: Connection, rollout: RolloutId, after_rank: int, limit: int, now: datetime, statuses: Sequence[DeviceStatus] | None = None
) -> list[Member]:
    """Members by rank."""
    rows = await conn.fetch(
        f"""{_MEMBER}
         where m.rollout_id = $2 and m.part = 0 and m.rank > $3 and ($5::text[] is null or member_status(m, r, $1) = any($5))
         order by m.rank limit $4
        """,
        now, rollout, after_rank, limit, statuses,
    )  # fmt: skip
    return [_member(row) for row in rows]


async def of_device(conn: Connection, device: DeviceId, before: RolloutId, limit: int, now: datetime) -> list[Member]:
    """A device's places in rollouts, newest first."""
    rows = await conn.fetch(
        f"{_MEMBER} where m.device_id = $2 and m.part = 0 and m.rollout_id < $3 order by m.rollout_id desc limit $4",
        now,
        device,
        before,
        limit,
    )
    return [_member(row) for row in rows]


async def ranked(conn: Connection, rollout: RolloutId, first: int, end: int, at: datetime, limit: int) -> list[tuple[int, str]]:
    """(rank, device uuid) of up to `limit` members with first <= rank < end who had not left the rollout at that time."""
    rows = await conn.fetch(
        """
        select m.rank, d.uuid from members m join devices d on d.id = m.device_id
         where m.rollout_id = $1 and m.part = 0 and m.rank >= $2 and m.rank < $3 and (m.skipped_at is null or m.skipped_at > $4)
         order by m.rank limit $5
        """,
        rollout, first, end, at, limit,
    )  # fmt: skip
    return [(row["rank"], str(row["uuid"])) for row in rows]


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
        plan=plans.from_document(row["plan"]),
        retries=row["retries"],
        outcome=row["outcome"] and Outcome(row["outcome"]),
        reason=row["reason"],
        has_failed_check=row["has_failed_check"],
        is_back=row["is_back"],
        previous={(app, service): Image.parse(image) for app, service, image, _ in services},
    )
