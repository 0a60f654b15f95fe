"""Ranges of versions, as npm writes them: >=1.2 <2, ~1.27, 1.x || 3.x."""

from functools import lru_cache

import nodesemver

from domain.versions import Version

_LONGEST_RANGE = 100
_EXAMPLE = "write one as npm does: >=1.2 <2, ~1.27, 1.x || 3.x"
_LOWEST = nodesemver.make_semver("0.0.0", False)


def checked(text: str) -> str:
    """A range that some version is in; raises ValueError."""
    if len(text) > _LONGEST_RANGE or not text.strip():
        raise ValueError(f"a range has 1 to {_LONGEST_RANGE} characters; {_EXAMPLE}")
    try:
        found = _range(text)
    except ValueError as bad:
        raise ValueError(f"“{text}” is not a range of versions; {_EXAMPLE}") from bad
    if not any(found.test(version, include_prerelease=True) for version in (_LOWEST, *_lowest_in(found))):
        raise ValueError(f"no version can be in “{text}”")
    return text


def names_prereleases(text: str) -> bool:
    """Whether the range speaks of prereleases, as >=1.2.0-0 does: then they are in it too."""
    return any(bound.prerelease for bound in _bounds(_range(text)))


def covers(text: str, version: Version) -> bool:
    """Whether the version is in the range; a prerelease or a variant counts as what it leads to, unless the range names prereleases."""
    core = _npm(version.numbers, "")
    if not version.is_prerelease or not names_prereleases(text):
        return bool(_range(text).test(core))
    full = _npm(version.numbers, version.suffix)
    # 2.0.0-rc.1 precedes 2.0.0, and yet nobody means it by <2.0.0.
    return any(all(one.test(core if _is_below_a_release(one) else full) for one in together) for together in _range(text).set)


@lru_cache(maxsize=256)
def _range(text: str) -> nodesemver.Range:
    return nodesemver.make_range(text, False)


@lru_cache(maxsize=8192)
def _npm(numbers: tuple[int, int, int], suffix: str) -> nodesemver.SemVer:
    return nodesemver.make_semver(".".join(map(str, numbers)) + (f"-{suffix}" if suffix else ""), False)


def _bounds(found: nodesemver.Range) -> list[nodesemver.SemVer]:
    return [one.semver for together in found.set for one in together if one.semver is not nodesemver.ANY]


def _lowest_in(found: nodesemver.Range) -> list[nodesemver.SemVer]:
    """Where a range that begins somewhere begins: at one of its bounds, or right after it."""
    bounds = _bounds(found)
    return bounds + [_npm((bound.major, bound.minor, bound.patch + 1), "") for bound in bounds]


def _is_below_a_release(one: nodesemver.Comparator) -> bool:
    return one.operator == "<" and not one.semver.prerelease
