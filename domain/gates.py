"""What a pushed image has to pass before it becomes a rollout: a digest, an age, an approval, platforms, proof of where it is from."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain import platforms
from domain.catalogue import Standing
from domain.images import Image
from domain.provenance import Evidence, ProvenanceSettings
from domain.pushes import Hold, try_again_after
from domain.settings import Unresolved

# A registry that is only hiccuping answers within this; an image that is pinned is worth so much waiting.
PATIENCE = timedelta(minutes=1)
# A tag that a webhook tells of and its registry does not have is still on its way, or never will be there.
UNTIL_IT_IS_THERE = timedelta(minutes=10)
# Signatures and attestations are pushed after their image, by a pipeline that may be slow.
UNTIL_IT_IS_PROVEN = timedelta(hours=24)
# An approval wakes whatever waits for it; this is for the case that it did not.
LOOK_AGAIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Unknown:
    """Something that only a registry can tell, and did not."""

    why: str
    may_be_asked: bool = True
    is_missing: bool = False
    """It answered, and has no such tag."""
    retry_after: timedelta | None = None


# Policies and devices may have changed since it was found out what they want to know.
NOT_ASKED = Unknown("its registry was not asked yet")


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of a pushed image once its registry was asked, where that was needed."""

    image: Image
    """With its digest, unless that is unknown."""
    digest: Unknown = NOT_ASKED
    """Why its digest is unknown, if it is."""
    platforms: frozenset[str] | Unknown = NOT_ASKED
    evidence: dict[ProvenanceSettings, Evidence | Unknown] = field(default_factory=dict, hash=False)
    """By the rule it was looked for by."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When something is looked at, and how often it was before."""

    now: datetime
    heard_at: datetime
    attempts: int

    def again(self, unknown: Unknown | None = None) -> datetime:
        """When to look again; not before a registry wants to be asked."""
        pause = try_again_after(self.attempts)
        return self.now + max(pause, (unknown and unknown.retry_after) or pause)

    def is_within(self, patience: timedelta) -> bool:
        """Whether it was told so recently."""
        return self.now < self.heard_at + patience


def pinned(found: Found, unresolved: Unresolved, moves: bool, at: Moment) -> Hold | None:
    """Whether its digest is known, or need not be; with `moves` a device runs this very tag, and it is no version."""
    unknown = found.digest
    if found.image.digest is not None:
        return None
    if unknown.is_missing:
        return Hold(unknown.why, at.again(unknown) if at.is_within(UNTIL_IT_IS_THERE) else None)
    why = f"its digest is not known: {unknown.why}"
    if unknown is NOT_ASKED or not _goes_by_tag(unresolved, moves):
        return Hold(why, at.again(unknown))
    if unknown.may_be_asked and at.is_within(PATIENCE):
        return Hold(f"{why}; a minute after it was pushed it goes by its tag", min(at.again(unknown), at.heard_at + PATIENCE))
    return None


def _goes_by_tag(unresolved: Unresolved, moves: bool) -> bool:
    return unresolved is Unresolved.BY_TAG or (unresolved is Unresolved.AUTO and not moves)


def aged(first_at: datetime, minimum: timedelta, now: datetime) -> Hold | None:
    """Whether it was heard of long enough ago."""
    ripe = first_at + minimum
    return Hold(f"it is taken {_minutes(minimum)} after it was first heard of", ripe, only_time=True) if now < ripe else None


def approved(standing: Standing | None, now: datetime) -> Hold | None:
    """Whether operators approved it."""
    match standing:
        case Standing.APPROVED:
            return None
        case Standing.REJECTED | Standing.DEPRECATED:
            return Hold(f"it is {standing}")
        case _:
            return Hold("it waits for approval", now + LOOK_AGAIN, asks_operators=True)


def runs_on(wanted: Collection[str], offered: frozenset[str] | Unknown, at: Moment) -> Hold | None:
    """Whether there is an image for the platform of every device that is known to have one."""
    if not wanted:
        return None
    if isinstance(offered, Unknown):
        return Hold(f"its platforms are not known: {offered.why}", at.again(offered))
    if lacking := platforms.missing(wanted, offered):
        return Hold(f"it has nothing for {', '.join(lacking)}, only for {', '.join(sorted(offered)) or 'nobody'}")
    return None


def proven(evidence: Evidence | Unknown, at: Moment) -> Hold | None:
    """Whether there is proof of where it is from."""
    if isinstance(evidence, Unknown):
        return Hold(f"its provenance is not known: {evidence.why}", at.again(evidence))
    if evidence.is_enough:
        return None
    return Hold(evidence.why, at.again() if at.is_within(UNTIL_IT_IS_PROVEN) else None)


def _minutes(span: timedelta) -> str:
    return f"{span.total_seconds() / 60:g} minutes"
