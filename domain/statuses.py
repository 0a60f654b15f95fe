"""The states that a rollout can be in, and a device in it."""

from enum import StrEnum


class Status(StrEnum):
    """Where a rollout is in its life."""

    ENROLLING = "enrolling"
    """Created; its members are being ranked."""
    PENDING = "pending"
    """Ranked; waits for an operator, for approval, or for its time."""
    IN_PROGRESS = "in_progress"
    PAUSED = "paused"
    """Nobody new is offered the image; those who were keep it."""
    ROLLING_BACK = "rolling_back"
    """The image is taken back; devices that took it are on their way."""
    COMPLETED = "completed"
    """Everybody was offered the image; for a month it can still be rolled back."""
    ROLLED_BACK = "rolled_back"
    CANCELLED = "cancelled"
    """Stopped by an operator, or because its time was over; devices that were offered the image keep it."""
    SUPERSEDED = "superseded"
    """A newer release took over; devices go straight to that one."""

    @property
    def is_final(self) -> bool:
        return self in (Status.COMPLETED, Status.ROLLED_BACK, Status.CANCELLED, Status.SUPERSEDED)

    @property
    def is_active(self) -> bool:
        """Whether it offers its image, or is going to; there is one such rollout per policy and image."""
        return not self.is_final and self is not Status.ROLLING_BACK


class DeviceStatus(StrEnum):
    """Where one device is in a rollout. Derived where it is counted: the SQL function member_status."""

    PENDING = "pending"
    """Not offered the image yet."""
    DEFERRED = "deferred"
    """Its turn has come, but the window of its time zone is closed."""
    SCHEDULED = "scheduled"
    """Offered; the device has not polled since."""
    UPDATING = "updating"
    """The device took the image and has said nothing conclusive."""
    UPDATED = "updated"
    """Runs the image; with health checks on, the soak time is not over."""
    HEALTHY = "healthy"
    """Ran the image, healthy, for the soak time."""
    FAILED = "failed"
    UNHEALTHY = "unhealthy"
    REFUSED = "refused"
    TIMED_OUT = "timed_out"
    """Took the image and stayed silent past the deadline."""
    RETRYING = "retrying"
    """Failed and was taken back; it will be offered the image again."""
    ROLLING_BACK = "rolling_back"
    """Took the image, was told to return, and has not reported it."""
    ROLLED_BACK = "rolled_back"
    SKIPPED = "skipped"
    """Taken out: an operator gave the device another image."""
