"""What a device should run: its base target, with the candidates of the rollouts that offer it one."""

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from domain.devices import as_map, service_name
from domain.errors import BadInput
from domain.health import ServiceKey
from domain.images import Image
from domain.ports import Published
from domain.rollouts import Rollout
from domain.services import check_config, check_name

MOST, LARGEST = 100, 256 * 1024
SHORTEST_INTERVAL, LONGEST_INTERVAL = 1000, 2**31 - 1  # what an agent's timer can count


class Exposure(IntEnum):
    """What a rollout has done to a member; the number is how often the device's target version rose for it."""

    NOT_REACHED = 0
    EXPOSED = 1
    TAKEN_BACK = 2


@dataclass(frozen=True, slots=True)
class Membership:
    """A device's place in a rollout."""

    rollout: Rollout
    rank: int
    candidate: Image
    """What the rollout brings for this repository."""
    from_image: Image | None
    """What the device showed when it was enrolled, if that was another rollout's image not yet proven on it."""
    zone: str | None = None
    """Whose window it waits for; None in a rollout without windows."""
    is_taken: bool = False
    is_withdrawn: bool = False
    """The image was taken back from it alone."""
    is_deferred: bool = False
    """It was silent when its turn came, and is to be offered the image when it wakes."""
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """What one device is told to run."""

    uuid: str
    apps: dict[str, Any]
    config: dict[str, Any]
    version: int
    has_untaken_offer: bool
    """It holds an image that the device is not known to have been told."""


def exposure(member: Membership) -> Exposure:
    """Whether a member is offered the image, never was, or had it taken back."""
    if member.is_withdrawn or member.rollout.frontier <= member.rank < member.rollout.reached:
        return Exposure.TAKEN_BACK
    return Exposure.EXPOSED if _is_let_in(member) else Exposure.NOT_REACHED


def _is_let_in(member: Membership) -> bool:
    if member.rank >= member.rollout.frontier or member.is_deferred:
        return False
    if member.zone is None or member.is_taken:
        return True
    return any(zone.name == member.zone and zone.is_open and member.rank < zone.frontier for zone in member.rollout.zones)


def effective_image(base: Image, membership: Membership | None) -> Image:
    """What a service should run. The storage view `effective_services` says the same of a whole fleet; a test compares them."""
    if membership is None:
        return base
    match exposure(membership):
        case Exposure.EXPOSED:
            return membership.candidate
        case Exposure.TAKEN_BACK:
            return base
        case Exposure.NOT_REACHED:
            # One that waits to be tried again was taken back to its base, and stays there.
            return base if membership.retries else membership.from_image or base


def effective_version(base: int, memberships: Iterable[Membership]) -> int:
    """One more for every change the device could see; it never falls."""
    return base + sum(2 * membership.retries + exposure(membership) for membership in memberships)


def render(apps: dict[str, Any], images: Mapping[ServiceKey, str]) -> dict[str, Any]:
    """The apps with each service's image written where agents look: `imageName`, and `config.image`, always equal."""
    rendered = deepcopy(apps)
    for app, body in rendered.items():
        for service in body["services"]:
            image = images[app, service_name(service)]
            service["imageName"] = image
            service["config"]["image"] = image
    return rendered


def read(apps: object) -> tuple[dict[str, Any], dict[ServiceKey, Image]]:
    """Check the apps an operator wants a device to run; the image of each service is taken out of them.

    Raises BadInput naming the field that is wrong.
    """
    checked = as_map(deepcopy(apps))
    if len(checked) > MOST:
        raise BadInput(f"apps: at most {MOST}, these are {len(checked)}")
    images: dict[ServiceKey, Image] = {}
    published = Published()
    for app, body in checked.items():
        for number, service in enumerate(_services(app, body)):
            where = f"apps.{app}.services[{number}]"
            key = (app, _name(service, where))
            if key in images:
                raise BadInput(f"{where}: the app has two services named “{key[1]}”")
            images[key] = _image(service, where)
            check_config(service["config"], f"{where}.config", published)
    return checked, images


def check_settings(config: object) -> dict[str, Any]:
    """What a device's agent is to go by; raises BadInput naming the field that is wrong."""
    if not isinstance(config, dict):
        raise BadInput("config must be an object")
    intervals = config.get("intervals", {})
    if not isinstance(intervals, dict):
        raise BadInput("config.intervals must be an object")
    for name, value in intervals.items():
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if name.endswith("IntervalMs") and not (is_whole and SHORTEST_INTERVAL <= value <= LONGEST_INTERVAL):
            raise BadInput(
                f"config.intervals.{name[:80]} must be a whole number of milliseconds, {SHORTEST_INTERVAL} to {LONGEST_INTERVAL}"
            )
    return config


def check_size(apps: dict[str, Any], config: dict[str, Any]) -> None:
    """Raise BadInput for more than a device should be told at every change."""
    size = len(json.dumps([apps, config], ensure_ascii=False, separators=(",", ":")).encode())
    if size > LARGEST:
        raise BadInput(f"apps and config have {size} bytes together, and {LARGEST} is the most")


def _services(app: str, body: object) -> list[dict[str, Any]]:
    check_name(app, "apps")
    services = body.get("services") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not isinstance(services, list) or not all(isinstance(service, dict) for service in services):
        raise BadInput(f"apps.{app}.services must be a list of objects")
    if str(body.get("appId", app)) != app:
        raise BadInput(f"apps.{app}.appId is {str(body['appId'])[:80]}, and must be the id that it stands under")
    if len(services) > MOST:
        raise BadInput(f"apps.{app}.services: at most {MOST}, these are {len(services)}")
    return services


def _name(service: dict[str, Any], where: str) -> str:
    if not all(isinstance(service.get(field), str | int | None) for field in ("serviceName", "serviceId")):
        raise BadInput(f"{where}: serviceName and serviceId must be strings or numbers")
    name = service_name(service)
    if not name:
        raise BadInput(f"{where} needs a serviceName")
    check_name(name, f"{where}.serviceName")
    return name


def _image(service: dict[str, Any], where: str) -> Image:
    config = service.setdefault("config", {})
    if not isinstance(config, dict):
        raise BadInput(f"{where}.config must be an object")
    # Some agents copy a flat `image` over the others. It is taken out, since `render` writes only the others.
    given = {"imageName": service.get("imageName"), "config.image": config.get("image"), "image": service.pop("image", None)}
    images = {_parsed(text, f"{where}.{field}") for field, text in given.items() if text is not None}
    if len(images) != 1:
        problem = "needs an imageName" if not images else "names different images in imageName and config.image"
        raise BadInput(f"{where} {problem}")
    return images.pop()


def _parsed(text: object, where: str) -> Image:
    if not isinstance(text, str):
        raise BadInput(f"{where} must be a string")
    try:
        return Image.parse(text)
    except BadInput as bad:
        raise BadInput(f"{where}: {bad}") from bad
