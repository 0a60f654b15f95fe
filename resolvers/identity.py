"""Who a device is: it registers, proves itself from then on, and takes another key; and what operators do with all that."""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from domain import identity as rules
from domain import provisioning as of_keys
from domain.audit import Action
from domain.devices import Device
from domain.errors import Conflict, NotFound, Unauthenticated, WrongKey
from domain.identity import Identity
from domain.ids import DeviceId
from domain.provisioning import ProvisioningKey
from resolvers import ed25519, keys
from resolvers.aside import alone_with
from resolvers.context import Context
from resolvers.devices import checked_uuid, locked, named, tell
from resolvers.freshness import known_everywhere
from storage import folding, identity, provisioning
from storage.connection import Connection
from storage.identity import Proofs


@dataclass(frozen=True, slots=True)
class Registration:
    """What an agent says when it registers; it made its uuid and its keys itself."""

    uuid: str
    name: str
    type: str
    key: str
    public_key: bytes | None = None
    """Ed25519, of an agent that signs."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody shows to be taken for a device."""

    key: str | None
    is_certified: bool = False
    """A proxy that is trusted has seen its client certificate; then it needs no key."""


async def register(ctx: Context, provisioning_key: str, asked: Registration) -> tuple[Device, bytes | None]:
    """Let a device in, and what it has to sign, if it signs.

    Registering again with the same key is answered alike, whatever has become of the provisioning key. Raises Unauthenticated for a
    provisioning key that lets nobody in, BadInput for a key that `check_key` refuses, Conflict for a uuid with another key, and Forbidden
    for a device that was revoked.
    """
    rules.check_key(asked.key)
    async with ctx.db.transaction() as conn:
        now, allowed = await ctx.db.now(conn), await _allowed(conn, provisioning_key)
        proofs = Proofs(keys.digest(asked.key), asked.public_key, asked.public_key and secrets.token_bytes(32))
        device = await identity.insert(conn, asked.uuid, asked.name, asked.type, proofs, allowed, now)
        if device is not None:
            await _use(conn, allowed, now)
            return device, proofs.challenge
        challenge = await _again(conn, asked, proofs, allowed, now)
        return await named(conn, asked.uuid), challenge


async def exchange(ctx: Context, uuid: str, claim: Claim, new_key: str | None, signature: str | None) -> Device:
    """A device asks whether it is known, and may bring another key; the one it came with opens for a while longer.

    A device that waits for an operator may do so too: it knows then that it is through with registering. Raises what `prove` does,
    Forbidden for one that was revoked, BadInput for a key that `check_key` refuses, and WrongKey for a signature that is not the device's
    over its challenge.
    """
    async with ctx.db.transaction() as conn:
        known = await _proven(ctx, conn, await identity.locked(conn, checked_uuid(uuid)), uuid, claim)
        known.must_not_be_revoked()
        if signature is not None:
            _check(known, signature)
        if new_key is not None:
            rules.check_key(new_key)
            await _rotate(conn, known, claim, keys.digest(new_key), await ctx.db.now(conn))
        return await named(conn, uuid)


async def accept(ctx: Context, uuid: str, *, expected_version: int | None = None) -> Device:
    """Let a device that waits have what it should run; one that does not wait stays as it is."""
    return await _decide(ctx, Action.ACCEPT_DEVICE, uuid, identity.accept, expected_version)


async def revoke(ctx: Context, uuid: str, *, expected_version: int | None = None) -> Device:
    """Let a device in no more. It leaves the rollouts that it is in, which go on without it, and keeps what they show it."""
    async with ctx.changing(Action.REVOKE_DEVICE) as change:
        before = await alone_with(change.conn, uuid, expected_version)
        revoked = await identity.revoke(change.conn, before.id, change.now)
        await folding.keep(change.conn, before.id, change.now, only_unoffered=False)
        tell(change, before, revoked)
    await known_everywhere()
    return revoked


async def restore(ctx: Context, uuid: str, *, expected_version: int | None = None) -> Device:
    """Let a device that was revoked in again, by the keys it had."""
    return await _decide(ctx, Action.RESTORE_DEVICE, uuid, identity.restore, expected_version)


async def reset_key(ctx: Context, uuid: str, *, expected_version: int | None = None) -> Device:
    """Take a device's keys away: whoever next registers its uuid, with a provisioning key that lets devices in, is the device."""
    device = await _decide(ctx, Action.RESET_DEVICE_KEY, uuid, identity.reset, expected_version)
    await known_everywhere()
    return device


async def _decide(
    ctx: Context, action: Action, uuid: str, write: Callable[[Connection, DeviceId], Awaitable[Device]], expected_version: int | None
) -> Device:
    async with ctx.changing(action) as change:
        before = await locked(change.conn, uuid, expected_version)
        device = await write(change.conn, before.id)
        tell(change, before, device)
    return device


async def _allowed(conn: Connection, provisioning_key: str) -> ProvisioningKey:
    """What a provisioning key allows, or allowed once."""
    if not provisioning_key:
        raise Unauthenticated("the provisioning key is missing: send it as “Authorization: Bearer …”")
    found = await provisioning.by_hash(conn, keys.digest(provisioning_key))
    if found is None:
        raise WrongKey("the provisioning key is unknown")
    return found


async def _use(conn: Connection, allowed: ProvisioningKey, now: datetime) -> None:
    """Count a device that a key lets in; raises Unauthenticated if it lets nobody in any more."""
    if not await provisioning.use(conn, allowed.id, now):
        found = await provisioning.one(conn, allowed.id)
        assert found is not None, "keys are never deleted"
        raise Unauthenticated(f"the provisioning key {of_keys.why_not(found, now) or 'lets nobody in'}")


async def _again(conn: Connection, asked: Registration, proofs: Proofs, allowed: ProvisioningKey, now: datetime) -> bytes | None:
    """A uuid that is there registers: the same device, or one whose keys an operator took away. What it has to sign, if it signs."""
    known = await identity.locked(conn, asked.uuid)
    assert known is not None, "it was in the way a moment ago"
    known.must_not_be_revoked()
    if known.has_key(proofs.key_hash) or known.had_key(proofs.key_hash, now):
        return await _signing(conn, known, proofs)
    if known.key_hash is not None:
        raise Conflict(f"device {asked.uuid} is already registered, with another key")
    await _use(conn, allowed, now)
    await identity.renew(conn, known.device, asked.name, asked.type, proofs, allowed)
    return proofs.challenge


async def _signing(conn: Connection, known: Identity, proofs: Proofs) -> bytes | None:
    """What a known device has to sign: the same as before, unless it comes with another public key."""
    if proofs.public_key is None or proofs.challenge is None or proofs.public_key == known.public_key:
        return known.challenge
    await identity.sign_by(conn, known.device, proofs.public_key, proofs.challenge)
    return proofs.challenge


async def _proven(ctx: Context, conn: Connection, known: Identity | None, uuid: str, claim: Claim) -> Identity:
    return prove(known, uuid, claim, await ctx.db.now(conn))


def prove(known: Identity | None, uuid: str, claim: Claim, now: datetime) -> Identity:
    """The device, if the claim proves it; raises NotFound for a stranger, Unauthenticated without a key, and WrongKey."""
    if known is None:
        raise NotFound(f"there is no device {uuid}: register it first")
    if claim.is_certified:
        return known
    if claim.key is None:
        raise Unauthenticated("the device key is missing: send it as X-Device-API-Key")
    key_hash = keys.digest(claim.key)
    if known.has_key(key_hash) or known.had_key(key_hash, now):
        return known
    raise WrongKey("the device key is wrong: send it as X-Device-API-Key")


async def _rotate(conn: Connection, known: Identity, claim: Claim, new: bytes, now: datetime) -> None:
    """Make this the device's key, unless it is already, or is the one that the device came with."""
    shown = None if claim.key is None else keys.digest(claim.key)
    is_old = shown is not None and known.had_key(shown, now)
    if known.has_key(new) or (is_old and new == shown):
        return
    if is_old:
        # Its old key opens for no longer than it did: else whoever finds one could keep it alive for ever.
        await identity.rotate(conn, known.device, new, known.old_key_hash, known.old_key_until)
    else:
        await identity.rotate(conn, known.device, new, known.key_hash, None if known.key_hash is None else now + rules.OVERLAP)


def _check(known: Identity, signature: str) -> None:
    if known.public_key is None or known.challenge is None:
        raise Conflict("signature: the device registered without a devicePublicKey")
    if not ed25519.is_signed(known.public_key, known.challenge, signature):
        raise WrongKey("signature: it is not over the challenge, by the device's key")
