from enum import Enum


class AsideKind(str, Enum):
    HELD = "HELD"
    PINNED = "PINNED"
    QUARANTINED = "QUARANTINED"


class CheckKind(str, Enum):
    HTTP = "HTTP"
    PROMETHEUS = "PROMETHEUS"
    TCP = "TCP"
    WEBHOOK = "WEBHOOK"


class DeviceRolloutStatus(str, Enum):
    DEFERRED = "DEFERRED"
    FAILED = "FAILED"
    HEALTHY = "HEALTHY"
    PENDING = "PENDING"
    REFUSED = "REFUSED"
    RETRYING = "RETRYING"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLING_BACK = "ROLLING_BACK"
    SCHEDULED = "SCHEDULED"
    SKIPPED = "SKIPPED"
    TIMED_OUT = "TIMED_OUT"
    UNHEALTHY = "UNHEALTHY"
    UPDATED = "UPDATED"
    UPDATING = "UPDATING"


class DeviceStanding(str, Enum):
    ACCEPTED = "ACCEPTED"
    REVOKED = "REVOKED"
    WAITING = "WAITING"


class DifferenceKind(str, Enum):
    EXTRA = "EXTRA"
    MISSING = "MISSING"
    NOT_RUNNING = "NOT_RUNNING"
    OTHER_IMAGE = "OTHER_IMAGE"


class ErrorCode(str, Enum):
    CONFLICT = "CONFLICT"
    ILLEGAL_MOVE = "ILLEGAL_MOVE"
    INVALID_INPUT = "INVALID_INPUT"
    KEY_REUSED = "KEY_REUSED"
    NOT_FOUND = "NOT_FOUND"
    STALE_VERSION = "STALE_VERSION"


class LeftOutReason(str, Enum):
    HELD = "HELD"
    NEWER_VERSION = "NEWER_VERSION"
    OTHER_FLEET = "OTHER_FLEET"
    OTHER_LABELS = "OTHER_LABELS"
    OTHER_ROLLOUT = "OTHER_ROLLOUT"
    OWN_POLICY = "OWN_POLICY"
    PINNED = "PINNED"
    QUARANTINED = "QUARANTINED"
    REVOKED = "REVOKED"
    SAME_IMAGE = "SAME_IMAGE"
    WAITING = "WAITING"


class RampCounts(str, Enum):
    OFFERED = "OFFERED"
    SUCCEEDED = "SUCCEEDED"


class RequiredProof(str, Enum):
    ATTESTATION = "ATTESTATION"
    SIGNATURE = "SIGNATURE"


class RollbackMode(str, Enum):
    ALL = "ALL"
    FAILED_BATCH_FIRST = "FAILED_BATCH_FIRST"
    FAILED_DEVICES = "FAILED_DEVICES"


class RolloutStatus(str, Enum):
    CANCELLED = "CANCELLED"
    COMPLETED = "COMPLETED"
    ENROLLING = "ENROLLING"
    IN_PROGRESS = "IN_PROGRESS"
    PAUSED = "PAUSED"
    PENDING = "PENDING"
    ROLLED_BACK = "ROLLED_BACK"
    ROLLING_BACK = "ROLLING_BACK"
    SUPERSEDED = "SUPERSEDED"


class TagLevel(str, Enum):
    MAJOR = "MAJOR"
    MINOR = "MINOR"
    PATCH = "PATCH"


class TagOrder(str, Enum):
    ALPHABETICAL = "ALPHABETICAL"
    NUMERICAL = "NUMERICAL"
    VERSION = "VERSION"


class UnresolvedTag(str, Enum):
    AUTO = "AUTO"
    BY_TAG = "BY_TAG"
    WAIT = "WAIT"


class UpdateStrategy(str, Enum):
    AUTO = "AUTO"
    MANUAL = "MANUAL"
    SCHEDULED = "SCHEDULED"
    STAGED = "STAGED"


class WaitsFor(str, Enum):
    APPROVAL = "APPROVAL"
    CHECKS = "CHECKS"
    DEVICES = "DEVICES"
    ENGINE = "ENGINE"
    NOTHING = "NOTHING"
    OPERATOR = "OPERATOR"
    TIME = "TIME"
    WINDOW = "WINDOW"
