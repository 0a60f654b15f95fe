"""Devices in the field, and what they say."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from domain.devices import Report
from domain.health import ServiceKey
from domain.ids import DeviceId
from domain.targets import Target

SAYS = ("running", "running", "running", "exited", "unhealthy", "created", "refused", "cannot pull", "as before", "replay")
"""What a device may report of the images it was told; the last is the report before, once more."""


@dataclass
class Agent:
    """A device in the field: what it was told last, what it runs, what it said last."""

    uuid: str
    id: DeviceId
    fleet: str | None
    labels: dict[str, str]
    told: Target | None = None
    runs: dict[ServiceKey, str] = field(default_factory=dict)
    said: Report | None = None

    def __repr__(self) -> str:
        return f"device {UUID(self.uuid).int}"

    def shown(self) -> dict[ServiceKey, str]:
        """The image of each service, as it was told last."""
        return {} if self.told is None else images_of(self.told)

    def report(self, says: str) -> Report:
        """What it says of the services it was told to run."""
        if says == "replay" and self.said:
            return replace(self.said, version=None)
        apps: dict[str, Any] = {}
        for (app, name), image in self.shown().items():
            apps.setdefault(app, {"services": []})["services"].append(_said(name, image, self.runs.get((app, name), ""), says))
            if says in ("running", "replay"):
                self.runs[app, name] = image
        return Report(apps, self.told.version if self.told else 0)


def _said(name: str, wanted: str, had: str, says: str) -> dict[str, Any]:
    match says:
        case "refused":
            return {"serviceName": name, "imageName": had, "status": "running", "error": {"type": "UpdateRefused"}}
        case "cannot pull":
            return {"serviceName": name, "imageName": had, "status": "running", "error": {"type": "ImagePullBackOff"}}
        case "as before":
            return {"serviceName": name, "imageName": had, "status": "running"}
        case "unhealthy":
            return {"serviceName": name, "imageName": wanted, "status": "running", "health": "unhealthy"}
        case "exited" | "created":
            return {"serviceName": name, "imageName": wanted, "status": says}
        case _:
            return {"serviceName": name, "imageName": wanted, "status": "running", "health": "healthy"}


def images_of(target: Target) -> dict[ServiceKey, str]:
    return {(app, service["serviceName"]): service["imageName"] for app, body in target.apps.items() for service in body["services"]}


def apps(images: Sequence[str]) -> dict[str, Any]:
    services = [{"serviceName": f"s{number}", "imageName": image} for number, image in enumerate(images)]
    return {"1001": {"appId": 1001, "services": services}}
