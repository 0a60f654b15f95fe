"""Clients that follow something, come again whatever becomes of their connection, and remember all that they were told."""

import asyncio
import random
import socket
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tools.lines import Ended, Line, fall_silent

Way = Callable[[str | None], AbstractAsyncContextManager[Line]]
"""Opens a connection on which everything is told, after a cursor if somebody comes again."""


LEAVES, IS_CUT_OFF, DOZES, FALLS_SILENT = "leaves", "is cut off", "dozes", "falls silent"


@dataclass(frozen=True, slots=True)
class Whims:
    """What a client does without being made to, after so many events as the dice say, up to `patience`."""

    patience: int = 2**62
    doze: float = 0
    """For at most so many seconds it does not read."""
    deeds: tuple[str, ...] = (LEAVES, IS_CUT_OFF, DOZES)


STEADY = Whims()


class Follower:
    """One of them, and how it fared."""

    def __init__(self, name: str, ways: Sequence[Way], begin: str, whims: Whims = STEADY) -> None:
        """Begins after a cursor."""
        self.name = name
        self.last: str | None = None
        self.stretches: list[list[str]] = []
        """What it was told on one connection after the other."""
        self.ends: Counter[str] = Counter()
        """How its connections ended that it did not end."""
        self.deeds: Counter[str] = Counter()
        """What it did to them itself, how often."""
        self._ways = ways
        self._begin = begin
        self.whims = whims
        self._dice = random.Random(name)
        self._silent: list[socket.socket] = []

    @property
    def told(self) -> int:
        """How many events it was told."""
        return sum(map(len, self.stretches))

    async def follow(self) -> None:
        """For as long as it is let."""
        while True:
            try:
                async with self._dice.choice(self._ways)(self.last) as line:
                    await self._listen(line)
            except Ended as ended:
                self.ends[ended.how] += 1
            await asyncio.sleep(self._dice.random() / 10)

    async def _listen(self, line: Line) -> None:
        stretch: list[str] = []
        self.stretches.append(stretch)
        while True:
            for _ in range(self._dice.randint(0, self.whims.patience)):
                self.last = sys.intern(_cursor(await line.hear()))  # all of them remember the same
                stretch.append(self.last)
            deed = self._dice.choice(self.whims.deeds)
            self.deeds[deed] += 1
            if deed == DOZES:
                await asyncio.sleep(self._dice.random() * self.whims.doze)
            else:
                return self._part(line, deed)

    def _part(self, line: Line, deed: str) -> None:
        if deed == FALLS_SILENT:
            self._silent.append(fall_silent(line.transport))
        if deed != LEAVES:
            line.transport.abort()

    def close(self) -> None:
        """Let go of the connections that fell silent, at last."""
        for one in self._silent:
            one.close()

    def account(self, table: Sequence[str]) -> "Account":
        """What it was told, held against all there was to tell."""
        return Account(table, self._begin, self.stretches)


class Account:
    """What somebody was told on one connection after the other: all of a table, in its order. Only who comes again may be told again."""

    def __init__(self, table: Sequence[str], begin: str, stretches: Sequence[Sequence[str]]) -> None:
        self.mistakes: list[str] = []
        self.repeated = 0
        """What was told again."""
        self._places = {cursor: place for place, cursor in enumerate(table)}
        self._next = self._places[begin] + 1
        for number, stretch in enumerate(stretches, start=1):
            if places := [self._places.get(cursor, -1) for cursor in stretch]:
                self._read(f"on connection {number} of {len(stretches)}", places)
        if self._next != len(table):
            self.mistakes.append(f"the last {len(table) - self._next} of {len(table)} were not told")

    def _read(self, where: str, places: list[int]) -> None:
        if -1 in places:
            self.mistakes.append(f"{where} {places.count(-1)} were told that there are not")
        if wrong := [at for at, (one, other) in enumerate(pairwise(places)) if other != one + 1]:
            self.mistakes.append(f"{where} came {places[max(0, wrong[0] - 2) : wrong[0] + 4]}, and {len(wrong) - 1} more such steps")
        if places[0] > self._next:
            self.mistakes.append(f"{where} {places[0] - self._next} were missing at first")
        self.repeated += max(0, self._next - places[0])
        self._next = max(self._next, places[-1] + 1)


def _cursor(told: Any) -> str:
    """Where the event stands that is told."""
    [event] = told.values()
    if "cursor" not in event:
        raise Ended(f"told of a {event['__typename']}")
    return str(event["cursor"])
