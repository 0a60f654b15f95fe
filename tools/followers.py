"""Clients that follow something, come again whatever becomes of their connection, and remember all that they were told."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from tools.lines import Ended, Line

Way = Callable[[str | None], AbstractAsyncContextManager[Line]]
"""Opens a connection on which everything is told, after a cursor if somebody comes again."""


@dataclass(frozen=True, slots=True)
class Whims:
    """What a client does without being made to, after so many events as the dice say, up to `patience`."""

    patience: int = 2**62
    doze: float = 0
    """For at most so many seconds it does not read."""


STEADY = Whims()


class Follower:
    """One of them: what it was told, how its connections ended, and what it did to them itself."""

    def __init__(self, name: str, ways: Sequence[Way], begin: str | None = None, whims: Whims = STEADY) -> None:
        """Begins after a cursor, or at the beginning of all."""
        self.name = name
        self.last: str | None = None
        self.stretches: list[list[str]] = []
        """What it was told on one connection after the other."""
        self.ends: Counter[str] = Counter()
        self.deeds: Counter[str] = Counter()
        self._ways = ways
        self._begin = begin
        self._whims = whims
        self._dice = random.Random(name)

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
            for _ in range(self._dice.randint(0, self._whims.patience)):
                self.last = _cursor(await line.hear())
                stretch.append(self.last)
            deed = self._dice.choice(("leaves", "is cut off", "dozes"))
            self.deeds[deed] += 1
            if deed != "dozes":
                return line.transport.abort() if deed == "is cut off" else None
            await asyncio.sleep(self._dice.random() * self._whims.doze)

    def account(self, table: Sequence[str]) -> "Account":
        """What it was told, held against all there was to tell."""
        return Account(table, self._begin, self.stretches)


class Account:
    """What somebody was told on one connection after the other: all of a table, in its order. Only who comes again may be told again."""

    def __init__(self, table: Sequence[str], begin: str | None, stretches: Sequence[Sequence[str]]) -> None:
        self.mistakes: list[str] = []
        self.repeated = 0
        """What was told again."""
        self._places = {cursor: place for place, cursor in enumerate(table)}
        self._next = 0 if begin is None else self._places[begin] + 1
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
