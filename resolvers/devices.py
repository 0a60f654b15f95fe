"""What devices do: poll, report. And what operators do with devices: read them, and tell them what to run."""

import uuid as uuids
from datetime import datetime

from domain import labels as labels_of
from domain import targets as rules
from domain.actors import Permission
from domain.devices import CurrentState, Device
from domain.errors import BadInput, Conflict, NotFound
from domain.health import ServiceKey
from domain.ids import DeviceId, RolloutId
from domain.images import Image
from domain.members import Member
from domain.rollouts import Rollout, joined
from domain.tags import why_kept
from domain.targets import Target
from resolvers import documents, moves
from resolvers.context import Context
from storage import devices, enrolment, folding, members, ranking, rollouts, targets
from storage.connection import Connection
from storage.targets import Service


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
    if (uuid := canonical(text)) is None:
        raise BadInput(f"“{text[:64]}” is not a uuid")
    return uuid


def canonical(text: str) -> str | None:
    """The same, or None."""
    try:
        return str(uuids.UUID(text))
    except ValueError:
        return None


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
