"""The keys that let devices register themselves: what operators do with them."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from domain import expected
from domain import labels as labels_of
from domain import provisioning as rules
from domain.actors import Permission
from domain.audit import Action, Subject, SubjectType
from domain.devices import Device
from domain.errors import NotFound
from domain.fleet import DeviceFilter, DeviceOrder, Place
from domain.ids import DeviceId, ProvisioningKeyId
from domain.provisioning import ProvisioningKey, Wanted
from resolvers import documents, keys
from resolvers.context import Context
from storage import provisioning, selecting
from storage.selecting import Shared


async def create(ctx: Context, wanted: Wanted, *, idempotency_key: str | None = None) -> tuple[ProvisioningKey, str | None]:
    """A key that lets devices register themselves. It is told once and cannot be read again. Raises BadInput.

    Asked again under the same idempotency key it is what is known of that one, as it is by then, and None in the place of the key itself:
    who has not heard that revokes it and makes another.
    """
    async with ctx.changing(Action.CREATE_PROVISIONING_KEY) as change:
        # Before they are hashed, which takes as long as there are many.
        labels = labels_of.checked(wanted.labels)
        documents.check(labels, "labels")
        if made := await change.made_before(idempotency_key, wanted):
            return _found(await provisioning.one(change.conn, ProvisioningKeyId(made)), ProvisioningKeyId(made)), None
        checked = replace(rules.checked(wanted, change.now), labels=labels)
        secret = keys.new("provisioning")
        key = await provisioning.insert(change.conn, checked, keys.digest(secret), ctx.actor.name, change.now)
        change.of(_subject(key.id), **asdict(checked))
    return key, secret


async def revoke(ctx: Context, key: ProvisioningKeyId, *, expected_version: int | None = None) -> ProvisioningKey:
    """Have a key let nobody in any more; the devices that it has let in stay. One that was revoked before stays as it is."""
    async with ctx.changing(Action.REVOKE_PROVISIONING_KEY) as change:
        before = _found(await provisioning.locked(change.conn, key), key)
        expected.check(f"provisioning key {key}", before.version, expected_version)
        revoked = await provisioning.revoke(change.conn, key, change.now)
        if revoked.version != before.version:
            change.of(_subject(key), name=revoked.name)
    return revoked


async def one(ctx: Context, key: ProvisioningKeyId) -> ProvisioningKey | None:
    """One key, whether or not it still lets anybody in."""
    return (await many(ctx, [key])).get(key)


async def page(ctx: Context, after: ProvisioningKeyId, limit: int) -> list[ProvisioningKey]:
    """Keys in the order they were made."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await provisioning.page(conn, after, limit)


async def count(ctx: Context) -> int:
    """How many there are, revoked ones included."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await provisioning.count(conn)


def _found(key: ProvisioningKey | None, named: ProvisioningKeyId) -> ProvisioningKey:
    if key is None:
        raise NotFound.of("provisioning key", named)
    return key


def _subject(key: ProvisioningKeyId) -> Subject:
    return Subject.of(SubjectType.PROVISIONING_KEY, key)


async def many(ctx: Context, ids: Sequence[ProvisioningKeyId]) -> dict[ProvisioningKeyId, ProvisioningKey]:
    """Those of these keys that there are, whether or not they still let anybody in."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await provisioning.many(conn, ids)


async def of_devices(ctx: Context, ids: Sequence[DeviceId]) -> dict[DeviceId, ProvisioningKey]:
    """The key that each of these devices registered with last."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await provisioning.of_devices(conn, ids)


async def devices_of(
    ctx: Context, ids: Sequence[ProvisioningKeyId], wanted: DeviceFilter, order: DeviceOrder, after: Place | None, limit: int
) -> dict[ProvisioningKeyId, list[Device]]:
    """The devices that registered last with each of these keys, in some order, from a place on: of each key, so many."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await selecting.pages(conn, Shared.PROVISIONING_KEY, ids, wanted, order, after, limit, await ctx.db.now(conn))


async def count_devices_of(ctx: Context, ids: Sequence[ProvisioningKeyId], wanted: DeviceFilter) -> dict[ProvisioningKeyId, int]:
    """How many devices registered last with each of these keys."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await selecting.counts(conn, Shared.PROVISIONING_KEY, ids, wanted, await ctx.db.now(conn))
