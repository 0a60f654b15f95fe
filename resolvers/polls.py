"""Polls: what a device should run, told from memory where that is certain, and else read for many at once."""

import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import monotonic
from uuid import UUID

from domain.errors import NotFound
from domain.ids import DeviceId
from domain.pace import Pace
from resolvers import keys
from resolvers.answers import Body
from resolvers.devices import checked_uuid
from resolvers.freshness import Freshness
from resolvers.gathering import Gathering
from resolvers.identity import Claim, prove
from resolvers.memory import Entry, Memory, Watch
from resolvers.sightings import AWAITED_EVERY, SEEN_EVERY, Sightings
from storage import answers, devices, members
from storage.answers import Known
from storage.database import Database

READ_AT_ONCE = 500
MOST_WAITING = 20_000
"""Polls and reports that wait for the database; more are told to come again."""


@dataclass(frozen=True, slots=True)
class Question:
    """Somebody who says it is this device asks; one who polls takes what it is offered."""

    uuid: bytes
    is_poll: bool


@dataclass(frozen=True, slots=True)
class Told:
    """What was read of a device, and what it is answered."""

    known: Known
    body: Body


class Polls:
    """The polls of one process."""

    def __init__(self, db: Database, pace: Pace) -> None:
        self.db = db
        self.pace = pace
        self.memory = Memory()
        self.freshness = Freshness()
        self.sightings = Sightings()
        self._reads: Gathering[Question, Told | None] = Gathering(self._read, most=READ_AT_ONCE, room=MOST_WAITING)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Read while the block runs."""
        async with self._reads.running():
            yield

    def recall(self, uuid: bytes, claim: Claim) -> Entry | None:
        """What is known for certain of a device that proves itself; None where the database has to be asked."""
        entry = self._proved(uuid, claim) if self.freshness.is_fresh() else None
        if entry is not None:
            self._saw(uuid, entry)
        return entry

    def _proved(self, uuid: bytes, claim: Claim) -> Entry | None:
        entry = self.memory.find(uuid)
        return entry if entry is not None and (claim.is_certified or _opens(claim.key, entry.key_hash)) else None

    def _saw(self, uuid: bytes, entry: Entry) -> None:
        now = _now()
        if now - entry.seen >= (AWAITED_EVERY if entry.is_awaited else SEEN_EVERY):
            self.memory.saw(uuid, now)
            self.sightings.add(DeviceId(entry.device_id))

    async def tell(self, uuid: str, claim: Claim) -> Body:
        """What a device should run, not older than what anybody told it before this call.

        Raises BadInput, NotFound for a stranger, Unauthenticated without a key, WrongKey, Forbidden for one that was revoked or is not
        accepted yet, and TimeoutError.
        """
        raw = parsed(uuid)
        return await self.remembered(raw, claim) or (await self._admitted(Question(raw, True), claim)).body

    async def remembered(self, uuid: bytes, claim: Claim) -> Body | None:
        """What memory has for a device that proves itself, once it is certain that nobody has told it anything newer."""
        proved = self._proved(uuid, claim)
        return None if proved is None else await self.whole(uuid, proved)

    async def whole(self, uuid: bytes, proved: Entry) -> Body | None:
        """The same for a device that has proved itself by this entry: its key is not hashed again, but must still be the one."""
        try:
            await self.freshness.certain()
        except TimeoutError:
            return None
        entry = self.memory.find(uuid)
        if entry is None or entry.key_hash != proved.key_hash:
            return None
        self._saw(uuid, entry)
        return self.memory.body(entry.digest)

    async def identify(self, uuid: str, claim: Claim) -> DeviceId:
        """Which device says something; raises what `tell` raises. It takes nothing that it is offered."""
        raw = parsed(uuid)
        if entry := self.recall(raw, claim):
            return DeviceId(entry.device_id)
        return (await self._admitted(Question(raw, False), claim)).known.identity.device

    async def _admitted(self, question: Question, claim: Claim) -> Told:
        told, uuid = await self._reads.ask(question), str(UUID(bytes=question.uuid))
        if told is None:
            raise NotFound(f"there is no device {uuid}: register it first")
        prove(told.known.identity, uuid, claim, told.known.at).must_be_let_in()
        self.sightings.add(told.known.identity.device)
        return told

    async def _read(self, questions: list[Question]) -> dict[Question, Told | None]:
        with self.memory.watching() as watch:
            found = await known_to(self.db, questions)
            return {question: None if known is None else self.remember(known, watch, _now()) for question, known in found.items()}

    def remember(self, known: Known, watch: Watch, seen: int = 0) -> Told:
        """Have what was read, while `watch` watched, told again without a query."""
        told = Told(known, Body.of(known, self.pace))
        self.memory.remember(known, told.body, seen, watch)
        return told


async def known_to(db: Database, questions: Sequence[Question]) -> dict[Question, Known | None]:
    """What devices should run. Asking is taking: from now on those who poll are expected to run what they are told.

    Left out are those with whom somebody else is busy.
    """
    async with db.reading() as conn:
        now = await db.now(conn)
        read = {known.uuid: known for known in await answers.known(conn, [question.uuid for question in questions], now)}
    takers = [read[question.uuid] for question in questions if question.is_poll and _takes(read.get(question.uuid))]
    read |= {known.uuid: known for known in await _taken(db, takers)} if takers else {}
    return {question: read.get(question.uuid) for question in questions if not (question.is_poll and _takes(read.get(question.uuid)))}


async def _taken(db: Database, takers: Sequence[Known]) -> list[Known]:
    """Noted before they are told: a rollback in between then waits for these devices rather than forgetting them."""
    async with db.transaction() as conn:
        now = await db.now(conn)
        free = await devices.lock_free(conn, [known.identity.device for known in takers])
        await members.taken(conn, [*free], now)
        return await answers.known(conn, [known.uuid for known in takers if known.identity.device in free], now)


def _takes(known: Known | None) -> bool:
    """Whether a device is about to be told of an offer, and may be told of it at all."""
    return known is not None and known.target.has_untaken_offer and known.is_let_in


def _now() -> int:
    """Seconds of this process's own clock, from a million on: 0 is long ago, also on a machine that has just been started."""
    return int(monotonic()) + 1_000_000


def _opens(key: str | None, key_hash: bytes) -> bool:
    return key is not None and hmac.compare_digest(keys.digest(key), key_hash)


def parsed(uuid: str) -> bytes:
    """The 16 bytes of a uuid; raises BadInput."""
    return UUID(checked_uuid(uuid)).bytes
