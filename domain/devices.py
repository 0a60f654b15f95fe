"""Devices, and what they say of themselves."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from domain.errors import BadInput
from domain.ids import DeviceId
from domain.times import shown

# An agent reports every five minutes at the least, and one report may be lost on the way.
OFFLINE_AFTER = timedelta(minutes=8)


@dataclass(frozen=True, slots=True)
class Device:
    """One machine in the field."""

    id: DeviceId
    uuid: str
    name: str
    type: str
    fleet: str | None
    created_at: datetime
    last_seen_at: datetime | None
    labels: dict[str, str] = field(default_factory=dict, hash=False)
    """What operators wrote on it."""
    is_waiting: bool = False
    """For an operator to accept it."""
    revoked_at: datetime | None = None
    """Since when it is let in no more."""
    version: int = 1
    """Rises with what is decided of it: labels, being set aside, accepted or revoked. That of its target is another."""

    @property
    def shut_out(self) -> str | None:
        """Why it is not let in, in a sentence without its subject; None if it is."""
        if self.revoked_at is not None:
            return f"was revoked at {shown(self.revoked_at)}, until an operator restores it"
        return "waits to be accepted by an operator" if self.is_waiting else None

    def is_online(self, now: datetime) -> bool:
        """Whether it was heard of lately."""
        return self.last_seen_at is not None and self.last_seen_at >= now - OFFLINE_AFTER


@dataclass(frozen=True, slots=True)
class Running:
    """One service as a device reports it."""

    app: str
    service: str
    image: str
    status: str
    """Docker's word, lower case: created, running, restarting, removing, paused, exited, dead."""
    health: str | None
    error_type: str | None
    error: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """What one device says it runs; `apps` is None when it did not say."""

    apps: dict[str, Any] | None
    version: int | None
    """The target version the device polled last, which is no proof of anything; absent from replayed reports and from old agents."""
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CurrentState:
    """What a device last reported."""

    apps: dict[str, Any]
    version: int | None
    info: dict[str, Any]
    reported_at: datetime


def services_of(apps: dict[str, Any]) -> list[Running]:
    """The services in a report, whatever else it holds; raises BadInput for a shape no agent sends."""
    return [_running(app, service) for app, body in apps.items() for service in _services(app, body)]


def as_map(apps: object, where: str = "apps") -> dict[str, Any]:
    """Apps keyed by app id; an array of apps, as some servers wrote it, is read too."""
    if isinstance(apps, list):
        return _by_id(apps, where)
    if not isinstance(apps, dict):
        raise BadInput(f"{where} must be an object keyed by app id")
    return apps


def service_name(service: dict[str, Any]) -> str:
    """What tells a service from the others of its app: its name, else its id."""
    return str(service.get("serviceName") or service.get("serviceId") or "")


def _by_id(apps: list[Any], where: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for number, app in enumerate(apps):
        number_or_name = app.get("appId") if isinstance(app, dict) else None
        if not isinstance(number_or_name, int | str):
            raise BadInput(f"{where}[{number}] must be an object with an appId")
        if str(number_or_name) in found:
            raise BadInput(f"{where}[{number}]: there are two apps with the appId {number_or_name}")
        found[str(number_or_name)] = app
    return found


def _services(app: str, body: object) -> list[dict[str, Any]]:
    services = body.get("services", []) if isinstance(body, dict) else None
    if not isinstance(services, list) or not all(isinstance(service, dict) for service in services):
        raise BadInput(f"apps.{app}.services must be a list of objects")
    return services


def _running(app: str, service: dict[str, Any]) -> Running:
    error = service.get("error")
    error = error if isinstance(error, dict) else {}
    failed = service.get("serviceStatus") == "error"
    return Running(
        app=app,
        service=service_name(service),
        image=_text(service.get("imageName")) or "",
        status=(_text(service.get("status")) or _text(service.get("state")) or "").lower(),
        health=_text(service.get("health")),
        error_type=_text(error.get("type")) or ("error" if failed else None),
        error=_text(error.get("message")),
    )


def _text(value: object) -> str | None:
    return value[:500] if isinstance(value, str) else None
