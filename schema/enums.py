"""The domain's enums, under the names clients know them by."""

import strawberry

from domain.policies import Strategy
from domain.rollouts import DeviceStatus, Status

strawberry.enum(
    Strategy,
    name="UpdateStrategy",
    description="Who gets a new image first, and whether anybody is asked. SCHEDULED is refused: it is not available yet.",
)
strawberry.enum(Status, name="RolloutStatus", description="Where a rollout is in its life.")
strawberry.enum(DeviceStatus, name="DeviceRolloutStatus", description="Where one device is in a rollout.")

__all__ = ["DeviceStatus", "Status", "Strategy"]
