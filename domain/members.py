"""The devices of a rollout, each with its rank."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain.health import Outcome, ServiceKey
from domain.ids import DeviceId, RolloutId
from domain.images import Image
from domain.plans import Plan
from domain.statuses import DeviceStatus


@dataclass(frozen=True, slots=True)
class Member:
    """A device in a rollout, as people see it."""

    rollout_id: RolloutId
    device_id: DeviceId
    device_uuid: str
    rank: int
    batch_number: int | None
    status: DeviceStatus
    scheduled_at: datetime | None
    taken_at: datetime | None
    outcome_at: datetime | None
    returned_at: datetime | None
    retries: int
    retry_at: datetime | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a live rollout means for one device that reports: the image it is offered, or was and has to give back."""

    rollout_id: RolloutId
    revision: int
    wanted: dict[ServiceKey, Image]
    """What each service is offered."""
    is_exposed: bool
    is_under_way: bool
    """The rollout is on its way, or paused on it; an ended one tries nobody again."""
    is_kept: bool
    """The same, or it completed."""
    plan: Plan
    retries: int
    """How often it was tried again already."""
    outcome: Outcome | None
    reason: str | None
    has_failed_check: bool
    """A check from outside found it unhealthy, whatever it says itself."""
    is_back: bool
    previous: dict[ServiceKey, Image]
    """The base image of each of these services."""

    @property
    def told(self) -> dict[str, Any]:
        """The image, or the images, as events tell of them."""
        images = sorted({str(image) for image in self.wanted.values()})
        return {"image": images[0]} if len(images) == 1 else {"images": images}

    def retry_at(self, failure: Outcome, now: datetime) -> datetime | None:
        """When a device that failed now is offered the image again: each wait is twice the one before. None if its tries are used up."""
        if not self.is_under_way or self.retries >= self.plan.retries.limits.get(failure, 0):
            return None
        return now + self.plan.retries.backoff * (1 << self.retries)

    @property
    def returns_alone(self) -> bool:
        """A device that failed goes back whatever the others do, also one that came to the image after its rollout completed."""
        return self.is_kept and self.plan.only_failed_return
