"""Conditions on a measured number, such as “result >= 0.95” or “result < 0.01 and result >= 0”."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from typing import Self

_HOLDS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}
_COMPARISON = re.compile(r"\s*result\s*(>=|<=|==|!=|>|<)\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*", re.ASCII)
_JOINED = re.compile(r"\s(and|or)\s", re.ASCII)


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result against one bound."""

    sign: str
    bound: float

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read “result >= 0.95”; raises ValueError."""
        found = _COMPARISON.fullmatch(text)
        if found is None:
            raise ValueError(f"“{text.strip()}” is no comparison; write one like “result >= 0.95”, two joined with “and” or “or” at most")
        sign, bound = found[1], float(found[2])
        if not isfinite(bound):
            raise ValueError(f"“{found[2]}” is too large a number")
        return cls(sign, bound)

    def holds(self, result: float) -> bool:
        """Whether the comparison is true of a result."""
        return _HOLDS[self.sign](result, self.bound)


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison, or two of which both or either must be true."""

    comparisons: tuple[Comparison, ...]
    either: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a condition; raises ValueError with a sentence for who wrote it."""
        first, *rest = _JOINED.split(text, maxsplit=1)
        parts = (first, *rest[1:])
        return cls(tuple(Comparison.parse(part) for part in parts), either=rest[:1] == ["or"])

    def holds(self, result: float) -> bool:
        """Whether the condition is true of a result that is a finite number."""
        true = [comparison.holds(result) for comparison in self.comparisons]
        return any(true) if self.either else all(true)
