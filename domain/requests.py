"""What somebody may ask of a rollout, and when."""

from enum import StrEnum

from domain.events import EventType
from domain.statuses import Status


class Request(StrEnum):
    """What somebody may ask of a rollout."""

    START = "start"
    APPROVE = "approve"
    REJECT = "reject"
    PROMOTE = "promote"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    CANCEL = "cancel"
    ROLL_BACK = "roll back"
    SUPERSEDE = "supersede"


_UNDER_WAY = frozenset({Status.IN_PROGRESS, Status.PAUSED})
_ACTIVE = frozenset({Status.ENROLLING, Status.PENDING}) | _UNDER_WAY

LEGAL: dict[Request, tuple[frozenset[Status], Status | None, EventType]] = {
    Request.START: (frozenset({Status.PENDING}), Status.IN_PROGRESS, EventType.ROLLOUT_STARTED),
    Request.APPROVE: (frozenset({Status.PENDING}), None, EventType.ROLLOUT_APPROVED),
    Request.REJECT: (frozenset({Status.PENDING}), Status.CANCELLED, EventType.ROLLOUT_REJECTED),
    Request.PROMOTE: (frozenset({Status.IN_PROGRESS}), None, EventType.BATCH_PROMOTED),
    Request.PAUSE: (frozenset({Status.IN_PROGRESS}), Status.PAUSED, EventType.ROLLOUT_PAUSED),
    Request.RESUME: (frozenset({Status.PAUSED}), Status.IN_PROGRESS, EventType.ROLLOUT_RESUMED),
    Request.RETRY: (_UNDER_WAY, None, EventType.ROLLOUT_RETRIED),
    Request.CANCEL: (_ACTIVE, Status.CANCELLED, EventType.ROLLOUT_CANCELLED),
    Request.ROLL_BACK: (_UNDER_WAY | {Status.COMPLETED}, Status.ROLLING_BACK, EventType.ROLLBACK_STARTED),
    Request.SUPERSEDE: (_ACTIVE, Status.SUPERSEDED, EventType.ROLLOUT_SUPERSEDED),
}
"""From which states, what it becomes (None: stays as it is), and what that is called."""
