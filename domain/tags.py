"""Which tags a policy takes, and in which order they stand."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any, Self, assert_never

import re2
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from domain import ranges
from domain.images import is_attachment, is_tag, is_tag_glob, matches_tag
from domain.versions import Version

DEFAULT_EXCLUDE = ("*.sig", "*.att", "*.sbom")
_LONGEST_REGEX = 500
_MEMORY = 1 << 20  # bytes for a compiled expression; 300 characters of a usual one need some 20,000
_NAMED = 3
"""Tags of devices that a sentence names one by one."""


class Level(StrEnum):
    """How far from what a device runs a version may be."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


class Order(StrEnum):
    """What makes one tag newer than another."""

    VERSION = "version"
    ALPHABETICAL = "alphabetical"
    NUMERICAL = "numerical"


def _range(text: str) -> str:
    return ranges.checked(text)


def _regex(text: str) -> str:
    try:
        groups = _compiled(text).groups
    except re2.error as bad:
        raise ValueError(f"“{text}” is not a regular expression that RE2 reads: {_in_words(bad)}") from bad
    if not groups:
        raise ValueError(f"put what is ordered in a group, named version or the first: ^v(?P<version>.+)$; “{text}” has none")
    return text


def _glob(text: str) -> str:
    if not is_tag_glob(text):
        raise ValueError(f"“{text[:80]}” is not a pattern for tags: write letters, digits, “_”, “.”, “-”, “*” for any run and “?” for one")
    return text


def _moving_tag(text: str) -> str:
    if not is_tag(text):
        raise ValueError(f"“{text[:80]}” is not a tag")
    if Version.parse(text) is not None:
        raise ValueError(f"“{text}” is a version, and is taken as one")
    return text


Globs = Annotated[tuple[Annotated[str, AfterValidator(_glob)], ...], Field(max_length=50)]
MovingTags = Annotated[tuple[Annotated[str, AfterValidator(_moving_tag)], ...], Field(max_length=50)]


class TagRules(BaseModel):
    """Which tags are taken, and which of two is the newer. By default any; of versions none that is older, a prerelease or a variant."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    range: Annotated[str, AfterValidator(_range)] | None = None
    """Only versions in this range, in npm's syntax."""
    level: Level | None = None
    """Only versions, and no further from what a device runs than this."""
    prereleases: bool = False
    """Whether 1.28.0-rc.1 is taken by devices that run neither another prerelease of 1.28.0 nor another rc."""
    same_variant: bool = True
    """Whether a device on 1.26-alpine stays with alpine; another variant and none are kept from it."""
    regex: Annotated[str, Field(max_length=_LONGEST_REGEX), AfterValidator(_regex)] | None = None
    """Only tags that it matches as a whole, ordered by its group: that named version, or the first."""
    include: Globs = ()
    """Only tags that one of these matches; none is all."""
    exclude: Globs = DEFAULT_EXCLUDE
    """No tag that one of these matches. What belongs to another image (sha256-…) is never taken."""
    order: Order = Order.VERSION
    moving: MovingTags = ()
    """Tags that have no place in the order: taken whenever they are pushed, and devices on them wait for that."""

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for field, given in (("range", self.range), ("level", self.level), ("prereleases", self.prereleases)):
            if given and self.order is not Order.VERSION:
                raise ValueError(f"{field}: is about versions, and the order is {self.order}")
        if any(not glob.strip("*") for glob in self.exclude):
            raise ValueError("exclude: “*” leaves no tag")
        for tag in self.moving:
            if why := _excluded(self, tag):
                raise ValueError(f"moving: “{tag}” {why}")
        return self


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of one tag."""

    tag: str
    why_not: str | None
    """None: it is the one."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is taken from the tags a registry has."""

    tag: str | None
    verdicts: tuple[Verdict, ...]
    """Of each, newest first."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """Why a tag is kept from devices that run another, as the parts of a sentence."""

    why: str
    than: str | None = None
    addition: str = ""


# Numbers, then words; tags without a place are neither older nor newer than any.
_Place = tuple[tuple[int, ...], tuple[tuple[int, int, str], ...]]


def judge(rules: TagRules, tag: str, running: Collection[str]) -> str | None:
    """Why devices that run these tags do not take this one; None if some of them do. An image without a tag has an empty one.

    Devices whose tags have no place in the order, and all that run digests only, take what the rules let in; where `level`
    asks for a minor step or a patch they take nothing, since nobody can tell what would be one. No devices are such devices.
    """
    if tag in rules.moving:
        return None
    if why := _unfit(rules, tag):
        return f"{_said(tag)} {why}"
    kept = [_kept(rules, tag, than) for than in sorted(set(running) or {""})]
    found = [one for one in kept if one is not None]
    return _sentence(tag, found) if len(found) == len(kept) else None


def why_kept(rules: TagRules, tag: str, than: str) -> str | None:
    """Why a device that runs `than` is kept from this tag, which others may take; None if it is not."""
    kept = _kept(rules, tag, than)
    return None if kept is None else _sentence(tag, [kept])


def goes_back(rules: TagRules, tag: str, than: str) -> bool:
    """Whether a move from `than` to `tag` is one to what precedes it in the order of this policy."""
    first, second = _place(rules, tag), _place(rules, than)
    return first is not None and second is not None and first < second


def has_place(rules: TagRules, tag: str) -> bool:
    """Whether a tag is older or newer than others; latest and stable are neither."""
    return _place(rules, tag) is not None


def choose(rules: TagRules, tags: Collection[str], running: Collection[str]) -> Choice:
    """Which of the tags that a registry has devices that run these would move to, and why not to each of the others.

    Devices that all run tags without a place in the order, such as latest, keep to them.
    """
    ranked = sorted(set(tags), key=lambda tag: _rank(rules, tag, running), reverse=True)
    why_not = {tag: judge(rules, tag, running) or _why_unasked(rules, tag, running) for tag in ranked}
    chosen = next((tag for tag in ranked if why_not[tag] is None), None)
    return Choice(
        chosen, tuple(Verdict(tag, None if tag == chosen else why_not[tag] or _passed_over(rules, tag, str(chosen))) for tag in ranked)
    )


def goes_before(rules: TagRules, tag: str, together: Collection[str], running: Collection[str]) -> str | None:
    """Which of the tags that were pushed together with this one devices go to instead; a tag that moves by itself gives way to none."""
    if tag in rules.moving:
        return None
    taken = [tag, *(other for other in together if judge(rules, other, running) is None)]
    first = max(taken, key=lambda one: _rank(rules, one, running))
    return None if first == tag else first


def _rank(rules: TagRules, tag: str, running: Collection[str]) -> tuple[Any, ...]:
    """Of two of the same version, one that devices run already; then the one that says more: 1.28.0 rather than 1.28."""
    place = _place(rules, tag)
    keeps = tag in running and all(_place(rules, than) is None for than in running)
    return keeps, place is not None, place or ((), ()), tag in running, tag.count("."), tag


def _why_unasked(rules: TagRules, tag: str, running: Collection[str]) -> str | None:
    """A push of `nightly` says that it is meant; that a registry has it says nothing."""
    if tag in running or tag in rules.moving or _place(rules, tag) is not None:
        return None
    return f"{tag} has no place in the order, and no device runs it"


def _passed_over(rules: TagRules, tag: str, chosen: str) -> str:
    return f"{chosen} is newer" if goes_back(rules, tag, chosen) else f"{chosen} goes before it"


def _unfit(rules: TagRules, tag: str) -> str | None:
    """Why no device at all takes this tag, whatever it runs."""
    if why := _excluded(rules, tag):
        return why
    if rules.include and not any(matches_tag(glob, tag) for glob in rules.include):
        return f"does not match {_listed(rules.include, 'or')}"
    if rules.regex is not None and _extracted(rules.regex, tag) is None:
        return f"does not match {rules.regex}"
    return _unordered(rules, tag)


def _excluded(rules: TagRules, tag: str) -> str | None:
    if is_attachment(tag):
        return "belongs to another image"
    by = next((glob for glob in rules.exclude if matches_tag(glob, tag)), None)
    return None if by is None else f"is excluded by {by}"


def _unordered(rules: TagRules, tag: str) -> str | None:
    match rules.order:
        case Order.VERSION:
            return _no_version(rules, _version(rules, tag))
        case Order.NUMERICAL:
            return None if _place(rules, tag) else "is not a number"
        case Order.ALPHABETICAL:
            return None if _place(rules, tag) else "has nothing to be ordered by"
        case never:
            assert_never(never)


def _no_version(rules: TagRules, version: Version | None) -> str | None:
    if version is None:
        return "is not a version" if rules.range or rules.level or rules.regex else None
    return f"is outside {rules.range}" if rules.range and not ranges.covers(rules.range, version) else None


def _kept(rules: TagRules, tag: str, than: str) -> _Kept | None:
    """Why a device that runs `than` is kept from this tag; None if it is not."""
    if tag in rules.moving or tag == than:
        return None
    if than in rules.moving:
        return _Kept("is not for devices on", than, ", a tag that moves by itself")
    if goes_back(rules, tag, than):
        return _Kept("is older than", than)
    version = _version(rules, tag)
    return None if version is None else _kept_version(rules, tag, version, than)


def _kept_version(rules: TagRules, tag: str, version: Version, than: str) -> _Kept | None:
    before = _version(rules, than)
    if version.is_prerelease and not _takes_prerelease(rules, version, before):
        return _Kept("is a prerelease", addition="; the policy takes releases only")
    if rules.same_variant and _is_other_variant(rules, tag, than):
        return _Kept("is another variant than", than)
    return _too_far(rules.level, version, than, before)


def _takes_prerelease(rules: TagRules, version: Version, before: Version | None) -> bool:
    """Whoever runs a beta takes the next one, and what comes of it; a range that names prereleases asks for them, as in Flux."""
    if rules.prereleases or (rules.range is not None and ranges.names_prereleases(rules.range)):
        return True
    return before is not None and before.is_prerelease and (before.core == version.core or before.channel == version.channel)


def _is_other_variant(rules: TagRules, tag: str, than: str) -> bool:
    """The whole tag tells, if it is a version: an expression may have cut the variant off."""
    first, second = (_parsed(one) or _version(rules, one) for one in (tag, than))
    return first is not None and second is not None and first.variant != second.variant


def _too_far(level: Level | None, version: Version, than: str, before: Version | None) -> _Kept | None:
    if level is None or level is Level.MAJOR:
        return None
    takes = "; the policy takes " + ("patches only" if level is Level.PATCH else "minor steps and patches only")
    if before is None:
        return _Kept("cannot be told to be a small step from", than, takes)
    step = _step(version, before)
    is_small = step is None or (step is Level.MINOR and level is Level.MINOR)
    return None if is_small else _Kept(f"is a {step} step from", than, takes)


def _step(version: Version, before: Version) -> Level | None:
    """How far it is from one to the other; None for a patch and less."""
    if version.numbers[0] != before.numbers[0]:
        return Level.MAJOR
    return Level.MINOR if version.numbers[1] != before.numbers[1] else None


def _place(rules: TagRules, tag: str) -> _Place | None:
    text = None if tag in rules.moving else _ordered(rules, tag)
    if not text:
        return None
    match rules.order:
        case Order.VERSION:
            version = _parsed(text)
            return None if version is None else (version.core, version.prerelease)
        case Order.NUMERICAL:
            return ((int(text),), ()) if text.isascii() and text.isdecimal() else None
        case Order.ALPHABETICAL:
            return (), ((1, 0, text),)
        case never:
            assert_never(never)


def _version(rules: TagRules, tag: str) -> Version | None:
    return _parsed(_ordered(rules, tag) or "") if rules.order is Order.VERSION and tag not in rules.moving else None


def _ordered(rules: TagRules, tag: str) -> str | None:
    """What of the tag is ordered. A version is one also where the expression does not match: 1.30 is not moved to release-1.27."""
    if rules.regex is None:
        return tag
    extracted = _extracted(rules.regex, tag)
    return tag if extracted is None and rules.order is Order.VERSION else extracted


@lru_cache(maxsize=8192)
def _parsed(tag: str) -> Version | None:
    return Version.parse(tag)


@lru_cache(maxsize=8192)
def _extracted(regex: str, tag: str) -> str | None:
    """What the group of the expression holds; RE2 takes time in proportion to the tag, whatever the expression."""
    pattern = _compiled(regex)
    found = pattern.fullmatch(tag)
    return None if found is None else found[pattern.groupindex.get("version", 1)]


@lru_cache(maxsize=256)
def _compiled(regex: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY
    return re2.compile(regex, options)


def _in_words(bad: re2.error) -> str:
    said = bad.args[0] if bad.args else ""
    return (said.decode(errors="replace") if isinstance(said, bytes) else str(said)).partition(": ")[0]


def _sentence(tag: str, kept: list[_Kept]) -> str:
    """What keeps devices from the tag, those of a kind together."""
    kinds = dict.fromkeys((one.why, one.addition) for one in kept)
    told = "; ".join(_clause(why, [one.than for one in kept if one.why == why], addition) for why, addition in kinds)
    return f"{_said(tag)} {told}{', which every device runs' if [one.why for one in kept] == ['is older than'] else ''}"


def _clause(why: str, than: list[str | None], addition: str) -> str:
    named = [_said(one) for one in than if one is not None]
    return f"{why} {_listed(named, 'and')}{addition}" if named else f"{why}{addition}"


def _listed(names: Iterable[str], word: str) -> str:
    """Names as in a sentence, the first few of many."""
    all_names = list(names)
    shown = all_names if len(all_names) <= _NAMED + 1 else [*all_names[:_NAMED], f"{len(all_names) - _NAMED} others"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {word} {shown[-1]}"


def _said(tag: str) -> str:
    return tag or "an image without a tag"
