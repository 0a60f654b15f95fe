"""Every statement that finds devices by what they have in common, and those that change what was found in one go."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from domain.aside import AsideKind
from domain.devices import OFFLINE_AFTER, Device
from domain.fleet import Counts, DeviceFilter, DeviceOrder, DeviceStanding, Fleet, OrderBy, Place, Told
from domain.ids import DeviceId
from domain.images import Image
from domain.selectors import document
from storage.conditions import Conditions
from storage.connection import Connection
from storage.devices import device_in
from storage.grouping import counted, grouped

_KEYS = {OrderBy.NAME: "lower(d.name)", OrderBy.LAST_SEEN: "coalesce(d.last_seen_at, '-infinity')"}
_PLACES = {OrderBy.NAME: "lower({}::text)", OrderBy.LAST_SEEN: "coalesce({}::timestamptz, '-infinity')"}
_STANDINGS = {
    DeviceStanding.ACCEPTED: "d.revoked_at is null and not d.is_waiting",
    DeviceStanding.WAITING: "d.revoked_at is null and d.is_waiting",
    DeviceStanding.REVOKED: "d.revoked_at is not null",
}


async def page(conn: Connection, wanted: DeviceFilter, order: DeviceOrder, after: Place | None, limit: int, now: datetime) -> list[Device]:
    """Devices that have something in common, in some order, from a place on."""
    conditions = _conditions(wanted, now)
    if after is not None:
        _follows(conditions, order, after)
    rows = await conn.fetch(
        f"select d.* from devices d where {conditions} order by {_by(order)} limit {limit:d}",  # noqa: S608 – text of our own
        *conditions.given,
    )
    return [device_in(row) for row in rows]


def _by(order: DeviceOrder) -> str:
    return ", ".join(f"{key} {_direction(order)}" for key in (_KEYS.get(order.by), "d.id") if key)


def _direction(order: DeviceOrder) -> str:
    return "desc" if order.is_descending else "asc"


def _follows(conditions: Conditions, order: DeviceOrder, place: Place) -> None:
    sign = "<" if order.is_descending else ">"
    if order.by is OrderBy.REGISTERED:
        conditions.add(f"d.id {sign} {{}}", place.device)
    else:
        conditions.add(f"({_KEYS[order.by]}, d.id) {sign} ({_PLACES[order.by]}, {{}}::bigint)", place.key, place.device)


async def count(conn: Connection, wanted: DeviceFilter, now: datetime) -> int:
    """How many devices have something in common."""
    conditions = _conditions(wanted, now)
    found: int = await conn.fetchval(f"select count(*) from devices d where {conditions}", *conditions.given)  # noqa: S608 – text of our own
    return found


async def tally(conn: Connection, wanted: DeviceFilter, now: datetime) -> Counts:
    """How many devices have something in common, and how they are: one statement, so one moment."""
    conditions = _conditions(wanted, now)
    since, at = conditions.give(now - OFFLINE_AFTER), conditions.give(now)
    aside = ", ".join(f"count(*) filter (where d.aside = '{kind}' and is_aside(d, {at})) as {kind}" for kind in AsideKind)
    row = await conn.fetchrow(
        f"""
        select count(*) as devices, count(*) filter (where d.last_seen_at >= {since}) as online,
               count(*) filter (where {_STANDINGS[DeviceStanding.WAITING]}) as waiting,
               count(*) filter (where {_STANDINGS[DeviceStanding.REVOKED]}) as revoked, {aside}
          from devices d where {conditions}
        """,  # noqa: S608 – text of our own
        *conditions.given,
    )
    assert row is not None, "there is always a sum"
    return Counts(**row)


def _conditions(wanted: DeviceFilter, now: datetime) -> Conditions:
    conditions = Conditions()
    if wanted.fleet is not None:
        conditions.add("d.fleet = {}", wanted.fleet)
    if wanted.selector is not None:
        conditions.add("selects({}::jsonb, d.labels)", document(wanted.selector))
    if wanted.online is not None:
        conditions.add(f"coalesce(d.last_seen_at >= {{}}, false) = {wanted.online}", now - OFFLINE_AFTER)
    if wanted.standing is not None:
        conditions.add(_STANDINGS[wanted.standing])
    if wanted.search is not None:
        conditions.add(
            "(position(lower({}::text) in lower(d.name)) > 0 or starts_with(d.uuid::text, lower({}::text)))", *[wanted.search] * 2
        )
    if wanted.set_aside is not None:
        conditions.add("d.aside = {} and is_aside(d, {})", wanted.set_aside, now)
    if wanted.told is not None:
        _is_told(conditions, wanted.told)
    return conditions


def _is_told(conditions: Conditions, told: Told) -> None:
    tagged = None if told.tag is None else str(Image(told.repository, told.tag, None))
    conditions.add(
        """d.id in (select e.device_id from effective_services e
                 where e.repository = {}
                   and coalesce(split_part(e.image, '@', 1) = {}::text, true)
                   and coalesce(split_part(e.image, '@', 2) = {}::text, true))""",
        told.repository, tagged, told.digest,
    )  # fmt: skip


async def by_uuids(conn: Connection, uuids: Sequence[str]) -> list[Device]:
    """Those of these devices that there are."""
    return [device_in(row) for row in await conn.fetch("select * from devices where uuid = any ($1::uuid[]) order by id", uuids)]


async def fleets(conn: Connection) -> list[str | None]:
    """The names of the fleets that have a device, by hopping through the index: none is counted. None is for the devices without one."""
    rows = await conn.fetch(
        """
        with recursive hop as (
            (select fleet from devices where fleet is not null order by fleet limit 1)
            union all
            select (select fleet from devices where fleet > hop.fleet order by fleet limit 1) from hop where hop.fleet is not null
        )
        select fleet from hop where fleet is not null
        union all
        select null where exists (select from devices where fleet is null)
        """
    )
    return [row["fleet"] for row in rows]


async def relabel(
    conn: Connection, devices: Sequence[DeviceId], labels: dict[str, str], without: Sequence[str], most: int
) -> dict[DeviceId, bool]:
    """Write labels on devices beside those they have, and take some away; those that would have too many stay as they are.

    Returns the others, and of each whether that changed anything.
    """
    rows = await conn.fetch(
        """
        with chosen as (
            select id, labels as before, labels - $3::text[] || $2::jsonb as labels
              from devices where id = any ($1) order by id for no key update
        ), fitting as (
            select * from chosen where (select count(*) from jsonb_object_keys(labels)) <= $4
        ), changed as (
            update devices set labels = fitting.labels
              from fitting
             where devices.id = fitting.id and fitting.labels <> fitting.before
            returning devices.id
        )
        select fitting.id, changed.id is not null as is_changed from fitting left join changed on changed.id = fitting.id
        """,
        devices, labels, without, most,
    )  # fmt: skip
    return {DeviceId(row["id"]): row["is_changed"] for row in rows}


async def release(conn: Connection, devices: Sequence[DeviceId]) -> set[DeviceId]:
    """Let devices join rollouts again; returns those that were set aside."""
    rows = await conn.fetch(
        """
        with chosen as (select id from devices where id = any ($1) and aside is not null order by id for no key update)
        update devices set aside = null, aside_until = null, aside_at = null, aside_by = null, aside_reason = null
          from chosen where devices.id = chosen.id
        returning devices.id
        """,
        devices,
    )
    return {DeviceId(row["id"]) for row in rows}


class Shared(StrEnum):
    """A column of devices: what those of each list have in common, where lists are read for many at once."""

    FLEET = "fleet"
    PROVISIONING_KEY = "provisioning_key_id"


_TYPES = {Shared.FLEET: "text", Shared.PROVISIONING_KEY: "bigint"}


async def pages(
    conn: Connection, shared: Shared, keys: Sequence[object], wanted: DeviceFilter, order: DeviceOrder, after: Place | None, limit: int,
    now: datetime,
) -> dict[Any, list[Device]]:  # fmt: skip
    """What `page` says, of the devices that share each of these; None is for those that have none."""
    conditions = _conditions(wanted, now)
    either = _lists(shared, order, after, conditions)
    lists = " union all ".join(
        f"(select d.* from devices d where {has} and {conditions} order by {by} limit {limit:d})"  # noqa: S608 – text of our own
        for has, by in either
    )
    rows = await conn.fetch(
        f"""
        select d.* from unnest({conditions.give(keys)}::{_TYPES[shared]}[]) as asked (key), lateral ({lists}) as d
         order by {_by(order)}
        """,  # noqa: S608 – text of our own
        *conditions.given,
    )
    return grouped(rows, shared, device_in)


def _lists(shared: Shared, order: DeviceOrder, after: Place | None, conditions: Conditions) -> list[tuple[str, str]]:
    """What a device of a list has, and what it is ordered by: of those who share a key, and of those who have none.

    Of two lists one is read for each key, since no index answers “is not distinct from”.
    """
    has_none, by = f"asked.key is null and d.{shared} is null", _by(order)
    if order.by is not OrderBy.REGISTERED:
        if after is not None:
            _follows(conditions, order, after)
        return [(f"d.{shared} = asked.key", by), (has_none, by)]
    # Ranges of the index that is ordered so: for a small fleet, planned for any, PostgreSQL would read all devices by their ids.
    first, last = (conditions.give(device) for device in _between(order, after))
    by = f"d.{shared} {_direction(order)}, {by}"
    return [
        (f"(d.{shared}, d.id) > (asked.key, {first}::bigint) and (d.{shared}, d.id) < (asked.key, {last}::bigint)", by),
        (f"{has_none} and d.id > {first} and d.id < {last}", by),
    ]


def _between(order: DeviceOrder, after: Place | None) -> tuple[int, int]:
    first, last = 0, 2**63 - 1
    if after is None:
        return first, last
    return (first, after.device) if order.is_descending else (after.device, last)


async def counts(conn: Connection, shared: Shared, keys: Sequence[object], wanted: DeviceFilter, now: datetime) -> dict[Any, int]:
    """What `count` says, of the devices that share each of these."""
    conditions = _conditions(wanted, now)
    conditions.add(f"(d.{shared} = any ({{}}::{_TYPES[shared]}[]) or {{}} and d.{shared} is null)", keys, None in keys)
    rows = await conn.fetch(
        f"select d.{shared}, count(*) as found from devices d where {conditions} group by d.{shared}",  # noqa: S608 – text of our own
        *conditions.given,
    )
    return counted(rows, shared)


async def fleets_named(conn: Connection, names: Sequence[str | None], now: datetime) -> dict[str | None, Fleet]:
    """Those of these fleets that have a device; None is for the devices without one."""
    rows = await conn.fetch(
        """
        select fleet, count(*) as devices, count(*) filter (where last_seen_at >= $1) as online
          from devices where fleet = any ($2) or $3 and fleet is null group by fleet
        """,
        now - OFFLINE_AFTER, names, None in names,
    )  # fmt: skip
    return {row["fleet"]: Fleet(row["fleet"], row["devices"], row["online"]) for row in rows}
