"""Which tags are versions, and which of two comes first."""

import re
from dataclasses import dataclass
from typing import Self

_LONGEST_TAG = 128
# Longer ones are dates and commits, which say nothing about a 1.27.
_LONGEST_LONE_NUMBER = 6
_VERSION = re.compile(r"v?([0-9]+(?:\.[0-9]+)*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?")

# As semver 2.0 §11 orders the parts of a pre-release: numbers, by value; words; and nothing at all, which is the release itself.
_Identifier = tuple[int, int, str]
_RELEASE: tuple[_Identifier, ...] = ((2, 0, ""),)


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version, ordered as semver 2.0 orders it; 1.27 and v1.27.0 are the same one."""

    core: tuple[int, ...]
    prerelease: tuple[_Identifier, ...] = _RELEASE

    @classmethod
    def parse(cls, tag: str) -> Self | None:
        """The version a tag names, or None: latest, alpine and 20241001 name none."""
        said = _VERSION.fullmatch(tag) if len(tag) <= _LONGEST_TAG else None
        if said is None:
            return None
        core, prerelease = said.groups()
        if "." not in core and len(core) > _LONGEST_LONE_NUMBER:
            return None
        return cls(_core(core), tuple(map(_identifier, prerelease.split("."))) if prerelease else _RELEASE)


def is_older(tag: str, than: str) -> bool:
    """Whether both tags are versions and the first precedes the second: a move from `than` to `tag` goes backwards."""
    first, second = Version.parse(tag), Version.parse(than)
    return first is not None and second is not None and first < second


def _core(text: str) -> tuple[int, ...]:
    """The numbers without the zeros at the end, since a missing number is a zero."""
    numbers = [int(number) for number in text.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _identifier(text: str) -> _Identifier:
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)
