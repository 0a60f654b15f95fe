"""Every statement that reads or writes who changed what."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from domain.actors import Actor
from domain.audit import Action, AuditFilter, Entry, Subject, SubjectType
from domain.ids import EntryId, TokenId
from domain.trails import TrailType
from storage.conditions import Conditions
from storage.connection import Connection, Row


async def record(
    conn: Connection, actor: Actor, action: Action, changed: Sequence[tuple[Subject, dict[str, Any]]], request_id: str | None, now: datetime
) -> None:
    """Keep that somebody changed these, with what was asked for of each, and have it told."""
    await conn.execute(
        """
        with kept as (
            insert into audit (at, actor, token_id, action, request_id, subject_type, subject_key, details)
            select $1, $2, $3, $4, $5, changed.type, changed.key, changed.details
              from unnest($6::text[], $7::text[], $8::jsonb[]) with ordinality as changed (type, key, details, place)
             order by changed.place
            returning id, at
        )
        insert into events (at, type, entry_id, data) select at, $9, id, '{}' from kept order by id
        """,
        now, actor.name, actor.token, action, request_id,
        [subject.type for subject, _ in changed], [subject.key for subject, _ in changed], [details for _, details in changed],
        TrailType.AUDIT_RECORDED,
    )  # fmt: skip


async def page(conn: Connection, wanted: AuditFilter, before: EntryId, limit: int) -> list[Entry]:
    """Entries that have something in common, newest first."""
    conditions = _conditions(wanted)
    conditions.add("id < {}", before)
    rows = await conn.fetch(
        f"select * from audit where {conditions} order by id desc limit {limit:d}",  # noqa: S608 – text of our own
        *conditions.given,
    )
    return [_entry(row) for row in rows]


async def count(conn: Connection, wanted: AuditFilter) -> int:
    """How many entries have something in common."""
    conditions = _conditions(wanted)
    found: int = await conn.fetchval(f"select count(*) from audit where {conditions}", *conditions.given)  # noqa: S608 – text of our own
    return found


async def many(conn: Connection, ids: Sequence[EntryId]) -> dict[EntryId, Entry]:
    """Those of these entries that there are."""
    return {EntryId(row["id"]): _entry(row) for row in await conn.fetch("select * from audit where id = any ($1)", ids)}


async def of_subjects(conn: Connection, subjects: Sequence[Subject], before: EntryId, limit: int) -> dict[Subject, list[Entry]]:
    """The entries of each of these, newest first."""
    rows = await conn.fetch(
        """
        select entries.*
          from unnest($1::text[], $2::text[]) as named (type, key),
               lateral (select * from audit
                         where subject_type = named.type and subject_key = named.key and id < $3
                         order by id desc limit $4) as entries
         order by entries.id desc
        """,
        *_columns(subjects), before, limit,
    )  # fmt: skip
    found: dict[Subject, list[Entry]] = {}
    for entry in map(_entry, rows):
        found.setdefault(entry.subject, []).append(entry)
    return found


async def count_of_subjects(conn: Connection, subjects: Sequence[Subject]) -> dict[Subject, int]:
    """How many entries each of these has."""
    rows = await conn.fetch(
        """
        select subject_type, subject_key, count(*) as found
          from audit
         where (subject_type, subject_key) in (select * from unnest($1::text[], $2::text[]))
         group by subject_type, subject_key
        """,
        *_columns(subjects),
    )
    return {_subject(row): row["found"] for row in rows}


def _columns(subjects: Sequence[Subject]) -> tuple[list[str], list[str]]:
    return [subject.type for subject in subjects], [subject.key for subject in subjects]


def _subject(row: Row) -> Subject:
    return Subject(SubjectType(row["subject_type"]), row["subject_key"])


def _conditions(wanted: AuditFilter) -> Conditions:
    conditions = Conditions()
    conditions.where("actor = {}", wanted.actor)
    conditions.where("action = {}", wanted.action)
    if wanted.subject is not None:
        conditions.add("subject_type = {} and subject_key = {}", wanted.subject.type, wanted.subject.key)
    conditions.where("at >= {}", wanted.since)
    conditions.where("at < {}", wanted.until)
    return conditions


def _entry(row: Row) -> Entry:
    return Entry(
        id=EntryId(row["id"]),
        at=row["at"],
        actor=row["actor"],
        token=None if row["token_id"] is None else TokenId(row["token_id"]),
        action=Action(row["action"]),
        subject=_subject(row),
        details=row["details"],
        request_id=row["request_id"],
    )
