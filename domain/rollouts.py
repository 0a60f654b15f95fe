"""A release on its way to the devices, as one row: it moves, and the devices follow.

A member is offered the image iff its rank is below the frontier, its window is open, and it was not taken back. Opening a batch
raises the frontier, pacing raises it little by little, rolling back sets it to 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from domain.errors import BadInput
from domain.events import EventType
from domain.ids import PolicyId, RolloutId
from domain.images import Image
from domain.plans import Plan, Stage, checksum, sizes
from domain.selectors import Selector
from domain.statuses import Status
from domain.zones import Zone

ROLLBACK_WINDOW = timedelta(days=30)
"""For so long after its end a rollout can still be taken back in one step; then its result becomes the devices' own."""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One release on its way to the devices that one policy governs."""

    id: RolloutId
    policy_id: PolicyId
    image: Image
    also: tuple[Image, ...]
    """Images of other repositories that move together with it: a device has all of them or none."""
    plan: Plan = field(hash=False)
    fleet: str | None
    except_fleets: tuple[str, ...]
    by_hand: bool
    """An operator named the image: devices on a newer version are not spared."""
    status: Status
    stages: tuple[int, ...]
    """How many members have been offered the image once each stage is open; empty until the members are ranked."""
    canaries: tuple[int, ...]
    """How many members each stage of the plan names."""
    ends: tuple[int, ...]
    """Where the frontier stood when each stage before the open one was left: between two of them lie the ranks of a batch."""
    stage: int
    """The open stage, counted from 0; -1 before the first."""
    size: int
    """How many members; devices that join late are appended."""
    frontier: int
    reached: int
    """The highest the frontier has been: members between the two had the image taken back."""
    zones: tuple[Zone, ...]
    """The time zones of its members; empty without windows."""
    revision: int
    """How many moves were made; the n-th move writes n."""
    frontier_at: datetime | None
    """When the frontier last moved."""
    paced_at: datetime | None
    """Up to when the time has been used for letting devices in, under a plan with a rate."""
    settled_at: datetime | None
    """When the open batch had proved itself; None while it has not."""
    answered_at: datetime | None
    """When the devices of the open batch had all answered and checks of it as a whole began; None before, and without such checks."""
    promoted: int
    """The last stage from which an operator said to go on; -1 if none."""
    approved_by: tuple[str, ...]
    failures_accepted_at: datetime | None
    """When an operator resumed it: what had failed by then was judged, only what fails later counts."""
    reason: str | None
    created_at: datetime
    moved_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    selector: Selector | None = None
    """Only devices with such labels, as the policy said when it was created."""

    @property
    def images(self) -> tuple[Image, ...]:
        """Everything that it brings."""
        return (self.image, *self.also)

    @property
    def repositories(self) -> tuple[str, ...]:
        """Whose images it brings."""
        return tuple(image.repository for image in self.images)

    @property
    def checksum(self) -> str:
        """What an approval is given for: this release under this plan."""
        return checksum(self.images, self.plan)

    @property
    def open_stage(self) -> Stage:
        """The plan of the batch that is open."""
        return self.plan.stages[self.stage]


@dataclass(frozen=True, slots=True)
class RolloutFilter:
    """What rollouts must have in common; None asks nothing."""

    statuses: tuple[Status, ...] | None = None
    policy: PolicyId | None = None
    fleet: str | None = None
    """Those for this fleet alone."""
    search: str | None = None
    """In one of the images, whatever the case."""
    since: datetime | None = None
    """Created then or later."""
    until: datetime | None = None
    """Created before."""


@dataclass(frozen=True, slots=True)
class Move:
    """One step of one rollout: what it was, what it becomes, and the name of that."""

    event: EventType
    before: Rollout
    result: Rollout


@dataclass(frozen=True, slots=True)
class PastMove:
    """A move as history keeps it."""

    revision: int
    at: datetime
    event: EventType
    actor: str
    reason: str | None
    status: Status
    stage: int
    frontier: int


def enrolled(rollout: Rollout, size: int, canaries: Sequence[int], zones: Sequence[str], now: datetime, reason: str | None = None) -> Move:
    """The members are ranked; how many each stage will hold is known, unless more join before the first opens.

    The reason is why there are none.
    """
    return move(
        rollout, EventType.ROLLOUT_ENROLLED, now, status=Status.PENDING, size=size, reason=reason, canaries=tuple(canaries),
        stages=sizes(rollout.plan.stages, size, canaries), zones=tuple(Zone(zone, False, now, 0) for zone in sorted(zones)),
    )  # fmt: skip


def joined(rollout: Rollout, devices: int, zones: Sequence[str], now: datetime) -> Move:
    """Devices came to run the image while it is being rolled out; they wait at the end of the queue."""
    # A new time zone has nobody below the frontier: it has nothing to catch up with.
    new = tuple(Zone(zone, False, now, rollout.frontier) for zone in sorted(set(zones) - {zone.name for zone in rollout.zones}))
    return move(rollout, EventType.ROLLOUT_JOINED, now, size=rollout.size + devices, zones=rollout.zones + new)


def ranks_of(rollout: Rollout, batch: int) -> tuple[int, int]:
    """The ranks (first, end) of a batch that is offered the image, counted from 0; raises BadInput for any other."""
    # A rollback to the last device sets the frontier below where earlier batches ended.
    ends = [min(end, rollout.frontier) for end in (0, *rollout.ends, rollout.frontier)]
    if not 0 <= batch < len(ends) - 1 or ends[batch] >= ends[batch + 1]:
        raise BadInput(f"batch {batch + 1} has no devices that are offered the image")
    return ends[batch], ends[batch + 1]


def lowest(rollout: Rollout) -> int:
    """How far those have been let in whose window is open: the ones that are furthest behind."""
    return min((zone.frontier for zone in rollout.zones if zone.is_open), default=rollout.frontier)


def back_to(rollout: Rollout, frontier: int, now: datetime, reason: str | None) -> Move:
    """Take the image back from everybody whose rank is not below a frontier."""
    return move(
        rollout, EventType.ROLLBACK_STARTED, now,
        status=Status.ROLLING_BACK, frontier=frontier, frontier_at=now, finished_at=None, reason=reason,
    )  # fmt: skip


def move(rollout: Rollout, event: EventType, now: datetime, **changes: object) -> Move:
    """What a rollout becomes by one step, with the moments that every step notes."""
    times: dict[str, object] = {"moved_at": now, "revision": rollout.revision + 1}
    if event is EventType.ROLLOUT_STARTED:
        times["started_at"] = now
    result = replace(rollout, **{**changes, **times})  # type: ignore[arg-type]
    if result.status.is_final and not rollout.status.is_final:
        result = replace(result, finished_at=now)
    return Move(event, rollout, result)
