"""What is looked at of something to see whether it has changed."""

from dataclasses import dataclass
from datetime import datetime

from domain.devices import Device
from domain.ids import ProvisioningKeyId, RolloutId
from domain.statuses import DeviceStatus


@dataclass(frozen=True, slots=True)
class Sight:
    """A device as it looks at one moment: while that is the same, so is whatever can be told of it."""

    device: Device
    is_online: bool
    is_aside: bool
    """For so long as it says, which ends by itself: no version rises."""
    provisioning_key: ProvisioningKeyId | None
    target_version: int
    """Rollouts included."""
    reported_at: datetime | None
    places: tuple[tuple[RolloutId, DeviceStatus], ...]
    """Where it is in the rollouts that it takes part in; a soak ends without a report."""
