"""Whoever changes something is on record with it; whoever is refused, or asks for what is so already, is not."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.actors import Actor, Role
from domain.audit import Action, AuditFilter, Entry, Subject, SubjectType
from domain.catalogue import Standing
from domain.endpoints import Sender
from domain.errors import Conflict, Forbidden, Refused
from domain.fleet import Chosen, DeviceFilter
from domain.ids import DeliveryId, EndpointId, EntryId, PolicyId, ProvisioningKeyId, RolloutId, TokenId
from domain.images import Image
from domain.patches import Patch
from domain.provisioning import Wanted as WantedKey
from domain.requests import Request
from domain.tokens import Wanted as WantedToken
from monitor.reconciler import reconcile
from registries.webhooks import Received
from resolvers import (
    aside,
    audit,
    bulk,
    catalogue,
    deliveries,
    devices,
    endpoints,
    identity,
    images,
    policies,
    provisioning,
    registries,
    rollouts,
    targets,
    tokens,
)
from resolvers.context import Context
from resolvers.endpoints import Wanted as WantedEndpoint
from schema.build import schema
from tests.api import everything, web
from tests.clock import MovableClock
from tests.factories import a_policy, at, read
from tools.crowd import crowd

Deed = Callable[[Context], Awaitable[object]]
NEWEST = EntryId(2**62)
POLICY, FIRST, SECOND, THIRD = PolicyId(1), RolloutId(1), RolloutId(2), RolloutId(3)
APPS = web("redis:7", "1001")


@pytest.fixture
def administrator(operator: Context) -> Context:
    """Somebody who may do everything, by a token, in a request."""
    return replace(operator, actor=Actor.of("ada", Role.ADMINISTRATOR, TokenId(77)), request_id="r-1")


async def entries(ctx: Context, **wanted: Any) -> list[Entry]:
    """What is on record, oldest first."""
    everybody = replace(ctx, actor=Actor.administrator("auditor"))
    return (await audit.page(everybody, AuditFilter(**wanted), NEWEST, 1000))[::-1]


async def uuids(ctx: Context) -> list[str]:
    """Of all devices, as they registered."""
    async with ctx.db.reading() as conn:
        return [str(row["uuid"]) for row in await conn.fetch("select uuid from devices order by id")]


def asks(rollout: RolloutId, what: Request) -> Deed:
    """A rollout is asked to move."""

    async def deed(ctx: Context) -> object:
        checksum = (await read(ctx.db, rollout)).checksum
        return await rollouts.request(ctx, rollout, what, "a fair", checksum, 1 if what is Request.PROMOTE else None)

    return deed


async def goes_on(ctx: Context) -> None:
    """Time passes for the engine."""
    await reconcile(ctx.db)


async def a_device_waits(ctx: Context) -> None:
    """The last device waits for an operator."""
    async with ctx.db.transaction() as conn:
        await conn.execute("update devices set is_waiting = true where id = (select max(id) from devices)")


async def a_delivery_came(ctx: Context) -> None:
    """Somebody posted a push."""
    await deliveries.receive(ctx, Received(Sender.GENERIC, (Image.parse("ghcr.io/acme/app:1"),), "1"), None, {}, b"{}")


def story(uuid: str, last: str) -> list[tuple[Action, Deed] | Deed]:
    """Everything that can be asked for, in an order in which it can be; what happens in between is no operator's."""
    return [
        (Action.CREATE_POLICY, lambda ctx: a_policy(ctx, approvals=1)),
        (Action.UPDATE_POLICY, lambda ctx: policies.update(ctx, POLICY, {"staged_batches": 2})),
        (Action.DISABLE_POLICY, lambda ctx: policies.set_enabled(ctx, POLICY, False)),
        (Action.ENABLE_POLICY, lambda ctx: policies.set_enabled(ctx, POLICY, True)),
        (Action.CREATE_ROLLOUT, lambda ctx: images.create_rollout(ctx, POLICY, "nginx:2.0.0")),
        (Action.CANCEL_ROLLOUT, asks(FIRST, Request.CANCEL)),
        (Action.CREATE_ROLLOUT, lambda ctx: images.create_rollout(ctx, POLICY, "nginx:3.0.0")),
        goes_on,
        (Action.REJECT_ROLLOUT, asks(SECOND, Request.REJECT)),
        (Action.CREATE_ROLLOUT, lambda ctx: images.create_rollout(ctx, POLICY, "nginx:4.0.0")),
        goes_on,
        (Action.REPLAN_ROLLOUT, lambda ctx: rollouts.replan(ctx, THIRD)),
        (Action.APPROVE_ROLLOUT, asks(THIRD, Request.APPROVE)),
        (Action.START_ROLLOUT, asks(THIRD, Request.START)),
        (Action.PAUSE_ROLLOUT, asks(THIRD, Request.PAUSE)),
        (Action.RESUME_ROLLOUT, asks(THIRD, Request.RESUME)),
        goes_on,
        (Action.RETRY_ROLLOUT, asks(THIRD, Request.RETRY)),
        (Action.PROMOTE_ROLLOUT, asks(THIRD, Request.PROMOTE)),
        (Action.ROLL_BACK_DEVICE, rolls_back_a_device),
        (Action.ROLL_BACK_BATCH, lambda ctx: rollouts.roll_back_batch(ctx, THIRD, 1)),
        (Action.ROLL_BACK_ROLLOUT, asks(THIRD, Request.ROLL_BACK)),
        (Action.UNBLOCK_RELEASE, lambda ctx: policies.unblock(ctx, POLICY, "nginx:4.0.0")),
        (Action.DELETE_POLICY, lambda ctx: policies.delete(ctx, POLICY)),
        (Action.SET_DEVICE_TARGET, lambda ctx: targets.set_target(ctx, uuid, APPS)),
        (Action.PATCH_DEVICE_TARGET, lambda ctx: targets.patch_target(ctx, uuid, Patch.of("1001", "web", "redis:8", None, remove=False))),
        (Action.SET_DEVICE_LABELS, lambda ctx: devices.set_labels(ctx, uuid, {"site": "north"})),
        (Action.LABEL_DEVICES, lambda ctx: bulk.label(ctx, the(uuid), {"site": "south"}, (), 10, None)),
        (Action.PIN_DEVICE, lambda ctx: aside.pin(ctx, uuid, "a fair")),
        (Action.RELEASE_DEVICE, lambda ctx: aside.release(ctx, uuid)),
        (Action.HOLD_DEVICE, holds(uuid)),
        (Action.RELEASE_DEVICE, lambda ctx: bulk.release(ctx, the(uuid), 10, None)),
        (Action.REVOKE_DEVICE, lambda ctx: identity.revoke(ctx, uuid)),
        (Action.RESTORE_DEVICE, lambda ctx: identity.restore(ctx, uuid)),
        (Action.RESET_DEVICE_KEY, lambda ctx: identity.reset_key(ctx, uuid)),
        a_device_waits,
        (Action.ACCEPT_DEVICE, lambda ctx: identity.accept(ctx, last)),
        (Action.CREATE_PROVISIONING_KEY, lambda ctx: provisioning.create(ctx, WantedKey("hall 3", labels={"site": "north"}))),
        (Action.REVOKE_PROVISIONING_KEY, lambda ctx: provisioning.revoke(ctx, ProvisioningKeyId(1))),
        (Action.CREATE_WEBHOOK_ENDPOINT, lambda ctx: endpoints.create(ctx, WantedEndpoint("ci", Sender.GENERIC))),
        (Action.ROTATE_WEBHOOK_SECRET, lambda ctx: endpoints.rotate(ctx, EndpointId(1), 0)),
        (Action.DISABLE_WEBHOOK_ENDPOINT, lambda ctx: endpoints.set_enabled(ctx, EndpointId(1), False)),
        (Action.ENABLE_WEBHOOK_ENDPOINT, lambda ctx: endpoints.set_enabled(ctx, EndpointId(1), True)),
        (Action.DELETE_WEBHOOK_ENDPOINT, lambda ctx: endpoints.delete(ctx, EndpointId(1))),
        a_delivery_came,
        (Action.REPLAY_DELIVERY, lambda ctx: deliveries.replay(ctx, DeliveryId(1))),
        (Action.SET_REGISTRY, lambda ctx: registries.save(ctx, "ghcr.io", "ci", "p4ss", plain_http=False)),
        (Action.REMOVE_REGISTRY, lambda ctx: registries.delete(ctx, "ghcr.io")),
        *[(action, judges(verdict)) for action, verdict in JUDGED.items()],
        (Action.CREATE_TOKEN, lambda ctx: tokens.create(ctx, WantedToken("grace"))),
        (Action.REVOKE_TOKEN, lambda ctx: tokens.revoke(ctx, TokenId(1))),
    ]


JUDGED = {
    Action.APPROVE_IMAGE: Standing.APPROVED, Action.REJECT_IMAGE: Standing.REJECTED, Action.DEPRECATE_IMAGE: Standing.DEPRECATED
}  # fmt: skip


def judges(verdict: Standing) -> Deed:
    return lambda ctx: catalogue.judge(ctx, "ghcr.io/acme/app:1", verdict, "looked at")


def holds(uuid: str) -> Deed:
    async def deed(ctx: Context) -> object:
        return await aside.hold(ctx, uuid, await at(ctx.db) + timedelta(days=1), "a fair")

    return deed


async def rolls_back_a_device(ctx: Context) -> object:
    reader = replace(ctx, actor=Actor.operator("ops"))
    members = await rollouts.devices(reader, THIRD, -1, 1)
    return await rollouts.roll_back_device(ctx, THIRD, members[0].device_uuid)


def the(*some: str) -> Chosen:
    """These devices."""
    return Chosen.of(some, None, everybody=False)


async def test_every_change_is_on_record_once_and_what_is_refused_is_not(administrator: Context) -> None:
    reader = replace(administrator, actor=Actor.of("rita", Role.READER))
    await crowd(administrator.db, 20)
    some = await uuids(administrator)
    done = set()

    for step in story(some[0], some[-1]):
        if not isinstance(step, tuple):
            await step(administrator)
            continue
        action, deed = step
        before = len(await entries(administrator))
        with pytest.raises(Forbidden):
            await deed(reader)
        assert len(await entries(administrator)) == before, action
        await deed(administrator)
        [entry] = (await entries(administrator))[before:]
        assert (entry.action, entry.actor, entry.token, entry.request_id) == (action, "ada", 77, "r-1")
        done.add(action)

    assert done == set(Action), "what can be asked for is in the story"


def test_every_mutation_has_an_action_of_its_name() -> None:
    fields = schema._schema.mutation_type
    assert fields is not None
    names = {re.sub(r"([A-Z])", r"_\1", name).upper() for name in fields.fields}

    # What is done to many devices is on record as what was done to each.
    assert {name for name in names if name not in set(Action) and name.removesuffix("S") not in set(Action)} == set()


async def test_an_operator_may_neither_make_tokens_nor_read_who_did_what(operator: Context) -> None:
    for refused in (
        tokens.create(operator, WantedToken("grace")), tokens.revoke(operator, TokenId(1)), tokens.page(operator, TokenId(0), 10),
        tokens.count(operator), tokens.one(operator, TokenId(1)), audit.page(operator, AuditFilter(), NEWEST, 10),
        audit.count(operator, AuditFilter()), audit.of_subjects(operator, [], NEWEST, 10),
    ):  # fmt: skip
        with pytest.raises(Forbidden, match="ops may not administer"):
            await refused


async def test_no_secret_is_on_record(administrator: Context) -> None:
    await crowd(administrator.db, 1)
    [uuid] = await uuids(administrator)
    apps = web("redis:7")
    apps["1001"]["services"][0]["config"]["environment"] = {"PASSWORD": "s3cret-1"}
    check = {"kind": "webhook", "name": "gate", "url": "https://gate.acme.example/?key=s3cret-2"}

    await targets.set_target(administrator, uuid, apps)
    await targets.patch_target(administrator, uuid, Patch.of("1001", "web", None, {"environment": {"KEY": "s3cret-3"}}, remove=False))
    await registries.save(administrator, "ghcr.io", "ci", "s3cret-4", plain_http=False)
    await a_policy(administrator, checks=[check])
    made = [
        (await provisioning.create(administrator, WantedKey("hall")))[1],
        (await endpoints.create(administrator, WantedEndpoint("ci", Sender.GENERIC)))[1],
        (await endpoints.rotate(administrator, EndpointId(1), 0))[1],
        (await tokens.create(administrator, WantedToken("grace")))[1],
    ]

    record = str(await entries(administrator))
    assert "s3cret" not in record
    assert [secret for secret in made if secret is None or secret in record] == []
    assert "gate" in record


async def test_asking_for_what_is_so_already_is_not_on_record(administrator: Context) -> None:
    await crowd(administrator.db, 1)
    [uuid] = await uuids(administrator)
    await devices.set_labels(administrator, uuid, {"site": "north"})
    await registries.save(administrator, "ghcr.io", None, None, plain_http=False)
    await endpoints.create(administrator, WantedEndpoint("ci", Sender.GENERIC))
    await provisioning.create(administrator, WantedKey("hall"))
    await provisioning.revoke(administrator, ProvisioningKeyId(1))
    before = await everything(administrator.db)

    await devices.set_labels(administrator, uuid, {"site": "north"})
    await bulk.label(administrator, the(uuid), {"site": "north"}, ["rack"], 10, None)
    await aside.release(administrator, uuid)
    await bulk.release(administrator, the(uuid), 10, None)
    await identity.accept(administrator, uuid)
    await identity.restore(administrator, uuid)
    await registries.delete(administrator, "quay.io")
    await endpoints.set_enabled(administrator, EndpointId(1), True)
    await provisioning.revoke(administrator, ProvisioningKeyId(1))

    assert await everything(administrator.db) == before


async def test_what_is_refused_halfway_leaves_neither_a_change_nor_a_word(administrator: Context) -> None:
    await a_policy(administrator)
    before = await everything(administrator.db)

    for refused in (
        policies.update(administrator, POLICY, {"staged_batches": 0}),
        images.create_rollout(administrator, POLICY, "nginx:2.0.0"),
        rollouts.request(administrator, FIRST, Request.PAUSE),
        endpoints.rotate(administrator, EndpointId(1), 0),
        tokens.create(administrator, WantedToken(" ")),
    ):
        with pytest.raises(Refused):
            await refused

    assert await everything(administrator.db) == before


async def test_each_device_of_many_has_an_entry_if_it_was_changed(administrator: Context) -> None:
    await crowd(administrator.db, 4)
    held, *others = await uuids(administrator)
    await aside.pin(administrator, held, None)
    before = len(await entries(administrator))

    await bulk.label(administrator, Chosen.of(None, DeviceFilter(search="device"), everybody=False), {"site": "north"}, (), 10, None)
    labelled = (await entries(administrator))[before:]
    until = await at(administrator.db) + timedelta(days=1)
    changed = await bulk.hold(administrator, the(held, *others), until, None, 10, None)
    put_aside = (await entries(administrator))[before + 4 :]

    assert {entry.subject.key for entry in labelled} == {held, *others}
    assert {entry.request_id for entry in labelled + put_aside} == {"r-1"}
    assert [entry.subject for entry in put_aside] == [Subject(SubjectType.DEVICE, uuid) for uuid in others]
    assert [bool(done.refused) for done in changed.results] == [True, False, False, False]


async def test_entries_are_found_by_who_what_when_and_on_what(administrator: Context, clock: MovableClock) -> None:
    ops = replace(administrator, actor=Actor.operator("ops"))
    await a_policy(administrator)
    clock.advance(hours=1)
    later = await at(ops.db)
    await a_policy(ops, image_pattern="redis*")
    await policies.update(ops, POLICY, {"priority": 3})

    async def found(**wanted: Any) -> list[int]:
        listed: list[int] = [entry.id for entry in await entries(ops, **wanted)]
        assert await audit.count(administrator, AuditFilter(**wanted)) == len(listed)
        return listed

    assert await found() == [1, 2, 3]
    assert await found(actor="ops") == [2, 3]
    assert await found(action=Action.CREATE_POLICY, actor="ops") == [2]
    assert await found(subject=Subject(SubjectType.POLICY, "1")) == [1, 3]
    assert (await found(since=later), await found(until=later)) == ([2, 3], [1])
    assert [entry.id for entry in await audit.page(administrator, AuditFilter(), EntryId(3), 1)] == [2]


async def test_the_newest_entries_of_many_subjects_are_read_together(administrator: Context) -> None:
    for _ in range(2):
        await a_policy(administrator)
    for priority in (1, 2, 3):
        await policies.update(administrator, POLICY, {"priority": priority})
    assert (await policies.update(administrator, POLICY, {"priority": 3})).version == 4  # what changes nothing is not on record
    keys = [Subject.of(SubjectType.POLICY, number) for number in (1, 2, 9)]

    found = await audit.of_subjects(administrator, keys, NEWEST, 2)

    assert [[entry.id for entry in found.get(key, [])] for key in keys] == [[5, 4], [2], []]
    assert found[keys[0]][0].details == {"settings": {"priority": 3}}


async def test_what_somebody_else_undid_first_is_refused_and_not_on_record(administrator: Context) -> None:
    await a_policy(administrator, approvals=2)
    await crowd(administrator.db, 3)
    await images.create_rollout(administrator, POLICY, "nginx:2.0.0")
    await reconcile(administrator.db)
    await asks(FIRST, Request.APPROVE)(administrator)
    before = await entries(administrator)

    with pytest.raises(Conflict, match="has approved it already"):
        await asks(FIRST, Request.APPROVE)(administrator)

    assert await entries(administrator) == before
