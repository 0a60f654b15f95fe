"""The keys that let devices register themselves, and what each of them allows."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.errors import BadInput
from domain.ids import ProvisioningKeyId
from domain.times import shown

LONGEST_TEXT = 255
LONGEST_LIFE = timedelta(days=36525)
MOST_USES = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an operator wants a key to allow."""

    name: str
    fleet: str | None = None
    labels: dict[str, str] = field(default_factory=dict, hash=False)
    max_uses: int | None = None
    """None: as many devices as come."""
    expires_at: datetime | None = None
    """None: never."""
    needs_acceptance: bool = False


@dataclass(frozen=True, slots=True)
class ProvisioningKey:
    """What lets devices register themselves, but for the key itself, which is kept nowhere."""

    id: ProvisioningKeyId
    name: str
    fleet: str | None
    """Of the devices that register with it."""
    labels: dict[str, str] = field(hash=False)
    """Written on them."""
    max_uses: int | None
    uses: int
    """How many devices it has let in."""
    expires_at: datetime | None
    revoked_at: datetime | None
    needs_acceptance: bool
    """Its devices get nothing until an operator accepts them."""
    created_at: datetime
    created_by: str
    version: int


def checked(wanted: Wanted, now: datetime) -> Wanted:
    """What is wanted, if it can be; raises BadInput. Labels are checked where all labels are."""
    if not _is_text(wanted.name):
        raise BadInput(f"name: 1 to {LONGEST_TEXT} characters that can be shown")
    if wanted.fleet is not None and not _is_text(wanted.fleet):
        raise BadInput(f"fleet: 1 to {LONGEST_TEXT} characters that can be shown, or null for none")
    if wanted.max_uses is not None and not 0 < wanted.max_uses <= MOST_USES:
        raise BadInput(f"maxUses: 1 to {MOST_USES}, or null for no limit")
    if wanted.expires_at is not None and wanted.expires_at.tzinfo is None:
        raise BadInput("expiresAt: say of which time zone, as in 2030-01-31T06:00:00Z")
    if wanted.expires_at is not None and not now < wanted.expires_at <= now + LONGEST_LIFE:
        raise BadInput("expiresAt: a moment to come, within a hundred years, or null for never")
    return wanted


def why_not(key: ProvisioningKey, now: datetime) -> str | None:
    """Why a key lets nobody in any more; None if it does. It is for somebody who holds the key, and so may know."""
    if key.revoked_at is not None:
        return f"was revoked at {shown(key.revoked_at)}"
    if key.expires_at is not None and key.expires_at <= now:
        return f"expired at {shown(key.expires_at)}"
    if key.max_uses is not None and key.uses >= key.max_uses:
        return f"is used up: it was for {key.max_uses} device{'s' if key.max_uses > 1 else ''}"
    return None


def _is_text(text: str) -> bool:
    return 0 < len(text.strip()) <= len(text) <= LONGEST_TEXT and text.isprintable()
