"""Where one message ends and the next begins, of what a server sends: no more is looked at than that."""

import re
from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple


class Kind(Enum):
    """What a client has to do about a message."""

    TOLD = auto()
    """To hear it."""
    PING = auto()
    """To answer it."""
    SILENCE = auto()
    """Nothing: it only keeps the connection alive."""


class Message(NamedTuple):
    """One message."""

    kind: Kind
    start: int
    """Where its content begins."""
    end: int
    """Where what follows it begins."""


Framing = Callable[[bytes, int], Message | None]
"""The message that begins at a place, or None as long as it is not all there."""
_TEXT, _PING = 1, 9
_EMPTY_LINE = re.compile(rb"\r?\n\r?\n")


def frame(data: bytes, at: int) -> Message | None:
    """A WebSocket frame of a server, which are not masked."""
    start, length = at + 2, data[at + 1] if len(data) >= at + 2 else 0
    if length >= 126:
        start += 2 if length == 126 else 8
        length = int.from_bytes(data[at + 2 : start], "big")
    if len(data) < max(start, start + length):
        return None
    match data[at] & 15:
        case opcode if opcode == _TEXT:
            kind = Kind.TOLD
        case opcode if opcode == _PING:
            kind = Kind.PING
        case opcode:
            raise ConnectionError(f"a frame with the opcode {opcode}: {data[start : start + length]!r}")
    return Message(kind, start, start + length)


def event(data: bytes, at: int) -> Message | None:
    """A server-sent event, which an empty line ends."""
    if (empty := _EMPTY_LINE.search(data, at)) is None:
        return None
    return Message(Kind.SILENCE if data[at : at + 1] == b":" else Kind.TOLD, at, empty.end())


def unchunked(data: bytes) -> tuple[bytes, bytes]:
    """What the chunks of an HTTP body hold, whole events each, and what has come of one that is not all there."""
    contents, at = [], 0
    while (line := data.find(b"\r\n", at)) >= 0:
        start = line + 2
        end = start + int(data[at:line], 16)
        if len(data) < end + 2:
            break
        contents.append(data[start:end])
        at = end + 2
    return b"".join(contents), data[at:]


def pong(content: bytes) -> bytes:
    """The answer to a ping: masked, as a client's frames are, but with zeros, which change nothing."""
    return masked(content, 10)


def masked(content: bytes, opcode: int = _TEXT) -> bytes:
    """A client's frame."""
    size = bytes([0x80 | len(content)]) if len(content) < 126 else b"\xfe" + len(content).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + bytes(4) + content
