"""What a device's report says about the image it was offered. Only the running image counts, never the version it polled."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.devices import Running
from domain.errors import BadInput
from domain.images import Image

ServiceKey = tuple[str, str]
"""(app id, service name)"""


class Outcome(StrEnum):
    """What a device has shown; None in its place means nothing conclusive."""

    RUNNING = "running"
    FAILED = "failed"
    """Could not pull or start the image, or the container stopped."""
    UNHEALTHY = "unhealthy"
    """Runs it, and says itself, or a check from outside says, that it does not work."""
    REFUSED = "refused"
    """Will not take it."""
    TIMED_OUT = "timed_out"
    """Took it and showed nothing conclusive until the deadline."""

    @property
    def is_failure(self) -> bool:
        return self is not Outcome.RUNNING


@dataclass(frozen=True, slots=True)
class Verdict:
    """An outcome and, for a failure, the device's own words."""

    outcome: Outcome | None
    reason: str | None = None


WAITING = Verdict(None)
# The agent has given up on the pull for now; a single ErrImagePull may be a hiccup and is left to the deadline.
_CANNOT_PULL = {"ImagePullBackOff"}
# No agent of today says so; it is the word for one that has a lock of its own, or too little room.
_REFUSES = {"UpdateRefused"}
_STOPPED = {"exited", "dead"}


def judge(wanted: dict[ServiceKey, Image], services: Sequence[Running], *, health_check: bool) -> Verdict:
    """Judge one report against the images that services were offered.

    One failed service fails the device; the device runs the image when all of them do. A service that is missing from the
    report is being swapped: that is no failure.
    """
    found = {(service.app, service.service): service for service in services}
    verdicts = [_judge(image, found[key], health_check) if key in found else WAITING for key, image in wanted.items()]
    for verdict in verdicts:
        if verdict.outcome is not None and verdict.outcome.is_failure:
            return verdict
    running = bool(verdicts) and all(verdict.outcome is Outcome.RUNNING for verdict in verdicts)
    return Verdict(Outcome.RUNNING) if running else WAITING


def is_back(previous: dict[ServiceKey, Image], services: Sequence[Running]) -> bool:
    """Whether every service runs the image it had before."""
    found = {(service.app, service.service): service for service in services}
    return all(key in found and runs(image, found[key]) for key, image in previous.items())


def trouble(previous: dict[ServiceKey, Image], services: Sequence[Running], *, health_check: bool) -> str | None:
    """Why a device that was to return to the image it had does not run it, in its own words; None if it says nothing of that."""
    found = {(service.app, service.service): service for service in services}
    verdicts = (_judge(image, found[key], health_check) for key, image in previous.items() if key in found)
    return next((verdict.reason for verdict in verdicts if verdict.reason), None)


def _judge(wanted: Image, service: Running, health_check: bool) -> Verdict:
    if service.error_type in _REFUSES:
        return _failed(service, "refuses the image", Outcome.REFUSED)
    if not runs(wanted, service):
        return _failed(service, "cannot pull the image") if service.error_type in _CANNOT_PULL else WAITING
    if service.error_type is not None:
        return _failed(service, "reported an error")
    if service.status in _STOPPED:
        return _failed(service, f"the container {service.status}")
    if health_check and service.health == "unhealthy":
        return _failed(service, "reports itself unhealthy", Outcome.UNHEALTHY)
    if service.status != "running" or (health_check and service.health == "starting"):
        return WAITING
    return Verdict(Outcome.RUNNING)


def _failed(service: Running, what: str, outcome: Outcome = Outcome.FAILED) -> Verdict:
    detail = ": ".join(part for part in (service.error_type, service.error) if part)
    return Verdict(outcome, f"{service.service}: {what}" + (f" ({detail})" if detail else ""))


def runs(wanted: Image, service: Running) -> bool:
    """Whether the container of a service, in whatever state, is of this image."""
    try:
        return wanted.is_proven_by(Image.parse(service.image))
    except BadInput:  # a bare image id, or nothing: no proof either way
        return False
