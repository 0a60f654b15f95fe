"""Who holds streams of this process, WebSockets and responses that last: how many, by whose token, and when they have to end."""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from domain.actors import Actor
from domain.errors import Limited, Refused, Unavailable
from domain.ids import TokenId
from monitor.loop import keep_running
from resolvers import tokens
from resolvers.context import AWAY
from server.limits import place
from storage.database import Database

# Of the whole process: 0.9 GB, at the 44 kB that a connection takes.
MOST = 20_000
# Seconds for which a token may have been revoked, or have expired, before its streams end: one statement for all of them.
LOOK_EVERY = 5.0
# So many streams end in a second when the server stops: their clients come again at that pace, to whichever process is there by then.
ENDING_PER_SECOND = 2_000.0
# Seconds after which whoever holds too many may ask again: streams end when their clients let go of them, so nobody knows.
COME_AGAIN = 10
Key = TypeVar("Key", bound=Hashable)
log = logging.getLogger(__name__)


class Transport(StrEnum):
    """How a stream is told."""

    WEBSOCKET = "websocket"
    SSE = "sse"


class Stopping(Unavailable):
    """The server stops: whoever connects again finds the next one, and misses nothing."""

    def __init__(self) -> None:
        super().__init__("the server stops; connect again")


@dataclass(slots=True, eq=False)
class Connection:
    """One stream, for as long as it is open."""

    transport: Transport
    _tokens: "_Shares[TokenId]"
    ended: "asyncio.Future[Refused]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """Done when the stream has to end, with why: its token counts no more, or Stopping, after which clients are to come again."""
    _token: TokenId | None = None

    def belongs_to(self, actor: Actor) -> None:
        """Say once whose it is; raises Limited if the token has too many already."""
        if actor.token is not None:
            self._tokens.add(actor.token, self)
            self._token = actor.token

    def end(self, why: Refused) -> None:
        """Have it end; the first reason counts."""
        if not self.ended.done():
            self.ended.set_result(why)

    @asynccontextmanager
    async def lasting(self) -> AsyncIterator[None]:
        """The block, until the stream has to end: then that is cut off wherever it is, and this raises why."""
        try:
            async with asyncio.timeout(None) as life:
                with self._cutting(life):
                    yield
        except TimeoutError:
            if life.expired():
                raise self.ended.result() from None
            raise

    @contextmanager
    def _cutting(self, life: asyncio.Timeout) -> Iterator[None]:
        def cut(_: "asyncio.Future[Refused]") -> None:
            life.reschedule(asyncio.get_running_loop().time())

        self.ended.add_done_callback(cut)
        try:
            yield
        finally:
            self.ended.remove_done_callback(cut)

    def leave(self) -> None:
        """It is nobody's any more."""
        if self._token is not None:
            self._tokens.discard(self._token, self)


class _Shares(Generic[Key]):
    """The streams of each of somebody, no more than so many; those who have none are not remembered."""

    def __init__(self, most: int, whose: str) -> None:
        self._most = most
        self._whose = whose
        self._held: dict[Key, set[Connection]] = {}

    def __iter__(self) -> Iterator[Key]:
        return iter(self._held)

    def of(self, key: Key) -> list[Connection]:
        """What somebody holds now."""
        return [*self._held.get(key, ())]

    def add(self, key: Key, connection: Connection) -> None:
        """Raises Limited, and adds nothing, where there are too many."""
        held = self._held.get(key, set())
        if len(held) >= self._most:
            raise Limited(f"more than {self._most:,} streams at once {self._whose}", COME_AGAIN)
        held.add(connection)
        self._held[key] = held

    def discard(self, key: Key, connection: Connection) -> None:
        """Count it no more."""
        self._held[key].discard(connection)
        if not self._held[key]:
            del self._held[key]


class Connections:
    """The streams of one process."""

    def __init__(self, per_address: int, per_token: int) -> None:
        self._open: set[Connection] = set()
        self._addresses: _Shares[str] = _Shares(per_address, "from one address")
        self._tokens: _Shares[TokenId] = _Shares(per_token, "with one token")
        self._is_stopping = False

    def __len__(self) -> int:
        return len(self._open)

    def by_transport(self) -> Counter[Transport]:
        """How many there are of each kind."""
        return Counter(connection.transport for connection in self._open)

    @contextmanager
    def opened(self, address: str, transport: Transport) -> Iterator[Connection]:
        """A stream to this address while the block runs; raises Limited where that has too many, or everybody together, and Stopping."""
        connection, where = Connection(transport, self._tokens), place(address)
        self._let_in(connection, where)
        try:
            yield connection
        finally:
            self._open.discard(connection)
            self._addresses.discard(where, connection)
            connection.leave()

    def _let_in(self, connection: Connection, where: str) -> None:
        if self._is_stopping:
            raise Stopping
        if len(self) >= MOST:
            raise Limited(f"more than {MOST:,} streams at once", COME_AGAIN)
        self._addresses.add(where, connection)
        self._open.add(connection)

    @asynccontextmanager
    async def running(self, db: Database) -> AsyncIterator[None]:
        """End the streams of tokens that count no more while the block runs."""
        async with asyncio.TaskGroup() as group:
            looking = keep_running("the look at tokens", lambda: self.look(db), asyncio.Event(), every=LOOK_EVERY)
            task = group.create_task(looking, name="tokens")
            try:
                yield
            finally:
                task.cancel()

    async def look(self, db: Database) -> None:
        """End the streams of tokens that were revoked or expired. While the database is away none ends: nothing is told then either."""
        if not (held := [*self._tokens]):
            return
        try:
            gone = await tokens.gone(db, held)
        except AWAY as away:
            log.warning("the database does not say which tokens still count: %s", away)
            return
        for token, why in gone.items():
            for connection in self._tokens.of(token):
                connection.end(why)

    async def drain(self) -> None:
        """Let nobody in any more, and end all streams, in no order and evenly: who ended last goes on hearing until then.

        Not all at once: ten thousand who connect in the same second, each with a handshake, a token and what it missed, hold up all others.
        """
        self._is_stopping = True
        clock = asyncio.get_running_loop().time
        began, why = clock(), Stopping()
        for number, connection in enumerate(random.sample([*self._open], len(self))):
            await asyncio.sleep(began + number / ENDING_PER_SECOND - clock())
            connection.end(why)
