"""What happened, in the order that every reader sees."""

import base64
import binascii
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Self

from domain.errors import BadInput, CursorExpired
from domain.ids import DeliveryId, EntryId, PolicyId, RolloutId


class EventType(StrEnum):
    """What can happen to rollouts and devices."""

    WEBHOOK_RECEIVED = "image.webhook_received"
    IMAGE_APPROVAL_REQUESTED = "image.approval_requested"
    IMAGE_APPROVED = "image.approved"
    IMAGE_REJECTED = "image.rejected"
    IMAGE_DEPRECATED = "image.deprecated"
    ROLLOUT_CREATED = "image.rollout_created"
    ROLLOUT_ENROLLED = "image.rollout_enrolled"
    ROLLOUT_JOINED = "image.rollout_joined"
    ROLLOUT_REPLANNED = "image.rollout_replanned"
    ROLLOUT_APPROVED = "image.rollout_approved"
    ROLLOUT_REJECTED = "image.rollout_rejected"
    ROLLOUT_STARTED = "image.rollout_started"
    BATCH_STARTED = "image.batch_started"
    BATCH_WIDENED = "image.batch_widened"
    BATCH_COMPLETED = "image.batch_completed"
    BATCH_WITHDRAWN = "image.batch_withdrawn"
    BATCH_PROMOTED = "image.batch_promoted"
    WINDOW_OPENED = "image.window_opened"
    WINDOW_CLOSED = "image.window_closed"
    HEALTH_CHECK_STARTED = "image.health_check_started"
    HEALTH_CHECK_PASSED = "image.health_check_passed"
    HEALTH_CHECK_FAILED = "image.health_check_failed"
    DEVICE_SCHEDULED = "image.device_scheduled"
    DEVICE_UPDATED = "image.device_updated"
    DEVICE_FAILED = "image.device_failed"
    DEVICE_WITHDRAWN = "image.device_withdrawn"
    DEVICE_ROLLED_BACK = "image.device_rolled_back"
    ROLLOUT_PAUSED = "image.rollout_paused"
    ROLLOUT_RESUMED = "image.rollout_resumed"
    ROLLOUT_RETRIED = "image.rollout_retried"
    ROLLOUT_COMPLETED = "image.rollout_completed"
    ROLLOUT_CANCELLED = "image.rollout_cancelled"
    ROLLOUT_SUPERSEDED = "image.rollout_superseded"
    ROLLBACK_STARTED = "image.rollback_started"
    ROLLBACK_WIDENED = "image.rollback_widened"
    ROLLOUT_ROLLED_BACK = "image.rollout_rolled_back"
    DEVICE_OFFLINE = "device.offline"
    DEVICE_ONLINE = "device.online"


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """A place in the one order of events: transaction, sequence, and the part of an event that stands for many devices."""

    xid: int = 0
    seq: int = 0
    part: int = 0
    END: ClassVar[int] = 2**62
    """A part beyond all that any event has."""

    @property
    def past(self) -> Self:
        """The same event with all its parts."""
        return replace(self, part=self.END)

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"1:{self.xid}:{self.seq}:{self.part}".encode()).decode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a cursor that was handed out; raises BadInput for anything else."""
        try:
            version, *places = base64.b64decode(text.encode(), altchars=b"-_", validate=True).decode().split(":")
            xid, seq, part = (int(place) for place in places)
        except (ValueError, binascii.Error) as bad:
            raise BadInput("after: this is not a cursor that was handed out here") from bad
        # xid8 is unsigned, but no cluster will ever see its upper half; seq is a bigint.
        if version != "1" or not all(0 <= place < 2**63 for place in (xid, seq, part)):
            raise BadInput("after: this is not a cursor that was handed out here")
        return cls(xid, seq, part)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; `revision` is the rollout's at that moment, so a reader can tell older from newer."""

    cursor: Cursor
    at: datetime
    type: str
    """An EventType, or what a newer version of Rollwave, running beside this one, calls something new."""
    rollout_id: RolloutId | None
    revision: int | None
    device_uuid: str | None
    data: dict[str, Any]
    policy_id: PolicyId | None = None
    """The rollout's."""
    fleet: str | None = None
    """The one that the rollout is for alone."""
    status: str | None = None
    """A Status, or what a newer version calls something new: where the move of that revision led the rollout to; None without a move."""
    delivery_id: DeliveryId | None = None
    """The delivery that it tells of; then it is nothing that happened to a rollout."""
    entry_id: EntryId | None = None
    """The change on record that it tells of; likewise."""


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What events of rollouts and devices must have in common; None asks nothing."""

    rollout: RolloutId | None = None
    policy: PolicyId | None = None
    fleet: str | None = None
    """Those of rollouts for this fleet alone."""
    statuses: tuple[str, ...] | None = None
    """Where the rollout had got to by then."""
    types: tuple[str, ...] | None = None

    def matches(self, event: Event) -> bool:
        """Whether it is one of them; what tells of a delivery, or of a change on record, never is."""
        return (
            event.delivery_id is None
            and event.entry_id is None
            and (self.rollout is None or event.rollout_id == self.rollout)
            and (self.policy is None or event.policy_id == self.policy)
            and (self.fleet is None or event.fleet == self.fleet)
            and (self.statuses is None or event.status in self.statuses)
            and (self.types is None or event.type in self.types)
        )

    def names_devices_of(self, batch: Event) -> bool:
        """Whether each device of a batch is told of: where one rollout is followed, or that type was asked for.

        Of all rollouts it would be a million events before anything else is told, for whoever wants to know how rollouts get on.
        """
        is_meant = self.rollout is not None or self.types is not None
        return is_meant and self.matches(replace(batch, type=EventType.DEVICE_SCHEDULED))


@dataclass(frozen=True, slots=True)
class Kept:
    """Which events there are by now."""

    forgotten: Cursor
    """Everything up to here is forgotten, and nothing after it."""
    future: Cursor
    """Nothing has ever happened after this here."""

    def check(self, after: Cursor) -> None:
        """Raises CursorExpired where what happened after a cursor is not all here. The beginning is wherever what is kept begins."""
        if after > self.future:
            raise CursorExpired(
                "after: this cursor is of another database; read anew how things are, and follow from there", self.forgotten
            )
        if Cursor() < after < self.forgotten:
            raise CursorExpired("after: what happened next is forgotten; read anew how things are, and follow from there", self.forgotten)
