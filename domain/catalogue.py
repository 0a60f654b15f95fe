"""Images that operators have an opinion of: approved, or not."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from domain.images import Image


class Standing(StrEnum):
    """What operators said of an image, or that somebody waits for them to."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    DEPRECATED = "deprecated"
    """It was fine once; nobody new gets it."""


@dataclass(frozen=True, slots=True)
class KnownImage:
    """A repository, or a release of it, and what was said of it."""

    id: int
    repository: str
    image: Image | None
    """None for the repository: whatever is in it and was not judged for itself."""
    standing: Standing
    requested_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    remark: str | None
    version: int = 1

    @property
    def name(self) -> str:
        """The image as people write it; of a repository, its name alone."""
        return str(self.image) if self.image else Image.parse(self.repository).name


@dataclass(frozen=True, slots=True)
class KnownImageFilter:
    """What entries must have in common; None asks nothing."""

    standing: Standing | None = None
    repository: str | None = None


def standing(image: Image, known: list[KnownImage]) -> Standing | None:
    """What counts for an image, of all that was said about its repository; None when nothing does.

    What was said of it with tag and digest counts before what was said of its digest, that before what was said of its tag, and that
    before what was said of the repository; but nothing in a repository that was rejected is approved by itself. A question says nothing.
    """
    said = {one.image: one.standing for one in known}
    decided = {of: standing for of, standing in said.items() if standing is not Standing.PENDING}
    if decided.get(None) is Standing.REJECTED:
        return Standing.REJECTED
    found = (decided[of] for of in (*_names(image), None) if of in decided)
    return next(found, said.get(image))


def covers(said: Image | None, image: Image) -> bool:
    """Whether what is said of an image, or with None of its repository, is about this one of the repository too."""
    return said is None or said in _names(image)


def _names(image: Image) -> list[Image]:
    """By what an image may be judged, the most exact first."""
    whole, of_digest, of_tag = image, replace(image, tag=None), replace(image, digest=None)
    return [name for name in (whole, of_digest, of_tag) if name.tag or name.digest]
