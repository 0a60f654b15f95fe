from typing import Optional

from pydantic import Field

from .base_model import BaseModel
from .fragments import DeviceLine


class Devices(BaseModel):
    devices: "DevicesDevices"


class DevicesDevices(BaseModel):
    nodes: list["DevicesDevicesNodes"]
    page_info: "DevicesDevicesPageInfo" = Field(alias="pageInfo")


DevicesDevicesNodes = DeviceLine


class DevicesDevicesPageInfo(BaseModel):
    has_next_page: bool = Field(alias="hasNextPage")
    end_cursor: Optional[str] = Field(alias="endCursor")


Devices.model_rebuild()
DevicesDevices.model_rebuild()
