"""The domain's enums, under the names clients know them by."""

import strawberry

from domain.aside import AsideKind
from domain.checks import CheckKind, State
from domain.pacing import Counts
from domain.previews import LeftOut
from domain.settings import RollbackMode, Strategy
from domain.statuses import DeviceStatus, Status
from domain.waits import On

strawberry.enum(
    Strategy,
    name="UpdateStrategy",
    description="Who gets a new image first, and whether anybody is asked.",
)
strawberry.enum(Status, name="RolloutStatus", description="Where a rollout is in its life.")
strawberry.enum(DeviceStatus, name="DeviceRolloutStatus", description="Where one device is in a rollout.")
strawberry.enum(RollbackMode, name="RollbackMode", description="Who goes back when too many fail.")
strawberry.enum(Counts, name="RampCounts", description="What makes a ramp climb: devices that were offered the image, or that run it well.")
strawberry.enum(CheckKind, name="CheckKind", description="What a check from outside asks.")
strawberry.enum(State, name="CheckState", description="Where a check stands; inconclusive asks for an operator.")
strawberry.enum(On, name="WaitsFor", description="Who or what ends a wait.")
strawberry.enum(AsideKind, name="AsideKind", description="Why a device joins no rollout.")

strawberry.enum(LeftOut, name="LeftOutReason", description="Why a device that runs the image would not take part in a rollout.")

__all__ = ["AsideKind", "CheckKind", "Counts", "DeviceStatus", "LeftOut", "On", "RollbackMode", "State", "Status", "Strategy"]
