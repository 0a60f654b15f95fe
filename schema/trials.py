"""What a policy would make of an image, as a client sees it."""

from typing import Self

import strawberry

from domain import tags as of_tags
from domain import trials as domain
from schema.images import Image


@strawberry.type(description="What is to be said of one tag.")
class TagVerdict:
    tag: str = strawberry.field(description="The tag.")
    why_not: str | None = strawberry.field(description="Why it is not chosen; null for the one that is.")

    @classmethod
    def of(cls, verdict: of_tags.Verdict) -> Self:
        return cls(tag=verdict.tag, why_not=verdict.why_not)


@strawberry.type(description="What would come of a push now; nothing was changed by asking.")
class PolicyTest:
    image: Image | None = strawberry.field(
        description="The image that was named, or chosen, with its digest if that is known; null when no tag is taken."
    )
    would_start: bool = strawberry.field(description="Whether it would start a rollout now.")
    waits: bool = strawberry.field(description="Whether it would be kept, and looked at again.")
    why: str = strawberry.field(description="What would be decided, and why.")
    tags: list[TagVerdict] = strawberry.field(description="For a bare repository: every tag its registry has, newest first.")

    @classmethod
    def of(cls, trial: domain.Trial) -> Self:
        return cls(
            image=None if trial.image is None else Image.of(trial.image),
            would_start=trial.would_start,
            waits=trial.waits,
            why=trial.why,
            tags=[TagVerdict.of(verdict) for verdict in trial.tags],
        )
