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

# Semver takes all that follows a dash for a pre-release; in tags it may as well be what the image is built on. These words tell.
_UNFINISHED = frozenset([
    "alpha", "beta", "rc", "cr", "pre", "preview", "prerelease", "milestone", "m", "ea", "next", "edge", "unstable", "experimental",
    "dev", "devel", "develop", "snapshot", "nightly", "canary", "test", "dirty", "ci", "pr", "wip", "draft",
])  # fmt: skip
_COMMIT = re.compile(r"(?=.*[0-9])g?[0-9a-f]*[a-f][0-9a-f]*|g[0-9]+")
_SHORTEST_COMMIT = 7


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

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Major, minor and patch."""
        major, minor, patch, *_ = (*self.core, 0, 0, 0)
        return major, minor, patch

    @property
    def suffix(self) -> str:
        """What follows the dash."""
        return ".".join(word or str(number) for _, number, word in self.prerelease) if self.prerelease != _RELEASE else ""

    @property
    def is_prerelease(self) -> bool:
        """Whether it is not finished: 1.28.0-rc.1 and 1.28.0-14-g1e5f7a9; not 1.28-alpine, a variant, nor 1.28.0-2, packed again."""
        return bool(self.channel)

    @property
    def channel(self) -> frozenset[str]:
        """The words that say so, rc for rc.1 and rc2; a commit is a word for itself."""
        parts = _parts(self.suffix)
        return frozenset(_word(part) for part in parts if _word(part) in _UNFINISHED) | (
            {"commit"} if any(map(_is_commit, parts)) else set()
        )

    @property
    def variant(self) -> tuple[str, ...]:
        """What the image is built on, without numbers: alpine for 1.27-alpine3.19, slim and bookworm for 1.27-slim-bookworm."""
        words = [_word(part) for part in _parts(self.suffix) if not _is_commit(part)]
        return tuple(word for word in words if word and word not in _UNFINISHED)


def _core(text: str) -> tuple[int, ...]:
    """The numbers without the zeros at the end, since a missing number is a zero."""
    numbers = [int(number) for number in text.split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _identifier(text: str) -> _Identifier:
    return (0, int(text), "") if text.isdecimal() else (1, 0, text)


def _parts(suffix: str) -> list[str]:
    return re.split("[.-]", suffix.lower())


def _word(part: str) -> str:
    return part.rstrip("0123456789")


def _is_commit(part: str) -> bool:
    return len(part) >= _SHORTEST_COMMIT and _COMMIT.fullmatch(part) is not None
