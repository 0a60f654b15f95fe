"""Every statement by which a rollout gets its members: chosen, placed in time zones, ranked."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from domain import plans
from domain.ids import DeviceId
from domain.images import Image
from domain.plans import Schedule
from domain.previews import LeftOut
from domain.rollouts import Rollout
from domain.selectors import document
from storage import changes
from storage.connection import Connection
from storage.folding import fold_chosen

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


async def enrol(conn: Connection, rollout: Rollout, kept: Sequence[Image], now: datetime, only: DeviceId | None = None) -> Enrolled:
    """Rank the devices that this rollout is for, after the members it has.

    Left out: devices that already should run the image, run one that is `kept` from it, belong to another fleet, have other labels,
    were set aside, or are in another active rollout of the same image. What older rollouts gave the others becomes part of their base
    target, or, while unproven, their `from_image`. Order: canaries; devices that were seen recently before silent ones; where only so
    many of a label's value may be on their way, first so many of each, then the next, those before all that an older rollout may have
    left not working; then by a hash salted with the rollout.
    """
    plan = rollout.plan
    await _choose(conn, rollout, kept, now, only)
    await fold_chosen(conn, now)
    named = [(uuid, stage) for stage, planned in enumerate(plan.stages) for uuid in planned.canaries]
    cap = plan.pace.per_label
    rows = await conn.fetch(
        """
        with candidates as (
            select d.id, chosen.from_image, canary.stage, d.labels ->> $6 as lane, chosen.zone,
                   coalesce(chosen.was_down, false) as was_down,
                   -- Being seen is written down every two minutes only, whatever the plan's patience.
                   coalesce(d.last_seen_at >= $4::timestamptz - greatest($5::interval, '5 minutes'), false) as is_awake,
                   hashint8extended(d.id, $1) as salted
              from chosen
              join devices d on d.id = chosen.device_id and chosen.part = 0
              left join unnest($8::uuid[], $9::integer[]) as canary (uuid, stage) on canary.uuid = d.uuid
        ), paired as (
            select *, case when lane is null then 0 else (row_number() over in_lane - 1) / $7 end as turn
              from candidates
            window in_lane as (partition by lane order by stage, was_down desc, is_awake desc, salted, id)
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
    if only is not None:
        await changes.note(conn, only)
    return Enrolled(
        devices=sum(row["devices"] for row in rows),
        canaries=tuple(sum(row["devices"] for row in rows if row["stage"] == stage) for stage in range(len(plan.stages))) if named else (),
        zones=tuple(sorted({row["zone"] for row in rows if row["zone"] is not None})),
    )


async def left_out(conn: Connection, rollout: Rollout, kept: Sequence[Image], now: datetime) -> dict[LeftOut, int]:
    """How many of the devices that this rollout might have been for are left out, and why."""
    rows = await conn.fetch(
        """
        select why_not, count(*) as devices from choice_together($1, $2, $3, $4, $5, $6, '{}', $7)
         where why_not not in ('own_policy', 'other_fleet')
         group by why_not
        """,
        list(rollout.repositories), [str(image) for image in rollout.images], [str(image) for image in kept], rollout.fleet,
        list(rollout.except_fleets), document(rollout.selector), now, timeout=RANKING,
    )  # fmt: skip
    return {LeftOut(row["why_not"]): row["devices"] for row in rows}


async def _choose(conn: Connection, rollout: Rollout, kept: Sequence[Image], now: datetime, only: DeviceId | None) -> None:
    await conn.execute(
        """
        create temporary table chosen (device_id bigint, part smallint, repository text, image text,
                                       from_image text, zone text, was_down boolean,
                                       primary key (device_id, part)) on commit drop
        """
    )
    await (_choose_together if rollout.also else _choose_alone)(conn, rollout, kept, now, only)
    if rollout.plan.schedule.windows:
        await _place(conn, rollout.plan.schedule)
    await conn.execute("analyze chosen")


async def _choose_alone(conn: Connection, rollout: Rollout, kept: Sequence[Image], now: datetime, only: DeviceId | None) -> None:
    await conn.execute(
        """
        insert into chosen (device_id, part, repository)
        select c.device_id, 0, $1 from choice($1, $2, $3, $4, $5, $6, '{}', $7) as c
         where c.why_not is null
           and ($8::bigint is null or c.device_id = $8)
           and ($4::text is null or c.device_fleet = $4) -- implied, but so a small fleet is found without looking at the others
           and not exists (select from members m where m.device_id = c.device_id and m.rollout_id = $9) -- left it, and stays out
        """,
        rollout.image.repository, str(rollout.image), [str(image) for image in kept], rollout.fleet, list(rollout.except_fleets),
        document(rollout.selector), now, only, rollout.id, timeout=RANKING,
    )  # fmt: skip


async def _choose_together(conn: Connection, rollout: Rollout, kept: Sequence[Image], now: datetime, only: DeviceId | None) -> None:
    """All images or none: of a device that takes part, every service that runs one of them."""
    await conn.execute(
        """
        with agreed as materialized (
            select c.device_id from choice_together($1, $2, $3, $4, $5, $6, '{}', $7) as c
             where c.why_not is null
               and ($8::bigint is null or c.device_id = $8)
               and not exists (select from members m where m.device_id = c.device_id and m.rollout_id = $9)
        )
        insert into chosen (device_id, part, repository, image)
        select agreed.device_id, brought.nr - 1, brought.repository, brought.image
          from agreed, unnest($1::text[], $2::text[]) with ordinality as brought (repository, image, nr)
         where nr > 1 and exists (select from services s where s.device_id = agreed.device_id and s.repository = brought.repository)
        union all
        select device_id, 0, $1[1], null from agreed
        """,
        list(rollout.repositories), [str(image) for image in rollout.images], [str(image) for image in kept], rollout.fleet,
        list(rollout.except_fleets), document(rollout.selector), now, only, rollout.id, timeout=RANKING,
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
