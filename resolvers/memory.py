"""What a process knows of its devices, so that most polls need no query: 250 bytes for each.

An answer takes for granted where the device stood in its rollouts. Rollouts move by one row, kept here beside the answers, so one that
moves makes a million answers true or untrue at once, and none of them is touched. Only what concerns single devices removes theirs.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from struct import Struct

from domain.ids import RolloutId
from domain.reach import Place, Reach, standing
from resolvers.answers import Body
from storage.answers import Known

# Device id, version, when it was noted as seen, generation, whether it is awaited, SHA-256 of its key, digest of its body.
_HEAD = Struct("<QIII?32s16s")
_SEEN = Struct("<I")
_SEEN_AT = 12
# Rollout id, rank, standing, revision.
_PLACE = Struct("<QIBI")
_ANY_REVISION = 0xFFFF_FFFF

BODIES = 64_000_000
"""Bytes for bodies: devices with the same target share one, so these are for fleets whose targets differ."""


@dataclass(slots=True)
class Entry:
    """What is remembered of a device. Not frozen: a poll makes one, and that takes three times as long."""

    device_id: int
    version: int
    seen: int
    """When it was last noted as seen, in seconds of this process's own clock."""
    is_awaited: bool
    """A rollout waits to hear of it."""
    key_hash: bytes
    """Of its newest key; whether another one opens too only the database knows."""
    digest: bytes


class Watch:
    """What changed since something was read, so that nothing old is remembered over something new."""

    def __init__(self, generation: int) -> None:
        self.generation = generation
        self.changed: set[bytes] = set()


class Memory:
    """Everything remembered. Nothing here waits, so nothing changes between two lines."""

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] = {}
        self._reaches: dict[int, Reach] = {}
        self._bodies: OrderedDict[bytes, Body] = OrderedDict()
        self._bytes = 0
        self._watches: set[Watch] = set()
        self._generation = 0
        """Rises whenever members were ranked, and when everything is forgotten."""
        self.times_forgotten = 0
        self._unread: dict[RolloutId, int] = {}
        """Rollouts whose members are not all known yet, and the generation that began with each."""

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, uuid: bytes) -> Entry | None:
        """What is known of a device, if it still holds."""
        packed = self._entries.get(uuid)
        if packed is None:
            return None
        device, version, seen, generation, is_awaited, key_hash, digest = _HEAD.unpack_from(packed)
        for rollout, rank, stood, revision in _PLACE.iter_unpack(packed[_HEAD.size :]):
            reach = self._reaches[rollout]
            if standing(rank, reach) != stood or revision not in (_ANY_REVISION, reach.revision):
                return None
        if self._unread and self._may_have_been_reached(generation):
            return None
        return Entry(device, version, seen, is_awaited, key_hash, digest)

    def _may_have_been_reached(self, generation: int) -> bool:
        """Whether a rollout, of which this entry does not know whether it is a member, has reached anybody."""
        return any(since > generation and self._reaches[rollout].reached for rollout, since in self._unread.items())

    def body(self, digest: bytes) -> Body | None:
        """A body, if it is still remembered."""
        body = self._bodies.get(digest)
        if body is not None:
            self._bodies.move_to_end(digest)
        return body

    def saw(self, uuid: bytes, now: int) -> None:
        """That the device was heard of is about to be written down."""
        packed = self._entries[uuid]
        self._entries[uuid] = packed[:_SEEN_AT] + _SEEN.pack(now) + packed[_SEEN_AT + 4 :]

    @contextmanager
    def watching(self) -> Iterator[Watch]:
        """To be entered before reading what is to be remembered."""
        watch = Watch(self._generation)
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    def remember(self, known: Known, body: Body, now: int, watch: Watch) -> None:
        """Keep what was read of a device, heard of now or (0) not; not if it changed since, or may have become a member of something."""
        if watch.generation != self._generation or known.uuid in watch.changed or not known.is_settled:
            return
        for reach in known.reaches:
            self._reaches.setdefault(reach.rollout_id, reach)
        before = self._entries.get(known.uuid)
        seen = now if before is None else max(now, _SEEN.unpack_from(before, _SEEN_AT)[0])
        head = _HEAD.pack(
            known.identity.device, body.version, seen, self._generation, known.is_awaited, known.identity.key_hash, body.digest
        )
        self._entries[known.uuid] = head + b"".join(map(_packed, known.places))
        self._keep(body)

    def _keep(self, body: Body) -> None:
        if body.digest not in self._bodies:
            self._bodies[body.digest] = body
            self._bytes += body.size
        while self._bytes > BODIES:
            self._bytes -= self._bodies.popitem(last=False)[1].size

    def drop(self, uuids: Iterable[bytes]) -> None:
        """These devices changed."""
        for uuid in uuids:
            self._entries.pop(uuid, None)
            for watch in self._watches:
                watch.changed.add(uuid)

    def moved(self, reach: Reach) -> None:
        """A rollout moved."""
        self._reaches[reach.rollout_id] = reach

    def ranked(self, reach: Reach) -> None:
        """A rollout has members now; until all are known, whoever may be one is looked up once it reaches anybody."""
        self._generation += 1
        self.moved(reach)
        self._unread[reach.rollout_id] = self._generation

    @property
    def unread(self) -> RolloutId | None:
        """A rollout whose members are still to be read."""
        return next(iter(self._unread), None)

    def join(self, rollout: RolloutId, ranks: Iterable[tuple[bytes, int]]) -> None:
        """These devices are members: what is remembered of them holds for as long as the rollout has not reached them."""
        since = self._unread.get(rollout, 0)
        for uuid, rank in ranks:
            packed = self._entries.get(uuid)
            if packed is not None and _HEAD.unpack_from(packed)[3] < since:
                self._entries[uuid] = self._still_open(packed) + _packed(Place(rollout, rank, 0))

    def _still_open(self, packed: bytes) -> bytes:
        """Without rollouts that are over and never reached the device: each would leave 17 bytes, and some images are pushed daily."""
        places = [packed[start : start + _PLACE.size] for start in range(_HEAD.size, len(packed), _PLACE.size)]
        return packed[: _HEAD.size] + b"".join(place for place in places if not self._is_over(place))

    def _is_over(self, packed: bytes) -> bool:
        rollout, rank, stood, _ = _PLACE.unpack(packed)
        return stood == standing(rank, self._reaches[rollout]) == 0 and self._reaches[rollout].is_over

    def all_joined(self, rollout: RolloutId) -> None:
        """Whoever is not known as a member is none."""
        self._unread.pop(rollout, None)

    def forget(self) -> None:
        """Nothing is certain any more."""
        self._generation += 1
        self.times_forgotten += 1
        self._entries.clear()
        self._reaches.clear()
        self._unread.clear()


def _packed(place: Place) -> bytes:
    return _PLACE.pack(place.rollout_id, place.rank, place.standing, _ANY_REVISION if place.revision is None else place.revision)
