from datetime import datetime
from typing import Any, Optional

from pydantic import Field

from .base_model import BaseModel
from .enums import DeviceRolloutStatus, DifferenceKind
from .fragments import DeviceLine, DeviceLineAside, DeviceLineFleet  # noqa: F401


class Device(BaseModel):
    device: Optional["DeviceDevice"]


class DeviceDevice(DeviceLine):
    created_at: datetime = Field(alias="createdAt")
    version: int
    target_state: "DeviceDeviceTargetState" = Field(alias="targetState")
    current_state: Optional["DeviceDeviceCurrentState"] = Field(alias="currentState")
    differences: list["DeviceDeviceDifferences"]
    explain: "DeviceDeviceExplain"


class DeviceDeviceTargetState(BaseModel):
    version: int
    apps: Any
    config: Any


class DeviceDeviceCurrentState(BaseModel):
    version: Optional[int]
    reported_at: datetime = Field(alias="reportedAt")
    apps: Any


class DeviceDeviceDifferences(BaseModel):
    app: str
    service: str
    kind: DifferenceKind
    wanted: Optional[str]
    running: Optional[str]
    status: Optional[str]


class DeviceDeviceExplain(BaseModel):
    at: datetime
    sentences: list[str]
    services: list["DeviceDeviceExplainServices"]


class DeviceDeviceExplainServices(BaseModel):
    app: str
    service: str
    image: str
    status: Optional[DeviceRolloutStatus]
    since: datetime
    until: Optional[datetime]
    sentences: list[str]
    rollout: Optional["DeviceDeviceExplainServicesRollout"]


class DeviceDeviceExplainServicesRollout(BaseModel):
    number: int


Device.model_rebuild()
DeviceDevice.model_rebuild()
DeviceDeviceExplain.model_rebuild()
DeviceDeviceExplainServices.model_rebuild()
