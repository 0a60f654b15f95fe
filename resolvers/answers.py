"""What a poll is answered, as bytes: of a device, its target and the pace it is to keep."""

import hashlib
from dataclasses import dataclass
from typing import Any

import orjson

from domain.pace import Pace
from storage.answers import Known

# Where a body has the device's own intervals; a null character is in no JSON.
_GAP = b"\0"


@dataclass(frozen=True, slots=True)
class Body:
    """What devices with the same target are all told, but for their uuid and their own intervals."""

    digest: bytes
    """16 bytes of SHA-256 over all of it."""
    version: int
    before: bytes
    after: bytes | None
    """What follows the intervals; None if an operator wrote the intervals himself, and nothing is missing."""
    is_hurried: bool

    @classmethod
    def of(cls, known: Known, pace: Pace) -> "Body":
        """The body for a device as it is known now."""
        is_hurried = any(place.standing & 4 for place in known.places)
        state = orjson.dumps(_state(known), option=orjson.OPT_SORT_KEYS)
        digest = hashlib.sha256(state + repr((pace, is_hurried)).encode()).digest()[:16]
        before, gap, after = state.partition(_GAP)
        return cls(digest, known.target.version, before, after if gap else None, is_hurried)

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return len(self.before) + len(self.after or b"")

    def to(self, uuid: str, raw: bytes, pace: Pace) -> bytes:
        """The body for one device. Its one key is the uuid as the agent wrote it: agents ignore any other."""
        whole = b'{"%s":%s' % (uuid.encode(), self.before)
        if self.after is not None:
            whole += orjson.dumps(pace.intervals(raw, is_hurried=self.is_hurried)) + self.after
        return whole + b"}"


def etag(version: int, digest: bytes) -> str:
    """The entity tag: a version, which tells older from newer, and what it stands for."""
    return f'"{version}-{digest.hex()}"'


def _state(known: Known) -> dict[str, Any]:
    config = dict(known.target.config)
    config.setdefault("intervals", orjson.Fragment(_GAP))
    return {
        "apps": known.target.apps,
        "config": config,
        "version": known.target.version,
        "needs_deployment": False,
        "last_deployed_at": None,
    }
