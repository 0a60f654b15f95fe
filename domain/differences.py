"""Where what a device runs is not what it should run."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from domain.devices import CurrentState, Running, service_name, services_of
from domain.health import ServiceKey, runs
from domain.images import Image
from domain.targets import Target


class DifferenceKind(StrEnum):
    """What is wrong with a service."""

    MISSING = "missing"
    """The device should run it, and has not reported it."""
    OTHER_IMAGE = "other_image"
    NOT_RUNNING = "not_running"
    """It has the image, and does not run."""
    EXTRA = "extra"
    """The device reports it, and should not run it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One service that is not as it should be."""

    app: str
    service: str
    kind: DifferenceKind
    wanted: Image | None
    running: str | None
    """The image, as the device reports it."""
    status: str | None


def differences(target: Target, state: CurrentState | None) -> list[Difference]:
    """Every service that differs, by app and name; of a device that never reported, all it should run."""
    wanted, shown = dict(_wanted(target)), {(one.app, one.service): one for one in services_of(state.apps if state else {})}
    found = (_difference(key, wanted.get(key), shown.get(key)) for key in sorted(wanted.keys() | shown.keys()))
    return [one for one in found if one is not None]


def _wanted(target: Target) -> Iterator[tuple[ServiceKey, Image]]:
    for app, body in target.apps.items():
        for service in body["services"]:
            yield (app, service_name(service)), Image.parse(service["imageName"])


def _difference(key: ServiceKey, wanted: Image | None, shown: Running | None) -> Difference | None:
    kind = _kind(wanted, shown)
    image, status = (shown.image, shown.status) if shown else (None, None)
    return None if kind is None else Difference(*key, kind, wanted, image, status)


def _kind(wanted: Image | None, shown: Running | None) -> DifferenceKind | None:
    if wanted is None:
        return DifferenceKind.EXTRA
    if shown is None:
        return DifferenceKind.MISSING
    if not runs(wanted, shown):
        return DifferenceKind.OTHER_IMAGE
    return None if shown.status == "running" else DifferenceKind.NOT_RUNNING
