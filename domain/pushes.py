"""Somebody says that an image was pushed: what is kept of that, and what holds it up before it becomes a rollout."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.ids import DeliveryId, PolicyId, PushId, RolloutId
from domain.images import Image

POLLING = "polling"
"""The source of a push that nobody told us of: its registry was asked."""

_FIRST_TRY, _LAST_TRY = timedelta(seconds=5), timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Push:
    """An image that somebody says was pushed, and how far we are with it."""

    id: PushId
    delivery_id: DeliveryId | None
    source: str
    """The sender of its webhook, or POLLING."""
    image: Image
    """As it was told."""
    resolved: Image | None
    """The same with the digest that its registry gave."""
    first_at: datetime
    heard_at: datetime
    """When it was told last; whatever its registry said before that is out of date."""
    round: int
    """Rises with every time that it is to be decided anew."""
    due_at: datetime | None
    """When it is looked at next; None once everything is decided."""
    attempts: int
    waits_for: str | None

    @property
    def known_as(self) -> Image:
        """The image with all that is known of it."""
        return self.resolved or self.image


@dataclass(frozen=True, slots=True)
class PushFilter:
    """What pushes must have in common; None asks nothing."""

    waiting: bool | None = None
    """For something before they are decided."""
    repository: str | None = None
    source: str | None = None
    since: datetime | None = None
    """Heard of then or later."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one image under one policy, or under none."""

    image: Image
    policy_id: PolicyId | None
    rollout_id: RolloutId | None
    """The rollout this push started, or belongs to."""
    started: bool
    decision: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a push does not become a rollout now."""

    why: str
    until: datetime | None = None
    """When to look again; None when nothing but another push would change it."""
    asks_operators: bool = False
    """Whether it waits for their approval."""
    only_time: bool = False
    """Whether nothing but time holds this very image up."""


def try_again_after(attempts: int) -> timedelta:
    """How long to wait before looking again: 5 s, twice as long each time, a quarter of an hour at the most."""
    return min(_FIRST_TRY * (1 << min(attempts, 10)), _LAST_TRY)
