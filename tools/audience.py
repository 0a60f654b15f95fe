"""Many clients that listen, in one process, as cheaply as Python allows: what is measured is the server.

They ask the same of the same server, and so are told the same, but for the id of a WebSocket's operation, which is each client's own. What
the first of them hears is taken apart; what the others hear is compared with it, byte for byte, which costs 2 us for each that reads. So
each of them is known to have heard everything, in order.
"""

import select
import socket
import time
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from urllib.parse import urlsplit
from uuid import uuid4

import orjson

from tools import framing
from tools.framing import Framing, Kind, masked

TOGETHER = 100
"""So many join at once."""
PATIENCE = 60.0
MOST = 65_536
NOBODYS = b"0" * 36
"""Stands for the id of whoever hears a message."""
_UPGRADE = (
    b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client sends a server, and over what."""

    url: str
    token: str
    query: str
    variables: dict[str, str]
    as_events: bool = False
    """As server-sent events instead of a WebSocket."""

    @property
    def framing(self) -> Framing:
        """How answers are told apart."""
        return framing.event if self.as_events else framing.frame

    def alike(self, data: bytes, id_: bytes) -> tuple[bytes, bytes]:
        """What all clients hear alike of what one of them reads, and what has come of more."""
        return framing.unchunked(data) if self.as_events else (data.replace(id_, NOBODYS), b"")

    def join(self, sockets: Sequence[socket.socket], ids: Sequence[bytes]) -> None:
        """Subscribe on all of these connections, each with an id; each step is taken on all of them before the next."""
        for request in self._requests():
            for one in sockets:
                one.sendall(request)
            for one in sockets:
                _read_answer(one)
        if not self.as_events:
            for one, id_ in zip(sockets, ids, strict=True):
                one.sendall(masked(orjson.dumps({"id": id_.decode(), "type": "subscribe", "payload": self._payload})))

    def _requests(self) -> Iterator[bytes]:
        """What is answered before anything is told."""
        if self.as_events:
            yield self._post()
        else:
            yield _UPGRADE
            yield masked(orjson.dumps({"type": "connection_init", "payload": {"Authorization": f"Bearer {self.token}"}}))

    def _post(self) -> bytes:
        body = orjson.dumps(self._payload)
        head = f"POST /graphql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.token}\r\nAccept: text/event-stream\r\n"
        return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body

    @property
    def _payload(self) -> dict[str, object]:
        return {"query": self.query, "variables": self.variables}


def _read_answer(one: socket.socket) -> None:
    """The head of an HTTP answer, or an acknowledgement."""
    answer = one.recv(MOST)
    while answer.startswith(b"HTTP") and b"\r\n\r\n" not in answer:
        answer += one.recv(MOST)
    if not (answer.startswith((b"HTTP/1.1 101", b"HTTP/1.1 200")) or b"connection_ack" in answer):
        raise ConnectionError(f"a client could not join: {answer!r}")


class Listener:
    """One client."""

    __slots__ = ("at", "count", "id", "rest", "socket")

    def __init__(self, connection: socket.socket, id_: bytes) -> None:
        self.socket = connection
        self.id = id_
        self.at = 0
        """Up to where it has heard what all are told."""
        self.count = 0
        """How many messages these are."""
        self.rest = b""
        """Part of a message."""


class Audience:
    """The clients of one server."""

    def __init__(self, asked: Asked) -> None:
        self._framing = asked.framing
        self._asked = asked
        self._listeners: list[Listener] = []
        self._told = bytearray()
        self._ends = [0]
        """Where each message ends in that."""
        self._numbers = {0: 0}
        """How many messages have ended at each of these places."""
        self._heard: list[array[float]] = []
        """For each message when the clients heard it."""
        self.messages: list[bytes] = []

    def join(self, count: int) -> list[Listener]:
        """So many more clients."""
        address = urlsplit(self._asked.url)
        sockets = [socket.create_connection((address.hostname, address.port), PATIENCE) for _ in range(count)]
        ids = [str(uuid4()).encode() for _ in range(count)]
        self._asked.join(sockets, ids)
        joined = []
        for one, id_ in zip(sockets, ids, strict=True):
            one.setblocking(False)
            joined.append(Listener(one, id_))
        self._listeners += joined
        return joined

    def have_heard(self, message: int) -> bool:
        """Whether everybody has heard the n-th message."""
        return len(self._heard) >= message and len(self._heard[message - 1]) >= len(self._listeners)

    def since(self, message: int) -> "list[array[float]]":
        """When the clients heard each message after the n-th."""
        return self._heard[message:]

    def leave(self) -> None:
        """End all connections."""
        for one in self._listeners:
            one.socket.close()

    def read(self, one: Listener) -> None:
        """Hear what has come. Raises ConnectionError at the end of the connection, and when it is something else than the others heard."""
        data = one.socket.recv(MOST)
        now = time.perf_counter()
        if not data:
            raise ConnectionError(f"a connection was ended after {one.count} messages")
        content, one.rest = self._asked.alike(one.rest + data, one.id)
        end = one.at + len(content)
        if self._told[one.at : end] == content:
            one.at = end
        else:
            self._take_apart(one, content)
        self._count(one, now)

    def _count(self, one: Listener, now: float) -> None:
        number = self._numbers.get(one.at, one.count)
        for heard in self._heard[one.count : number]:
            heard.append(now)
        one.count = number

    def _take_apart(self, one: Listener, content: bytes) -> None:
        start, at = self._ends[bisect_right(self._ends, one.at) - 1], 0
        data = (bytes(self._told[start : one.at]) + content).replace(one.id, NOBODYS)  # which two reads may have cut in two
        one.at = start
        while at < len(data) and (message := self._framing(data, at)) is not None:
            match message.kind:
                case Kind.TOLD:
                    self._compare(one, data[at : message.end], data[message.start : message.end])
                case Kind.PING:
                    one.socket.sendall(framing.pong(data[message.start : message.end]))
            at = message.end
        one.rest = data[at:] + one.rest

    def _compare(self, one: Listener, whole: bytes, content: bytes) -> None:
        end = one.at + len(whole)
        if one.at == len(self._told):
            self._told += whole
            self._ends.append(end)
            self._heard.append(array("d"))
            self._numbers[end] = len(self._heard)
            self.messages.append(content)
        elif self._told[one.at : end] != whole:
            raise ConnectionError(f"one was told {content!r} where another was told {self.messages[self._numbers[one.at]]!r}")
        one.at = end


class House:
    """All audiences of a process, and whoever commands it through a pipe: each command is answered when it is done."""

    def __init__(self, commands: Connection) -> None:
        self._commands = commands
        self._audiences: dict[str, Audience] = {}
        self._epoll = select.epoll()
        self._by_number: dict[int, tuple[Audience, Listener]] = {}
        self._awaited: tuple[str, int] | None = None
        self._since = 0

    def run(self) -> None:
        """Until whoever commands is gone."""
        self._epoll.register(self._commands.fileno(), select.EPOLLIN)
        with suppress(EOFError):
            while True:
                self._listen(1.0)
                self._answer_when_heard()

    def _listen(self, seconds: float) -> None:
        for number, _ in self._epoll.poll(seconds, 256):
            if (found := self._by_number.get(number)) is not None:
                found[0].read(found[1])
            elif number == self._commands.fileno():
                self._obey(*self._commands.recv())

    def _obey(self, command: str, name: str, *rest: object) -> None:
        getattr(self, f"_{command}")(name, *rest)

    def _join(self, name: str, asked: Asked, size: int) -> None:
        audience = self._audiences[name] = Audience(asked)
        for start in range(0, size, TOGETHER):
            for one in audience.join(min(TOGETHER, size - start)):
                self._by_number[one.socket.fileno()] = audience, one
                self._epoll.register(one.socket.fileno(), select.EPOLLIN)
            self._listen(0)
        self._commands.send(None)

    def _await(self, name: str, since: int, message: int) -> None:
        self._awaited, self._since = (name, message), since

    def _answer_when_heard(self) -> None:
        if self._awaited is not None:
            audience = self._audiences[self._awaited[0]]
            if audience.have_heard(self._awaited[1]):
                self._awaited = None
                self._commands.send(audience.since(self._since))

    def _leave(self, name: str) -> None:
        audience = self._audiences.pop(name)
        self._by_number = {number: found for number, found in self._by_number.items() if found[0] is not audience}
        audience.leave()
        self._commands.send(audience.messages)


def run(commands: Connection) -> None:
    """What the process does; whatever goes wrong for a client is the last thing that whoever commands is told."""
    try:
        House(commands).run()
    except OSError as error:
        commands.send(error)
