"""Who a device is: what it proves itself by, and whether it may have anything."""

import hmac
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.errors import BadInput, Forbidden
from domain.ids import DeviceId

# An agent that lost power between our answer and its disk knows its old key only; for so long it gets in with that.
OVERLAP = timedelta(hours=24)
SHORTEST_KEY, LONGEST_KEY = 32, 255
# What every proxy passes on in a header as it is: others strip spaces, and read bytes beyond ASCII each in its own way.
KEY = f"^[!-~]{{{SHORTEST_KEY},{LONGEST_KEY}}}$"
_is_key = re.compile(KEY).fullmatch


@dataclass(frozen=True, slots=True)
class Identity:
    """What is kept of a device to know it again."""

    device: DeviceId
    uuid: str
    key_hash: bytes | None
    """None: an operator let it register anew, and it has not yet."""
    old_key_hash: bytes | None
    old_key_until: datetime | None
    public_key: bytes | None
    """Ed25519, of an agent that signs."""
    challenge: bytes | None
    """What such an agent signs."""
    is_waiting: bool
    """For an operator to accept it."""
    revoked_at: datetime | None

    def has_key(self, key_hash: bytes) -> bool:
        """Whether this is its key."""
        return self.key_hash is not None and hmac.compare_digest(key_hash, self.key_hash)

    def had_key(self, key_hash: bytes, now: datetime) -> bool:
        """Whether this was its key before, and still opens."""
        if self.old_key_hash is None or self.old_key_until is None or now >= self.old_key_until:
            return False
        return hmac.compare_digest(key_hash, self.old_key_hash)

    def must_be_let_in(self) -> None:
        """Raise Forbidden for a device that was revoked, or waits."""
        self.must_not_be_revoked()
        if self.is_waiting:
            raise Forbidden(f"device {self.uuid} waits to be accepted by an operator")

    def must_not_be_revoked(self) -> None:
        """Raise Forbidden for a device that was revoked."""
        if self.revoked_at is not None:
            raise Forbidden(f"device {self.uuid} was revoked by an operator")


def check_key(key: str) -> None:
    """Raise BadInput for a key that a device had better not have: agents make 64 hex digits, anything much shorter could be guessed."""
    if not _is_key(key):
        raise BadInput(f"deviceApiKey: {SHORTEST_KEY} to {LONGEST_KEY} letters, digits and signs of ASCII, and no spaces")
