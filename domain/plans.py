"""How a rollout goes about it: stages, limits, pace, schedule. A policy makes a plan; a rollout keeps the one it started with."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from domain.checks import CheckSettings, HttpCheck, PrometheusCheck, TcpCheck, WebhookGate
from domain.health import Outcome
from domain.images import Image
from domain.pacing import Pace
from domain.tags import TagRules
from domain.windows import Window, is_zone


@dataclass(frozen=True, slots=True)
class Limits:
    """When failures stop a rollout; counted over one batch, and over everybody who was offered the image."""

    rate: float
    """Failed / (running + failed) above this stops it; 0 to 1."""
    min_outcomes: int
    """How many outcomes it takes to stop while others are still expected."""
    by_kind: dict[Outcome, float] = field(default_factory=dict, hash=False)
    """The same for one kind of failure alone."""
    confidence: float | None = None
    """Stop on evidence instead: as soon as it is this sure that the true rate is above the limit (domain/evidence.py)."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One batch: how many devices, and what it takes to go on from it. Of share, devices and canaries one is given."""

    limits: Limits
    delay: timedelta
    """From the moment the batch has proved itself until the next one opens."""
    soak: timedelta
    """How long a device must run the image, healthy, before that counts."""
    share: float | None = None
    """Percent of the fleet that has been offered the image once this stage is open, those before included."""
    devices: int | None = None
    """The same as a number."""
    canaries: tuple[str, ...] = ()
    """These devices, by uuid."""
    is_promoted_by_hand: bool = False
    """After it an operator is awaited."""
    checks: tuple[str, ...] | None = None
    """The names of the checks that are made of it; None is all."""

    def includes(self, check: CheckSettings) -> bool:
        """Whether this check is made of it."""
        return self.checks is None or check.name in self.checks


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a device that failed is taken back and offered the image again, by kind of failure."""

    limits: dict[Outcome, int] = field(default_factory=dict, hash=False)
    backoff: timedelta = timedelta(minutes=5)
    """Before the first; doubled before each that follows."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When devices may be offered the image."""

    not_before: datetime | None = None
    not_after: datetime | None = None
    windows: tuple[Window, ...] = ()
    zone: str = "UTC"
    """For windows that name none, and devices that name none."""
    zone_label: str = "timezone"
    """The label of a device that names its time zone, for windows that do not name one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rollout was told when it was created; later changes of the policy do not touch it."""

    stages: tuple[Stage, ...]
    limits: Limits
    pickup: timedelta
    """How long an offered device may go without polling; one that is silent for longer is replaced by the next in rank."""
    deadline: timedelta
    """How long a device that took the image may stay inconclusive before it counts as failed."""
    health_check_enabled: bool
    auto_rollback_enabled: bool
    starts_by_itself: bool
    step: timedelta | None = None
    """The same from its last sign of progress: whichever of the two is over first."""
    only_failed_return: bool = False
    """Failed devices go back each by itself; the others keep the image, and the rollout pauses when too many failed."""
    failed_batch_first: bool = False
    """A rollback takes the image back from the batch that failed, and from the others once that is done."""
    watch: timedelta = timedelta(0)
    """After the last batch: devices that fall back meanwhile still count."""
    approvals: int = 0
    """How many operators must approve before it starts."""
    approval_deadline: timedelta | None = None
    pace: Pace = field(default_factory=Pace)
    retries: Retries = field(default_factory=Retries)
    quarantine_after: int | None = None
    """A device that failed in so many rollouts in a row is set aside."""
    schedule: Schedule = field(default_factory=Schedule)
    checks: tuple[CheckSettings, ...] = ()
    """What the server looks at from outside."""
    tags: TagRules = field(default_factory=TagRules)
    """Which devices its image is kept from, where nobody named it by hand."""

    @property
    def device_checks(self) -> tuple[HttpCheck | TcpCheck, ...]:
        """Those that are made of each device, once it runs the image."""
        return tuple(check for check in self.checks if isinstance(check, HttpCheck | TcpCheck))

    def batch_checks(self, stage: int) -> tuple[PrometheusCheck | WebhookGate, ...]:
        """Those that are made of a batch as a whole, once its devices have answered."""
        found = (check for check in self.checks if isinstance(check, PrometheusCheck | WebhookGate))
        return tuple(check for check in found if self.stages[stage].includes(check))


@cache
def _codec() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)


def zone_of(schedule: Schedule, label: str | None) -> str:
    """Whose windows a device waits for: those of the time zone that its label names; empty where every window names its own."""
    if all(window.zone for window in schedule.windows):
        return ""
    return label if label is not None and is_zone(label) else schedule.zone


def document(plan: Plan) -> dict[str, Any]:
    """The plan as JSON keeps it."""
    kept: dict[str, Any] = _codec().dump_python(plan, mode="json")
    return kept


def from_document(kept: dict[str, Any]) -> Plan:
    """The plan that was kept."""
    return _codec().validate_python(kept)


def checksum(images: Sequence[Image], plan: Plan) -> str:
    """What a decision about these images under this plan is made for; others have another."""
    brought = " ".join(map(str, images)).encode()
    return hashlib.sha256(brought + b"\n" + _codec().dump_json(plan)).hexdigest()[:32]


def shares(batches: int) -> tuple[int, ...]:
    """Cumulative percent for so many batches: a tenth first, then even steps in whole tenths; 3 gives 10, 50, 100.

    More than ten batches are equal ones.
    """
    if batches == 1:
        return (100,)
    if batches > 10:
        return tuple(100 * (number + 1) // batches for number in range(batches))
    return tuple((10 + 90 * number // (batches - 1)) // 10 * 10 for number in range(batches))


def sizes(stages: Sequence[Stage], size: int, canaries: Sequence[int] = ()) -> tuple[int, ...]:
    """How many of `size` members have been offered the image once each stage is open: never falling, the last is `size`.

    `canaries` says how many members each stage names. A stage has at least one member, so that 10 % of five devices still
    tests something; stages after everybody was offered it are left out. One whose canaries are no members is empty.
    """
    counts: list[int] = []
    for number, stage in enumerate(stages):
        before = counts[-1] if counts else 0
        if before < size:
            named = canaries[number] if number < len(canaries) else 0
            counts.append(min(size, size if number + 1 == len(stages) else _count(stage, before, size, named)))
    return tuple(counts)


def _count(stage: Stage, before: int, size: int, named: int) -> int:
    if stage.canaries:
        return before + named
    wanted = stage.devices if stage.devices is not None else int(size * (stage.share or 0) // 100)
    return max(before + 1, wanted)
