"""Every statement that looks ahead: whom a rollout would be for, and how long devices took in those before."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from domain.ids import DeviceId, PolicyId, RolloutId
from domain.images import Image
from domain.previews import Group, LeftOut, LeftOutDevice, Proposal
from domain.selectors import document
from storage.connection import Connection, Row
from storage.devices import aside_in


@dataclass(frozen=True, slots=True)
class Measured:
    """What devices took, in the middle and at the 90th percentile, from being offered an image to polling, and from that to running it."""

    devices: int
    rollouts: int
    taking: tuple[timedelta, timedelta]
    starting: tuple[timedelta, timedelta]


async def groups(conn: Connection, proposal: Proposal, sample: int) -> list[Group]:
    """The devices that run any of these images, of whatever version, alike ones counted together."""
    schedule = proposal.plan.schedule
    named = [(uuid, stage) for stage, planned in enumerate(proposal.plan.stages) for uuid in planned.canaries]
    rows = await conn.fetch(
        """
        select c.why_not, case when c.why_not = 'other_rollout' then c.rollout_id end as rollout_id,
               case when c.why_not is null then d.labels ->> $8 end as label, canary.stage, count(*) as devices,
               case when c.why_not is not null then (array_agg(c.device_id order by c.device_id))[1:$11] end as first
          from choice_together($1, $2, '{}', $3, $4, $5, $6, $7) as c
          join devices d on d.id = c.device_id
          left join unnest($9::uuid[], $10::integer[]) as canary (uuid, stage) on canary.uuid = d.uuid and c.why_not is null
         group by 1, 2, 3, 4
        """,
        *_choice(proposal), schedule.zone_label if schedule.windows else None,
        [uuid for uuid, _ in named], [stage for _, stage in named], sample,
    )  # fmt: skip
    return [_group(row) for row in rows]


def _choice(proposal: Proposal) -> tuple[object, ...]:
    """What is asked of `choice_together` beside the newer images, which an operator does not spare."""
    scope = proposal.scope
    return (
        [image.repository for image in proposal.images], [str(image) for image in proposal.images], scope.fleet, list(scope.except_fleets),
        document(scope.selector), [rollout.id for rollout in proposal.supersedes], proposal.at,
    )  # fmt: skip


def _group(row: Row) -> Group:
    return Group(
        why=row["why_not"] and LeftOut(row["why_not"]),
        rollout_id=row["rollout_id"] and RolloutId(row["rollout_id"]),
        label=row["label"] or "",
        stage=row["stage"],
        devices=row["devices"],
        first=tuple(DeviceId(device) for device in row["first"] or ()),
    )


async def largest_lane(conn: Connection, proposal: Proposal, label: str) -> int:
    """How many that would take part share the commonest value of a label."""
    devices: int | None = await conn.fetchval(
        """
        select count(*) as devices
          from choice_together($1, $2, '{}', $3, $4, $5, $6, $7) as c
          join devices d on d.id = c.device_id
         where c.why_not is null and d.labels ? $8
         group by d.labels ->> $8
         order by 1 desc limit 1
        """,
        *_choice(proposal), label,
    )  # fmt: skip
    return devices or 0


async def described(
    conn: Connection, images: Sequence[Image], devices: Sequence[DeviceId], rollout: RolloutId | None
) -> list[LeftOutDevice]:
    """Devices that would be left out, for the sake of a rollout they are in or without."""
    rows = await conn.fetch(
        """
        select d.*, array(select distinct image from effective_services e
                           where e.device_id = d.id and e.repository = any ($2) order by image) as images
          from devices d
         where d.id = any ($1::bigint[])
         order by d.id
        """,
        devices, [image.repository for image in images],
    )  # fmt: skip
    return [_described(row, rollout) for row in rows]


def _described(row: Row, rollout: RolloutId | None) -> LeftOutDevice:
    aside = None if row["aside"] is None else aside_in(row)
    return LeftOutDevice(
        DeviceId(row["id"]), str(row["uuid"]), row["name"], row["fleet"], row["labels"], tuple(row["images"]), aside, rollout
    )


async def measured(conn: Connection, policy: PolicyId | None) -> Measured | None:
    """What devices took in the last five rollouts, of a policy or of any, that have ended: some 200 of each, evenly over the ranks.

    Without those that had to wait for a window or were tried again: from them nobody can tell how long they needed.
    """
    row = await conn.fetchrow(
        """
        with latest as (
            select id, reached from rollouts
             where finished_at is not null and reached > 0 and ($1::bigint is null or policy_id = $1)
             order by id desc limit 5
        ), shown as (
            select m.rollout_id, m.taken_at - coalesce(m.offered_at, offered.at) as taking,
                   case when m.outcome = 'running' then m.outcome_at - m.taken_at end as starting
              from latest
             cross join lateral generate_series(0, latest.reached - 1, greatest(1, latest.reached / 200)) as drawn (rank)
              join members m on m.rollout_id = latest.id and m.rank = drawn.rank
             cross join lateral first_offer(m) as offered
             where m.taken_at >= coalesce(m.offered_at, offered.at) and m.retries = 0 and m.zone is null
        )
        select count(*) as devices, count(distinct rollout_id) as rollouts,
               percentile_cont(array[0.5, 0.9]) within group (order by taking) as taking,
               percentile_cont(array[0.5, 0.9]) within group (order by starting) as starting
          from shown
        """,
        policy,
    )  # fmt: skip
    assert row is not None, "an aggregate has one row"
    if not row["devices"]:
        return None
    nothing = [timedelta(0)] * 2
    return Measured(row["devices"], row["rollouts"], tuple(row["taking"]), tuple(row["starting"] or nothing))
