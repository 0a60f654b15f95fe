"""What operators do with what devices should run: write the whole of it, or one service, on one device or on many."""

from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain import targets as rules
from domain.actors import Permission
from domain.errors import Conflict
from domain.health import ServiceKey
from domain.ids import DeviceId
from domain.images import Image
from domain.patches import Patch, patched
from domain.rollouts import Rollout, joined
from domain.tags import why_kept
from domain.targets import Target
from resolvers import documents, moves
from resolvers.context import Context
from resolvers.devices import named
from storage import devices, enrolment, folding, members, ranking, rollouts, targets
from storage.connection import Connection
from storage.targets import Service


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a device is to be told."""

    apps: dict[str, Any]
    """Without the images of its services, which stand beside them."""
    images: dict[ServiceKey, Image]
    config: dict[str, Any]

    @property
    def repositories(self) -> set[str]:
        return {image.repository for image in self.images.values()}


async def set_target(ctx: Context, uuid: str, apps: object, config: object = None, expected_version: int | None = None) -> Target:
    """Tell one device what to run. A service given another image than it has now leaves the rollout that concerns it."""
    ctx.actor.must(Permission.OPERATE)
    documents.check(apps, "apps")
    documents.check(config, "config")
    template, images = rules.read(apps)
    settings = None if config is None else rules.check_settings(config)

    def change(before: Target) -> Wanted:
        return Wanted(template, images, before.config if settings is None else settings)

    return await _write(ctx, uuid, {image.repository for image in images.values()}, change, expected_version)


async def patch_target(ctx: Context, uuid: str, patch: Patch, expected_version: int | None = None) -> Target:
    """Change one service of what a device should run. What changes nothing leaves the version where it is.

    A service given another image than it has now leaves the rollout that concerns it; the others stay.
    """
    ctx.actor.must(Permission.OPERATE)
    documents.check(patch.config, "patch.config")

    def change(before: Target) -> Wanted | None:
        apps = patched(before.apps, patch)
        return None if apps == before.apps else Wanted(*rules.read(apps), before.config)

    return await _write(ctx, uuid, {patch.image.repository} if patch.image else set(), change, expected_version)


async def _write(
    ctx: Context, uuid: str, brings: Set[str], change: Callable[[Target], Wanted | None], expected_version: int | None
) -> Target:
    """Make of a device's target what `change` makes of it, which may bring images of these repositories that it does not run now."""
    async with ctx.db.transaction() as conn:
        device = await named(conn, uuid)
        await devices.lock(conn, device.id)
        had = await targets.repositories(conn, device.id)
        await enrolment.shared(conn, had | brings)
        concerned = await rollouts.locked_around(conn, device, sorted(brings))
        services = await targets.locked_services(conn, device.id)
        before = await targets.target(conn, device.id)
        if expected_version is not None and expected_version != before.version:
            raise Conflict(f"the target is at version {before.version}, not {expected_version}: read it again")
        wanted = change(before)
        if wanted is None:
            return before
        rules.check_size(wanted.apps, wanted.config)
        await _replace(ctx, conn, device.id, services, wanted)
        for rollout in concerned:
            if (wanted.repositories - had) & set(rollout.repositories):
                await _join(ctx, conn, rollout, device.id, await ctx.db.now(conn))
        return await targets.target(conn, device.id)


async def _replace(ctx: Context, conn: Connection, device: DeviceId, services: dict[ServiceKey, Service], wanted: Wanted) -> None:
    """Write a new base; what a rollout gave is the device's own where it is told something else there."""
    now = await ctx.db.now(conn)
    overruled = await folding.together(conn, device, _overruled(services, wanted.images))
    rise = 1 + sum([await folding.skip(conn, device, repository, now) for repository in overruled])
    base = {key: image if image.repository in overruled else _base(services.get(key), image) for key, image in wanted.images.items()}
    await targets.replace(conn, device, wanted.apps, wanted.config, base, rise, now)


def _overruled(services: dict[ServiceKey, Service], images: dict[ServiceKey, Image]) -> set[str]:
    """The repositories whose services are told something else than they are told now, or are gone."""
    return {service.effective.repository for key, service in services.items() if images.get(key) != service.effective}


def _base(service: Service | None, image: Image) -> Image:
    """What to keep as the base: a client that writes back the image a rollout gave does not make it the device's own."""
    return service.base if service is not None and service.effective == image else image


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
