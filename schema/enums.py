"""The domain's enums, under the names clients know them by."""

from enum import StrEnum

import strawberry

from domain.aside import AsideKind
from domain.catalogue import Standing
from domain.checks import CheckKind, State
from domain.differences import DifferenceKind
from domain.endpoints import Scheme, Sender
from domain.fleet import DeviceStanding
from domain.fleet import OrderBy as DeviceOrderBy
from domain.pacing import Counts
from domain.previews import LeftOut
from domain.provenance import Proof
from domain.settings import RollbackMode, Strategy, Unresolved
from domain.statuses import DeviceStatus, Status
from domain.tags import Level, Order
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
strawberry.enum(Level, name="TagLevel", description="How far from what a device runs a version may be.")
strawberry.enum(Order, name="TagOrder", description="What makes one tag newer than another.")
strawberry.enum(
    Unresolved,
    name="UnresolvedTag",
    description="What to do about a pushed tag whose digest nobody can tell, since its registry cannot be asked: "
    "wait where it moves and devices run it already, else go by the tag; wait; or go by the tag.",
)
strawberry.enum(On, name="WaitsFor", description="Who or what ends a wait.")
strawberry.enum(AsideKind, name="AsideKind", description="Why a device joins no rollout.")

strawberry.enum(Proof, name="RequiredProof", description="What an image must come with.")
strawberry.enum(Sender, name="WebhookSender", description="Whose webhooks are understood.")
strawberry.enum(Scheme, name="WebhookScheme", description="How a webhook proves where it comes from.")
strawberry.enum(Standing, name="ImageStanding", description="What operators said of an image.")
strawberry.enum(DeviceStanding, name="DeviceStanding", description="Whether a device may take part.")
strawberry.enum(DifferenceKind, name="DifferenceKind", description="In what a service is not as it should be.")
strawberry.enum(DeviceOrderBy, name="DeviceOrderBy", description="What decides which of two devices comes first.")
strawberry.enum(LeftOut, name="LeftOutReason", description="Why a device that runs the image would not take part in a rollout.")


@strawberry.enum(description="Which end of a list comes first.")
class OrderDirection(StrEnum):
    ASCENDING = "ascending"
    DESCENDING = "descending"


__all__ = [
    "AsideKind", "CheckKind", "Counts", "DeviceOrderBy", "DeviceStanding", "DeviceStatus", "DifferenceKind",
    "LeftOut", "Level", "On", "Order", "OrderDirection", "Proof", "RollbackMode", "Scheme", "Sender",
    "Standing", "State", "Status", "Strategy", "Unresolved",
]  # fmt: skip
