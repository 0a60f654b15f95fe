"""What devices do: register, poll, report. And what operators do with devices: read them, and tell them what to run."""

import hmac
import re
import uuid as uuids
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain import labels as labels_of
from domain import targets as rules
from domain.actors import Permission
from domain.devices import CurrentState, Device, Report, services_of
from domain.errors import BadInput, Conflict, NotFound, Unauthenticated
from domain.health import ServiceKey
from domain.ids import DeviceId, RolloutId
from domain.images import Image
from domain.members import Member
from domain.rollouts import Rollout, joined
from domain.tags import why_kept
from domain.targets import Target
from resolvers import documents, keys, moves, reports
from resolvers.context import Context
from storage import devices, enrolment, folding, members, ranking, rollouts, targets
from storage.connection import Connection
from storage.targets import Service

# A device that polls every minute is written down as seen every half: enough to rank the awake first, and few writes.
SEEN_EVERY = timedelta(seconds=30)
# uuids.UUID would also take signs, spaces, underscores and the digits of every script, as int() does.
_UUID = re.compile(r"[0-9a-fA-F]{8}(-?)[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{4}\1[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Registration:
    """What an agent says when it registers; it made its uuid and its key itself."""

    uuid: str
    name: str
    type: str
    key: str


async def create_provisioning_key(ctx: Context, fleet: str | None) -> str:
    """A key that lets devices register themselves in a fleet. It is told once and cannot be read again."""
    ctx.actor.must(Permission.OPERATE)
    if fleet is not None and not 0 < len(fleet) <= 255:
        raise BadInput("fleet: 1 to 255 characters")
    key = keys.new("provisioning")
    async with ctx.db.transaction() as conn:
        await devices.insert_provisioning_key(conn, keys.digest(key), fleet, await ctx.db.now(conn))
    return key


async def register(ctx: Context, provisioning_key: str, asked: Registration) -> Device:
    """Let a device in. Registering again with the same key is answered alike; a uuid with another key is a Conflict."""
    async with ctx.db.transaction() as conn:
        allowed = await devices.enrolment(conn, keys.digest(provisioning_key))
        if allowed is None:
            raise Unauthenticated("the provisioning key is missing or unknown")
        device = await devices.register(
            conn, asked.uuid, asked.name, asked.type, allowed.fleet, keys.digest(asked.key), await ctx.db.now(conn)
        )
    if device is None:
        raise Conflict(f"device {asked.uuid} is already registered, with another key")
    return device


async def authenticate(ctx: Context, uuid: str, key: str | None) -> DeviceId:
    """Which device this is; raises NotFound for a stranger and Unauthenticated for a missing or wrong key."""
    async with ctx.db.reading() as conn:
        known = await devices.key_of(conn, checked_uuid(uuid))
    if known is None:
        raise NotFound(f"there is no device {uuid}: register it first")
    device, key_hash = known
    if key is None or not hmac.compare_digest(keys.digest(key), key_hash):
        raise Unauthenticated("the device key is missing or wrong: send it as X-Device-API-Key")
    return device


async def itself(ctx: Context, device: DeviceId) -> Device:
    """A device that has been authenticated, as it is stored."""
    async with ctx.db.reading() as conn:
        found = await devices.by_id(conn, device)
    assert found is not None, "it was authenticated a moment ago"
    return found


async def poll(ctx: Context, device: DeviceId) -> Target:
    """What the device should run. Asking is taking: from now on the device is expected to run what it was told."""
    async with ctx.db.transaction() as conn:
        now = await ctx.db.now(conn)
        await devices.seen(conn, device, now, SEEN_EVERY)
        # Noted before it is told: a rollback in between then waits for this device rather than forgetting it.
        while (target := await targets.target(conn, device)).has_untaken_offer:
            await devices.lock(conn, device)
            await members.taken(conn, device, now)
    return target


async def report(ctx: Context, device: DeviceId, uuid: str, said: Report) -> None:
    """Keep what the device says, and what it shows of the images it was offered. An old report, replayed, changes nothing."""
    services = None if said.apps is None else services_of(said.apps)
    async with ctx.db.transaction() as conn:
        now = await ctx.db.now(conn)
        await devices.seen(conn, device, now, SEEN_EVERY)
        if await devices.is_replay(conn, device, said.version):
            return
        await devices.lock(conn, device)
        await devices.save_report(conn, device, said, now)
        if services is not None:
            await reports.weigh(conn, device, uuid, services, now)


async def set_target(ctx: Context, uuid: str, apps: object, config: object = None, expected_version: int | None = None) -> Target:
    """Tell one device what to run. A service given another image than it has now leaves the rollout that concerns it."""
    ctx.actor.must(Permission.OPERATE)
    documents.check(apps, "apps")
    documents.check(config, "config")
    template, images = rules.read(apps)
    if config is not None and not isinstance(config, dict):
        raise BadInput("config must be an object")
    async with ctx.db.transaction() as conn:
        device = await named(conn, uuid)
        await devices.lock(conn, device.id)
        had, has = await targets.repositories(conn, device.id), {image.repository for image in images.values()}
        await enrolment.shared(conn, had | has)
        concerned = await rollouts.locked_around(conn, device, sorted(has))
        services = await targets.locked_services(conn, device.id)
        before = await targets.target(conn, device.id)
        if expected_version is not None and expected_version != before.version:
            raise Conflict(f"the target is at version {before.version}, not {expected_version}: read it again")
        now = await ctx.db.now(conn)
        overruled = await folding.together(conn, device.id, _overruled(services, images))
        rise = 1 + sum([await folding.skip(conn, device.id, repository, now) for repository in overruled])
        base = {key: image if image.repository in overruled else _base(services.get(key), image) for key, image in images.items()}
        await targets.replace(conn, device.id, template, before.config if config is None else config, base, rise, now)
        for rollout in concerned:
            if (has - had) & set(rollout.repositories):
                await _join(ctx, conn, rollout, device.id, now)
        return await targets.target(conn, device.id)


async def set_labels(ctx: Context, uuid: str, labels: object) -> Device:
    """Write labels on a device in the place of those it has; rollouts that it is in go by the ones it had when they began."""
    ctx.actor.must(Permission.OPERATE)
    documents.check(labels, "labels")
    checked = labels_of.checked(labels)
    async with ctx.db.transaction() as conn:
        device = await named(conn, uuid)
        return await devices.set_labels(conn, device.id, checked)


async def one(ctx: Context, uuid: str) -> Device | None:
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await devices.by_uuid(conn, checked_uuid(uuid))


async def by_id(ctx: Context, device: DeviceId) -> Device | None:
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await devices.by_id(conn, device)


async def page(ctx: Context, after: DeviceId, limit: int, fleet: str | None = None) -> list[Device]:
    """Devices in the order they registered."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await devices.page(conn, after, limit, fleet)


async def target(ctx: Context, device: DeviceId) -> Target:
    """What a device should run now, as people see it; unlike a poll this leaves no trace."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await targets.target(conn, device)


async def current_state(ctx: Context, device: DeviceId) -> CurrentState | None:
    """What a device last reported."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await devices.current_state(conn, device)


async def places(ctx: Context, device: DeviceId, before: RolloutId, limit: int) -> list[Member]:
    """A device's places in rollouts, newest first."""
    ctx.actor.must(Permission.READ)
    async with ctx.db.reading() as conn:
        return await members.of_device(conn, device, before, limit, await ctx.db.now(conn))


def checked_uuid(text: str) -> str:
    """A uuid in its usual form; raises BadInput for anything else."""
    if _UUID.fullmatch(text) is None:
        raise BadInput(f"“{text[:64]}” is not a uuid")
    return str(uuids.UUID(text))


async def named(conn: Connection, uuid: str) -> Device:
    """The device of that uuid; raises NotFound."""
    device = await devices.by_uuid(conn, checked_uuid(uuid))
    if device is None:
        raise NotFound(f"there is no device {uuid}")
    return device


async def _join(ctx: Context, conn: Connection, rollout: Rollout, device: DeviceId, now: datetime) -> None:
    """A device that comes to run an image while it is being rolled out goes to the end of the queue."""
    kept = kept_from(rollout, await members.images_in_use(conn, rollout.image.repository, device))
    added = await ranking.enrol(conn, rollout, kept, now, only=device)
    if added.devices:
        await moves.save(conn, joined(rollout, added.devices, added.zones, now), ctx.actor)


def kept_from(rollout: Rollout, in_use: list[Image]) -> list[Image]:
    """Those whose devices a rollout spares, as its rules for tags say: newer ones, mostly. One by hand spares nobody."""
    rules, tag = rollout.plan.tags, rollout.image.tag or ""
    return [] if rollout.by_hand else [used for used in in_use if why_kept(rules, tag, used.tag or "")]


def _overruled(services: dict[ServiceKey, Service], images: dict[ServiceKey, Image]) -> set[str]:
    """The repositories whose services are told something else than they are told now, or are gone."""
    return {service.effective.repository for key, service in services.items() if images.get(key) != service.effective}


def _base(service: Service | None, image: Image) -> Image:
    """What to keep as the base: a client that writes back the image a rollout gave does not make it the device's own."""
    return service.base if service is not None and service.effective == image else image
