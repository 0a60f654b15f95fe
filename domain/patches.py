"""Changing one service of what a device should run, and nothing else of it."""

import re
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Self

from domain.devices import service_name
from domain.errors import BadInput, NotFound, about
from domain.images import Image
from domain.services import check_name

_NUMBER = re.compile(r"0|[1-9][0-9]{0,17}")


@dataclass(frozen=True, slots=True)
class Patch:
    """What is to become of one service: another image, other settings, or nothing at all."""

    app: str
    service: str
    image: Image | None
    config: dict[str, Any]
    """Merged into what is there: objects field by field, null takes a field away (RFC 7396)."""
    is_removal: bool

    @classmethod
    def of(cls, app: str, service: str, image: str | None, config: object, *, remove: bool) -> Self:
        """Check what an operator asked for; raises BadInput naming the field that is wrong."""
        check_name(app, "app")
        check_name(service, "service")
        if not isinstance(config, dict | None):
            raise BadInput("patch.config must be an object")
        if remove is (image is not None or bool(config)):
            raise BadInput("patch: give an image, a config, or both; or remove, alone")
        if config and "image" in config:
            raise BadInput("patch.config.image: the image is given as patch.image")
        with about("patch", "image"):
            return cls(app, service, None if image is None else Image.parse(image), config or {}, remove)


def patched(apps: dict[str, Any], patch: Patch) -> dict[str, Any]:
    """The apps with this service changed, added or gone; raises BadInput or NotFound where that cannot be."""
    apps = deepcopy(apps)
    services = apps.get(patch.app, {}).get("services", [])
    found = next((service for service in services if service_name(service) == patch.service), None)
    if patch.is_removal:
        return _without(apps, patch, found)
    if found is None:
        found = _added(apps, patch)
    if patch.image is not None:
        found["imageName"] = found["config"]["image"] = str(patch.image)
    found["config"] = _merged(found["config"], patch.config)
    return apps


def _without(apps: dict[str, Any], patch: Patch, service: dict[str, Any] | None) -> dict[str, Any]:
    """An app goes with its last service."""
    if service is None:
        raise NotFound(f"app {patch.app} has no service named “{patch.service}”")
    services = apps[patch.app]["services"]
    services.remove(service)
    if not services:
        del apps[patch.app]
    return apps


def _added(apps: dict[str, Any], patch: Patch) -> dict[str, Any]:
    if patch.image is None:
        raise BadInput(f"app {patch.app} has no service named “{patch.service}”: give it an image, and it is added")
    service: dict[str, Any] = {"serviceName": patch.service, "config": {}}
    app = apps.setdefault(patch.app, {"appId": _app_id(patch.app), "services": []})
    app["services"].append(service)
    return service


def _app_id(app: str) -> int | str:
    """As agents write it: a number, unless that is another text, or more than 64 bits, which no JSON of ours can hold."""
    return int(app) if _NUMBER.fullmatch(app) else app


def _merged(before: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(before)
    for name, change in changes.items():
        if change is None:
            merged.pop(name, None)
        elif isinstance(change, dict):
            merged[name] = _merged(before[name] if isinstance(before.get(name), dict) else {}, change)
        else:
            merged[name] = change
    return merged
