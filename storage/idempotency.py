"""Every statement that reads or writes what was made for an idempotency key."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.audit import Action
from storage.connection import Connection


@dataclass(frozen=True, slots=True)
class Kept:
    """What a key stands for."""

    action: str
    fingerprint: bytes
    subject: str | None
    """What was made; None while nothing is."""


async def take(conn: Connection, caller: str, key: str, action: Action, fingerprint: bytes, now: datetime) -> Kept:
    """Have a caller's key stand for this request, if it stands for none; tells what it stands for.

    Of two at once the second waits until the transaction of the first has ended, and takes the key itself if that was rolled back.
    """
    row = await conn.fetchrow(
        """
        insert into idempotency_keys (caller, key, action, fingerprint, at) values ($1, $2, $3, $4, $5)
        on conflict (caller, key) do update set key = excluded.key
        returning action, fingerprint, subject
        """,
        caller, key, action, fingerprint, now,
    )  # fmt: skip
    assert row is not None
    return Kept(row["action"], row["fingerprint"], row["subject"])


async def made(conn: Connection, caller: str, key: str, subject: str) -> None:
    """Keep what was made for a key."""
    await conn.execute("update idempotency_keys set subject = $3 where caller = $1 and key = $2", caller, key, subject)


async def forget(conn: Connection, now: datetime, older_than: timedelta, limit: int) -> int:
    """Drop old keys, which from then on stand for nothing; tells how many."""
    done = await conn.execute(
        """
        delete from idempotency_keys where (caller, key) in (
            select caller, key from idempotency_keys where at < $1::timestamptz - $2::interval
             order by at limit $3 for update skip locked)
        """,
        now, older_than, limit,
    )  # fmt: skip
    return int(done.split()[-1])
