"""Clients that follow something, come again whatever becomes of their connection, and remember all that they were told."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from tools.lines import Ended, Line

Way = Callable[[str | None], AbstractAsyncContextManager[Line]]
"""Opens a connection on which everything after a cursor is told."""


@dataclass(frozen=True, slots=True)
class Whims:
    """What a client does without being made to, after so many events as the dice say, up to `patience`."""

    patience: int = 2**62
    doze: float = 0
    """For at most so many seconds it does not read."""


STEADY = Whims()


@dataclass(slots=True)
class Stretch:
    """What was told on one connection."""

    after: str | None
    told: list[str] = field(default_factory=list)


class Follower:
    """One of them: what it was told, how its connections ended, and what it did to them itself."""

    def __init__(self, name: str, ways: Sequence[Way], after: str | None = None, whims: Whims = STEADY, seed: int = 0) -> None:
        self.name = name
        self.last = after
        self.stretches: list[Stretch] = []
        self.ends: Counter[str] = Counter()
        self.deeds: Counter[str] = Counter()
        self._ways = ways
        self._begin = after
        self._whims = whims
        self._dice = random.Random(f"{name} {seed}")

    @property
    def told(self) -> int:
        """How many events it was told."""
        return sum(len(stretch.told) for stretch in self.stretches)

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
        stretch = Stretch(self.last)
        self.stretches.append(stretch)
        while True:
            for _ in range(self._dice.randint(0, self._whims.patience)):
                self.last = _cursor(await line.hear())
                stretch.told.append(self.last)
            deed = self._dice.choice(("leaves", "is cut off", "dozes"))
            self.deeds[deed] += 1
            if deed != "dozes":
                return line.abort() if deed == "is cut off" else None
            await asyncio.sleep(self._dice.random() * self._whims.doze)

    def mistakes(self, table: Sequence[str]) -> list[str]:
        """What it was told wrongly, if all there was to tell is in this table; nothing may be missing, and only who comes again may be
        told again what he was told last."""
        return Account(self.name, table, self._begin, self.stretches).mistakes

    def repeated(self, table: Sequence[str]) -> int:
        """How much it was told again because it came again."""
        return Account(self.name, table, self._begin, self.stretches).repeated


class Account:
    """What somebody was told, held against the table."""

    def __init__(self, name: str, table: Sequence[str], begin: str | None, stretches: Sequence[Stretch]) -> None:
        self.mistakes: list[str] = []
        self.repeated = 0
        self._name = name
        self._places = {cursor: place for place, cursor in enumerate(table)}
        self._next = 0 if begin is None else self._places[begin] + 1
        for number, stretch in enumerate(stretches):
            self._read(number, stretch)
        if self._next != len(table):
            self._complain(f"was told {self._next} of {len(table)}")

    def _read(self, number: int, stretch: Stretch) -> None:
        places = [self._places.get(cursor, -1) for cursor in stretch.told]
        if not places:
            return
        if -1 in places:
            self._complain(f"was told of {places.count(-1)} events that there are not, on connection {number}")
        if places != (run := list(range(places[0], places[0] + len(places)))):
            at = next(at for at, (one, other) in enumerate(zip(places, run, strict=True)) if one != other)
            self._complain(f"was told {places[max(0, at - 3) : at + 3]} on connection {number}, which is not the order")
        if places[0] > self._next:
            self._complain(f"missed {places[0] - self._next} events before connection {number}")
        self.repeated += max(0, self._next - places[0])
        self._next = max(self._next, places[-1] + 1)

    def _complain(self, sentence: str) -> None:
        self.mistakes.append(f"{self._name} {sentence}")


def _cursor(told: Any) -> str:
    """Where the event stands that is told."""
    [event] = told.values()
    return str(event["cursor"])
