"""The devices of a rollout, each with its rank."""

from dataclasses import dataclass
from datetime import datetime

from domain.health import Outcome
from domain.ids import DeviceId, RolloutId
from domain.images import Image
from domain.rollouts import DeviceStatus


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
    reason: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a live rollout means for one device that reports: the image it is offered, or was and has to give back."""

    rollout_id: RolloutId
    revision: int
    repository: str
    image: Image
    is_exposed: bool
    health_check_enabled: bool
    outcome: Outcome | None
    reason: str | None
    is_back: bool
    previous: dict[tuple[str, str], Image]
    """The base image of each service concerned, by (app, service)."""
