"""Who asked for what, and got it."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum, auto
from typing import Any, Self

from domain.actors import Permission
from domain.ids import EntryId, TokenId


class Action(StrEnum):
    """What can be asked for; each is named as the mutation is."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[str]) -> str:
        return name

    CREATE_POLICY = auto()
    UPDATE_POLICY = auto()
    ENABLE_POLICY = auto()
    DISABLE_POLICY = auto()
    DELETE_POLICY = auto()
    UNBLOCK_RELEASE = auto()

    CREATE_ROLLOUT = auto()
    START_ROLLOUT = auto()
    APPROVE_ROLLOUT = auto()
    REJECT_ROLLOUT = auto()
    REPLAN_ROLLOUT = auto()
    PROMOTE_ROLLOUT = auto()
    RETRY_ROLLOUT = auto()
    PAUSE_ROLLOUT = auto()
    RESUME_ROLLOUT = auto()
    CANCEL_ROLLOUT = auto()
    ROLL_BACK_ROLLOUT = auto()
    ROLL_BACK_BATCH = auto()
    ROLL_BACK_DEVICE = auto()

    SET_DEVICE_TARGET = auto()
    PATCH_DEVICE_TARGET = auto()
    SET_DEVICE_LABELS = auto()
    LABEL_DEVICES = auto()
    PIN_DEVICE = auto()
    HOLD_DEVICE = auto()
    RELEASE_DEVICE = auto()
    ACCEPT_DEVICE = auto()
    REVOKE_DEVICE = auto()
    RESTORE_DEVICE = auto()
    RESET_DEVICE_KEY = auto()

    CREATE_PROVISIONING_KEY = auto()
    REVOKE_PROVISIONING_KEY = auto()

    CREATE_WEBHOOK_ENDPOINT = auto()
    ROTATE_WEBHOOK_SECRET = auto()
    ENABLE_WEBHOOK_ENDPOINT = auto()
    DISABLE_WEBHOOK_ENDPOINT = auto()
    DELETE_WEBHOOK_ENDPOINT = auto()
    REPLAY_DELIVERY = auto()

    SET_REGISTRY = auto()
    REMOVE_REGISTRY = auto()
    APPROVE_IMAGE = auto()
    REJECT_IMAGE = auto()
    DEPRECATE_IMAGE = auto()

    CREATE_TOKEN = auto()
    REVOKE_TOKEN = auto()

    @property
    def permission(self) -> Permission:
        """What it takes."""
        return Permission.ADMINISTER if self in (Action.CREATE_TOKEN, Action.REVOKE_TOKEN) else Permission.OPERATE


class SubjectType(StrEnum):
    """What can be changed; the value is its name in the API."""

    POLICY = "Policy"
    ROLLOUT = "Rollout"
    DEVICE = "Device"
    PROVISIONING_KEY = "ProvisioningKey"
    WEBHOOK_ENDPOINT = "WebhookEndpoint"
    DELIVERY = "Delivery"
    REGISTRY = "Registry"
    KNOWN_IMAGE = "KnownImage"
    TOKEN = "Token"  # noqa: S105 – no password


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing that was changed."""

    type: SubjectType
    key: str
    """A device's uuid, a registry's host, the number of anything else."""

    @classmethod
    def of(cls, type: SubjectType, key: object) -> Self:  # noqa: A002 – what it is
        return cls(type, str(key))


@dataclass(frozen=True, slots=True)
class Entry:
    """That somebody changed something."""

    id: EntryId
    at: datetime
    actor: str
    token: TokenId | None
    """None for whoever came without one."""
    action: Action
    subject: Subject
    details: dict[str, Any] = field(hash=False)
    """What was asked for, but for secrets."""
    request_id: str | None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """What entries must have in common; None asks nothing."""

    actor: str | None = None
    action: Action | None = None
    subject: Subject | None = None
    since: datetime | None = None
    until: datetime | None = None
    """Before this moment."""

    def matches(self, entry: Entry) -> bool:
        """Whether an entry is meant, as `storage/audit.py` asks it."""
        return (
            self.actor in (None, entry.actor)
            and self.action in (None, entry.action)
            and self.subject in (None, entry.subject)
            and (self.since is None or self.since <= entry.at)
            and (self.until is None or entry.at < self.until)
        )
