"""What operators do with what devices should run: write the whole of it, or one service, on one device or on many."""

from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain import expected
from domain import targets as rules
from domain.audit import Action
from domain.health import ServiceKey
from domain.ids import DeviceId
from domain.images import Image
from domain.patches import Patch, patched
from domain.rollouts import Rollout, joined
from domain.tags import why_kept
from domain.targets import Target
from resolvers import documents, moves
from resolvers.changing import Change
from resolvers.context import Context
from resolvers.devices import locked, subject
from storage import enrolment, folding, members, ranking, rollouts, targets
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
    async with ctx.changing(Action.SET_DEVICE_TARGET) as change:
        documents.check(apps, "apps")
        documents.check(config, "config")
        template, images = rules.read(apps)
        settings = None if config is None else rules.check_settings(config)

        def wanted(before: Target) -> Wanted:
            return Wanted(template, images, before.config if settings is None else settings)

        return await _write(ctx, change, uuid, {image.repository for image in images.values()}, wanted, expected_version)


async def patch_target(ctx: Context, uuid: str, patch: Patch, expected_version: int | None = None) -> Target:
    """Change one service of what a device should run. What changes nothing leaves the version where it is.

    A service given another image than it has now leaves the rollout that concerns it; the others stay.
    """
    async with ctx.changing(Action.PATCH_DEVICE_TARGET) as change:
        documents.check(patch.config, "patch.config")

        def wanted(before: Target) -> Wanted | None:
            apps = patched(before.apps, patch)
            return None if apps == before.apps else Wanted(*rules.read(apps), before.config)

        image = None if patch.image is None else str(patch.image)
        told = {"app": patch.app, "service": patch.service, "image": image, "is_removal": patch.is_removal}
        return await _write(ctx, change, uuid, {patch.image.repository} if patch.image else set(), wanted, expected_version, **told)


async def _write(
    ctx: Context, change: Change, uuid: str, brings: Set[str], wanted: Callable[[Target], Wanted | None], expected_version: int | None,
    **told: object,
) -> Target:  # fmt: skip
    """Make of a device's target what is wanted, which may bring images of these repositories that it does not run now."""
    device, conn = await locked(change.conn, uuid), change.conn
    had = await targets.repositories(conn, device.id)
    await enrolment.shared(conn, had | brings)
    concerned = await rollouts.locked_around(conn, device, sorted(brings))
    services = await targets.locked_services(conn, device.id)
    before = await targets.target(conn, device.id)
    expected.check("the target", before.version, expected_version)
    if (new := wanted(before)) is None:
        return before
    rules.check_size(new.apps, new.config)
    await _replace(conn, device.id, services, new, change.now)
    for rollout in concerned:
        if (new.repositories - had) & set(rollout.repositories):
            await _join(ctx, conn, rollout, device.id, change.now)
    after = await targets.target(conn, device.id)
    # Not what it is told: the environment of a service may hold secrets.
    change.of(subject(device), target_version=after.version, **told)
    return after


async def _replace(conn: Connection, device: DeviceId, services: dict[ServiceKey, Service], wanted: Wanted, now: datetime) -> None:
    """Write a new base; what a rollout gave is the device's own where it is told something else there."""
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
