"""What the devices that were offered an image have shown so far."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from domain.checks import Verdict
from domain.health import Outcome
from domain.statuses import DeviceStatus

_FAILURES = {DeviceStatus(outcome.value): outcome for outcome in Outcome if outcome.is_failure}
_RUNNING = (DeviceStatus.UPDATED, DeviceStatus.HEALTHY)
_TAKEN_BACK = (DeviceStatus.ROLLING_BACK, DeviceStatus.ROLLED_BACK)


@dataclass(frozen=True, slots=True)
class Tally:
    """The outcomes of some devices. One that runs the image is good so far, or a bad one, known at once, would weigh more."""

    running: int = 0
    failures: dict[Outcome, int] = field(default_factory=dict)
    """By kind; without those that an operator accepted by going on."""
    waiting: int = 0
    """Took it, nothing conclusive yet."""
    accepted: int = 0
    """Failed, and an operator went on all the same."""

    @property
    def bad(self) -> int:
        return sum(self.failures.values())

    @property
    def outcomes(self) -> int:
        return self.running + self.bad

    @property
    def rate(self) -> float:
        """bad / outcomes: silent devices are in neither, so that they can hide nothing (the rule of AWS IoT Jobs' abort criteria)."""
        return self.bad / self.outcomes if self.outcomes else 0.0

    def share_of(self, kind: Outcome) -> float:
        """The same for one kind of failure."""
        return self.failures.get(kind, 0) / self.outcomes if self.outcomes else 0.0


@dataclass(frozen=True, slots=True)
class Count:
    """So many members are alike in what the engine goes by."""

    status: DeviceStatus
    outcome: Outcome | None
    """What one that was taken back had shown before."""
    devices: int
    in_batch: bool
    """Of the open batch."""
    is_silent: bool = False
    """Was offered the image, had the time of the plan to poll, and did not."""
    is_accepted: bool = False
    """Failed before an operator went on all the same."""
    is_inconclusive: bool = False
    """Runs the image, and checks from outside could not tell how well."""

    @property
    def failure(self) -> Outcome | None:
        """The kind of failure, if it failed; accepted or not."""
        if self.status in _TAKEN_BACK:
            return self.outcome if self.outcome is not None and self.outcome.is_failure else None
        return _FAILURES.get(self.status)


@dataclass(frozen=True, slots=True)
class Progress:
    """Every member that was offered the image, counted once."""

    untaken: int = 0
    """Not polled since they were offered it, and expected to."""
    silent: int = 0
    """Not polled for longer than the plan waits."""
    deferred: int = 0
    """Their turn has come, but not their window."""
    waiting: int = 0
    """Took it, nothing conclusive yet, within the deadline."""
    soaking: int = 0
    """Running it, not long enough."""
    good: int = 0
    retrying: int = 0
    """Failed, and will be offered it again."""
    left: int = 0
    """Left the rollout since they were offered the image: an operator gave them another, or pinned them."""
    withdrawn: int = 0
    """Had it taken back by hand, without having failed; nobody takes their place."""
    returning: int = 0
    """Took it, were told to return, have not reported their previous image."""
    inconclusive: int = 0
    """Of the soaking, those of which checks from outside could not tell anything."""
    checks: tuple[Verdict, ...] = ()
    """Where the checks of the open batch as a whole stand."""
    batch: Tally = field(default_factory=Tally)
    total: Tally = field(default_factory=Tally)
    reach: int | None = None
    """The rank before which the frontier must stop, lest too many that share a label's value are on their way; None is no such limit."""

    @property
    def expected(self) -> int:
        """How many are still to show something."""
        return self.untaken + self.deferred + self.waiting + self.soaking + self.retrying

    @property
    def in_flight(self) -> int:
        """How many are on their way: neither proven good, nor failed for good, nor silent."""
        return self.untaken + self.waiting + self.soaking + self.retrying

    @classmethod
    def of(cls, counts: Iterable[Count], *, health_check_enabled: bool, reach: int | None = None, checks: tuple[Verdict, ...] = ()) -> Self:
        """Sum what was counted; without health checks a device that runs the image is good at once."""
        found = list(counts)

        def devices(status: DeviceStatus) -> int:
            return sum(count.devices for count in found if count.status is status and not count.is_silent)

        updated = devices(DeviceStatus.UPDATED)
        taken_back = sum(count.devices for count in found if count.status in _TAKEN_BACK and not count.failure and not count.is_accepted)
        return cls(
            untaken=devices(DeviceStatus.SCHEDULED),
            silent=sum(count.devices for count in found if count.is_silent),
            deferred=devices(DeviceStatus.DEFERRED),
            waiting=devices(DeviceStatus.UPDATING),
            soaking=updated if health_check_enabled else 0,
            good=devices(DeviceStatus.HEALTHY) + (0 if health_check_enabled else updated),
            retrying=devices(DeviceStatus.RETRYING),
            left=devices(DeviceStatus.SKIPPED),
            withdrawn=taken_back,
            returning=devices(DeviceStatus.ROLLING_BACK),
            inconclusive=sum(count.devices for count in found if count.is_inconclusive),
            checks=checks,
            batch=tally(count for count in found if count.in_batch),
            total=tally(found),
            reach=reach,
        )


def tally(counts: Iterable[Count]) -> Tally:
    """The outcomes among what was counted."""
    running, waiting, accepted, failures = 0, 0, 0, dict[Outcome, int]()
    for count in counts:
        if count.status in _RUNNING:
            running += count.devices
        elif count.status is DeviceStatus.UPDATING:
            waiting += count.devices
        elif count.is_accepted:
            accepted += count.devices
        elif kind := count.failure:
            failures[kind] = failures.get(kind, 0) + count.devices
    return Tally(running, failures, waiting, accepted)
