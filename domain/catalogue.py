"""Images that operators have an opinion of: approved, or not."""

from dataclasses import dataclass
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

    @property
    def name(self) -> str:
        """The image as people write it; of a repository, its name alone."""
        return str(self.image) if self.image else Image.parse(self.repository).name


def standing(image: Image, known: list[KnownImage]) -> Standing | None:
    """What counts for an image, of all that was said about its repository; None when nothing does.

    What was said of it with its digest counts before what was said of its tag, and that before what was said of the repository; but
    nothing in a repository that was rejected is approved by itself.
    """
    said = {one.name if one.image else None: one.standing for one in known}
    of_repository = said.get(None)
    by_tag = str(Image(image.repository, image.tag, None))
    if of_repository is Standing.REJECTED:
        return of_repository
    return said.get(str(image)) or said.get(by_tag) or (of_repository if of_repository is not Standing.PENDING else None)
