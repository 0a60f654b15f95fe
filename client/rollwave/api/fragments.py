from datetime import datetime
from typing import Any, Optional
from uuid import UUID

from pydantic import Field

from .base_model import BaseModel
from .enums import (
    AsideKind,
    DeviceRolloutStatus,
    DeviceStanding,
    RolloutStatus,
    UpdateStrategy,
)


class DeviceInRollout(BaseModel):
    device_uuid: UUID = Field(alias="deviceUuid")
    device: "DeviceInRolloutDevice"
    status: DeviceRolloutStatus
    outcome_at: Optional[datetime] = Field(alias="outcomeAt")
    reason: Optional[str]


class DeviceInRolloutDevice(BaseModel):
    name: str


class DeviceLine(BaseModel):
    id: str
    uuid: UUID
    name: str
    type_: str = Field(alias="type")
    fleet: Optional["DeviceLineFleet"]
    labels: Any
    standing: DeviceStanding
    online: bool
    in_sync: bool = Field(alias="inSync")
    last_seen_at: Optional[datetime] = Field(alias="lastSeenAt")
    aside: Optional["DeviceLineAside"]


class DeviceLineFleet(BaseModel):
    name: Optional[str]


class DeviceLineAside(BaseModel):
    kind: AsideKind
    reason: Optional[str]
    until: Optional[datetime]


class PolicyLine(BaseModel):
    id: str
    number: int
    enabled: bool
    image_pattern: str = Field(alias="imagePattern")
    update_strategy: UpdateStrategy = Field(alias="updateStrategy")
    fleet: Optional["PolicyLineFleet"]
    devices: Optional[str]
    priority: int
    version: int
    created_at: datetime = Field(alias="createdAt")
    updated_at: datetime = Field(alias="updatedAt")
    deleted_at: Optional[datetime] = Field(alias="deletedAt")


class PolicyLineFleet(BaseModel):
    name: Optional[str]


class Progress(BaseModel):
    at: datetime
    status: RolloutStatus
    reason: Optional[str]
    revision: int
    current_batch: int = Field(alias="currentBatch")
    total_batches: int = Field(alias="totalBatches")
    offered_devices: int = Field(alias="offeredDevices")
    total_devices: int = Field(alias="totalDevices")
    failure_rate: float = Field(alias="failureRate")
    devices: "ProgressDevices"


class ProgressDevices(BaseModel):
    pending: int
    deferred: int
    scheduled: int
    updating: int
    updated: int
    healthy: int
    failed: int
    unhealthy: int
    refused: int
    timed_out: int = Field(alias="timedOut")
    retrying: int
    rolling_back: int = Field(alias="rollingBack")
    rolled_back: int = Field(alias="rolledBack")
    skipped: int


class RolloutLine(BaseModel):
    id: str
    number: int
    status: RolloutStatus
    reason: Optional[str]
    image: "RolloutLineImage"
    policy: "RolloutLinePolicy"
    fleet: Optional["RolloutLineFleet"]
    current_batch: int = Field(alias="currentBatch")
    total_batches: int = Field(alias="totalBatches")
    offered_devices: int = Field(alias="offeredDevices")
    total_devices: int = Field(alias="totalDevices")
    revision: int
    created_at: datetime = Field(alias="createdAt")
    started_at: Optional[datetime] = Field(alias="startedAt")
    finished_at: Optional[datetime] = Field(alias="finishedAt")


class RolloutLineImage(BaseModel):
    reference: str


class RolloutLinePolicy(BaseModel):
    number: int


class RolloutLineFleet(BaseModel):
    name: Optional[str]


DeviceInRollout.model_rebuild()
DeviceLine.model_rebuild()
PolicyLine.model_rebuild()
Progress.model_rebuild()
RolloutLine.model_rebuild()
