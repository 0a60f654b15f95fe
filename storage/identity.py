"""Every statement that reads or writes who a device is."""

from dataclasses import dataclass
from datetime import datetime

from domain.devices import Device
from domain.identity import Identity
from domain.ids import DeviceId
from domain.provisioning import ProvisioningKey
from storage.connection import Connection, Row
from storage.devices import device_in


@dataclass(frozen=True, slots=True)
class Proofs:
    """What a device will prove itself by."""

    key_hash: bytes
    public_key: bytes | None = None
    challenge: bytes | None = None


async def insert(
    conn: Connection, uuid: str, name: str, kind: str, proofs: Proofs, allowed: ProvisioningKey, now: datetime
) -> Device | None:
    """A new device with an empty target, as its provisioning key wants it; None if the uuid is taken."""
    row = await conn.fetchrow(
        """
        with new as (
            insert into devices (uuid, name, type, fleet, labels, is_waiting, provisioning_key_id, key_hash, public_key, challenge,
                                 created_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            on conflict (uuid) do nothing
            returning *
        ), target as (
            insert into targets (device_id, apps, config, version, updated_at) select id, '{}', '{}', 0, $11 from new
        )
        select * from new
        """,
        uuid, name, kind, allowed.fleet, allowed.labels, allowed.needs_acceptance, allowed.id,
        proofs.key_hash, proofs.public_key, proofs.challenge, now,
    )  # fmt: skip
    return None if row is None else device_in(row)


async def of(conn: Connection, uuid: str) -> Identity | None:
    """What a device is known by."""
    row = await conn.fetchrow("select * from devices where uuid = $1", uuid)
    return None if row is None else identity_in(row)


async def locked(conn: Connection, uuid: str) -> Identity | None:
    """The same, so that nobody else changes it before this transaction ends."""
    row = await conn.fetchrow("select * from devices where uuid = $1 for no key update", uuid)
    return None if row is None else identity_in(row)


async def renew(conn: Connection, device: DeviceId, name: str, kind: str, proofs: Proofs, allowed: ProvisioningKey) -> None:
    """Let a device that has no key any more have this one; its fleet and labels stay as operators have left them."""
    await conn.execute(
        """
        update devices set name = $2, type = $3, key_hash = $4, public_key = $5, challenge = $6,
                           is_waiting = $7, provisioning_key_id = $8
         where id = $1
        """,
        device, name, kind, proofs.key_hash, proofs.public_key, proofs.challenge, allowed.needs_acceptance, allowed.id,
    )  # fmt: skip


async def sign_by(conn: Connection, device: DeviceId, public_key: bytes, challenge: bytes) -> None:
    """From now on the device signs with this key, and first of all this challenge."""
    await conn.execute("update devices set public_key = $2, challenge = $3 where id = $1", device, public_key, challenge)


async def rotate(conn: Connection, device: DeviceId, key_hash: bytes, old_key_hash: bytes | None, old_key_until: datetime | None) -> None:
    """Another key for a device, and until when which one before it opens."""
    await conn.execute(
        "update devices set key_hash = $2, old_key_hash = $3, old_key_until = $4 where id = $1",
        device, key_hash, old_key_hash, old_key_until,
    )  # fmt: skip


async def reset(conn: Connection, device: DeviceId) -> Device:
    """Take all keys of a device away."""
    row = await conn.fetchrow(
        """
        update devices set key_hash = null, old_key_hash = null, old_key_until = null, public_key = null, challenge = null
         where id = $1
        returning *
        """,
        device,
    )  # fmt: skip
    assert row is not None
    return device_in(row)


async def accept(conn: Connection, device: DeviceId) -> Device:
    """Let a device that waits have what it should run."""
    row = await conn.fetchrow("update devices set is_waiting = false where id = $1 returning *", device)
    assert row is not None
    return device_in(row)


async def revoke(conn: Connection, device: DeviceId, now: datetime) -> Device:
    """Let a device in no more; one that was revoked before stays as it is."""
    row = await conn.fetchrow("update devices set revoked_at = coalesce(revoked_at, $2) where id = $1 returning *", device, now)
    assert row is not None
    return device_in(row)


async def restore(conn: Connection, device: DeviceId) -> Device:
    """Let a device in again, by the keys it had."""
    row = await conn.fetchrow("update devices set revoked_at = null where id = $1 returning *", device)
    assert row is not None
    return device_in(row)


def identity_in(row: Row) -> Identity:
    """What a device's row says of who it is."""
    return Identity(
        device=DeviceId(row["id"]),
        uuid=str(row["uuid"]),
        key_hash=row["key_hash"],
        old_key_hash=row["old_key_hash"],
        old_key_until=row["old_key_until"],
        public_key=row["public_key"],
        challenge=row["challenge"],
        is_waiting=row["is_waiting"],
        revoked_at=row["revoked_at"],
    )
