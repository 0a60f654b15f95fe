from datetime import datetime
from typing import Optional

from pydantic import Field

from .base_model import BaseModel
from .enums import WaitsFor
from .fragments import (  # noqa: F401
    DeviceInRollout,
    Progress,
    RolloutLine,
    RolloutLineFleet,
    RolloutLineImage,
    RolloutLinePolicy,
)


class Rollout(BaseModel):
    rollout: Optional["RolloutRollout"]


class RolloutRollout(RolloutLine):
    images: list["RolloutRolloutImages"]
    by_hand: bool = Field(alias="byHand")
    approvals_required: int = Field(alias="approvalsRequired")
    approved_by: list[str] = Field(alias="approvedBy")
    checksum: str
    batches: list["RolloutRolloutBatches"]
    progress: "RolloutRolloutProgress"
    failed: "RolloutRolloutFailed"
    taken_back: "RolloutRolloutTakenBack" = Field(alias="takenBack")
    explain: "RolloutRolloutExplain"


class RolloutRolloutImages(BaseModel):
    reference: str


class RolloutRolloutBatches(BaseModel):
    number: int
    planned_devices: int = Field(alias="plannedDevices")
    offered_devices: int = Field(alias="offeredDevices")
    started_at: Optional[datetime] = Field(alias="startedAt")
    completed_at: Optional[datetime] = Field(alias="completedAt")


RolloutRolloutProgress = Progress


class RolloutRolloutFailed(BaseModel):
    nodes: list["RolloutRolloutFailedNodes"]


RolloutRolloutFailedNodes = DeviceInRollout


class RolloutRolloutTakenBack(BaseModel):
    nodes: list["RolloutRolloutTakenBackNodes"]


RolloutRolloutTakenBackNodes = DeviceInRollout


class RolloutRolloutExplain(BaseModel):
    waits_for: WaitsFor = Field(alias="waitsFor")
    sentence: str
    until: Optional[datetime]
    cause: str


Rollout.model_rebuild()
RolloutRollout.model_rebuild()
RolloutRolloutFailed.model_rebuild()
RolloutRolloutTakenBack.model_rebuild()
