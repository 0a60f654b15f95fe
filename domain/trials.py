"""What a policy would make of an image, or of the tags that a registry has."""

from dataclasses import dataclass

from domain.images import Image
from domain.tags import Verdict


@dataclass(frozen=True, slots=True)
class Trial:
    """What would come of a push now."""

    image: Image | None
    """The image that was named, or chosen, with its digest if that is known; None when none of the tags is taken."""
    would_start: bool
    waits: bool
    """Whether it would be looked at again."""
    why: str
    tags: tuple[Verdict, ...] = ()
    """Every tag of the registry, newest first, and why it is not the one."""
