"""Every statement by which a device leaves rollouts: what they did to it becomes part of its base target."""

from collections.abc import Iterable
from datetime import datetime

from domain.ids import DeviceId
from domain.rollouts import ROLLBACK_WINDOW, Rollout
from domain.selectors import document
from storage.connection import Connection

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


# Two statements, not one with an "or": by rollouts alone the members of completed ones, a million for a month, are not looked at.
_IN_TIME = "(r.status <> 'completed' or r.finished_at <= $3)"
_BEFORE = """m.repository = any ($4) and ($5::text is null or d.fleet = $5) and (d.fleet is null or d.fleet <> all ($6::text[]))
               and selects($7, d.labels) is not false"""


async def fold(conn: Connection, limit: int, now: datetime, before: Rollout | None = None) -> int:
    """Make the result of ended rollouts part of the base target of up to `limit` devices; returns how many.

    Seen by no device: except that one which slept through a completed rollout for as long as that could be taken back has
    its image from then on at any time. What stays: a completed rollout until then, save for the devices that another rollout,
    `before` which this is done, is for; its devices that failed, or were passed over, where they share a label with others; and an
    image that a device shows although it has not proved itself on it, since the rollout was superseded or cancelled.
    """
    scope = (list(before.repositories), before.fleet, list(before.except_fleets), document(before.selector)) if before else ()
    folded: int = await conn.fetchval(
        f"""
        with closing as materialized (
            select m.device_id, m.part, m.repository, m.rollout_id, coalesce(m.image, r.image) as image,
                   late.comes_to_have_it, late.comes_to_have_it or is_proven(m, r, $2) as proven,
                   rises(m, r) + case when late.comes_to_have_it then 1 else 0 end as steps
              from members m
              join rollouts r on r.id = m.rollout_id
              join devices d on d.id = m.device_id,
                   lateral (select r.status = 'completed' and r.finished_at <= $3 and m.rank < r.frontier and m.skipped_at is null
                                   and not is_offered(m, r) and not is_taken_back(m, r) as comes_to_have_it) as late
             where m.live and r.status in ('completed', 'rolled_back', 'cancelled', 'superseded')
               and {_BEFORE if before else _IN_TIME}
               -- One that failed, which the next ranking has to know of, and who waits for that to be mended.
               and not (m.lane is not null and (is_stuck(m, r, $2) or r.status = 'completed' and m.deferred_at is not null))
               and (late.comes_to_have_it or is_taken_back(m, r)
                    or case when is_offered(m, r) then is_proven(m, r, $2) else m.from_image is null end)
             limit $1
               for update of m skip locked
        ), noted as (
            insert into changes (device) select d.uuid from closing join devices d on d.id = closing.device_id where comes_to_have_it
        ), {_FOLD}
        select count(*) from closing
        """,  # noqa: S608 – text of our own
        limit, now, now - ROLLBACK_WINDOW, *scope,
    )  # fmt: skip
    return folded


async def fold_chosen(conn: Connection, now: datetime) -> None:
    """Close what older rollouts did to the chosen devices."""
    await conn.execute(
        f"""
        with closing as materialized (
            select m.device_id, m.part, m.repository, m.rollout_id, coalesce(m.image, r.image) as image, rises(m, r) as steps,
                   is_proven(m, r, $1) as proven, may_be_down(m, r, $1) as was_down,
                   case when is_offered(m, r) then coalesce(m.image, r.image) when not is_back_at_base(m, r) then m.from_image end as shown
              from chosen
              join members m on m.device_id = chosen.device_id and m.repository = chosen.repository and m.live
              join rollouts r on r.id = m.rollout_id
             order by m.rollout_id, m.device_id
               for update of m
        ), {_FOLD}
        update chosen set from_image = case when not closing.proven then closing.shown end, was_down = closing.was_down
          from closing
         where closing.device_id = chosen.device_id and closing.repository = chosen.repository
           and (closing.was_down or not closing.proven)
        """,  # noqa: S608 – text of our own
        now,
    )


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
