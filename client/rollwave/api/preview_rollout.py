from datetime import datetime
from typing import Literal, Optional, Union
from uuid import UUID

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode, LeftOutReason


class PreviewRollout(BaseModel):
    preview_rollout: Union[
        "PreviewRolloutPreviewRolloutConflictError",
        "PreviewRolloutPreviewRolloutInvalidInputError",
        "PreviewRolloutPreviewRolloutNotFoundError",
        "PreviewRolloutPreviewRolloutRolloutPreview",
    ] = Field(alias="previewRollout", discriminator="typename__")


class PreviewRolloutPreviewRolloutConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class PreviewRolloutPreviewRolloutInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class PreviewRolloutPreviewRolloutNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class PreviewRolloutPreviewRolloutRolloutPreview(BaseModel):
    typename__: Literal["RolloutPreview"] = Field(alias="__typename")
    at: datetime
    refusal: Optional[str]
    images: list["PreviewRolloutPreviewRolloutRolloutPreviewImages"]
    total_devices: int = Field(alias="totalDevices")
    approvals_required: int = Field(alias="approvalsRequired")
    checksum: str
    not_before: Optional[datetime] = Field(alias="notBefore")
    not_after: Optional[datetime] = Field(alias="notAfter")
    batches: list["PreviewRolloutPreviewRolloutRolloutPreviewBatches"]
    left_out_devices: int = Field(alias="leftOutDevices")
    left_out: list["PreviewRolloutPreviewRolloutRolloutPreviewLeftOut"] = Field(alias="leftOut")
    finish: "PreviewRolloutPreviewRolloutRolloutPreviewFinish"
    supersedes: list["PreviewRolloutPreviewRolloutRolloutPreviewSupersedes"]


class PreviewRolloutPreviewRolloutRolloutPreviewImages(BaseModel):
    reference: str


class PreviewRolloutPreviewRolloutRolloutPreviewBatches(BaseModel):
    number: int
    devices: int


class PreviewRolloutPreviewRolloutRolloutPreviewLeftOut(BaseModel):
    reason: LeftOutReason
    devices: int
    first: list["PreviewRolloutPreviewRolloutRolloutPreviewLeftOutFirst"]


class PreviewRolloutPreviewRolloutRolloutPreviewLeftOutFirst(BaseModel):
    device_uuid: UUID = Field(alias="deviceUuid")
    name: str
    sentence: str


class PreviewRolloutPreviewRolloutRolloutPreviewFinish(BaseModel):
    likely: Optional[datetime]
    late: Optional[datetime]
    basis: str
    why_not: Optional[str] = Field(alias="whyNot")


class PreviewRolloutPreviewRolloutRolloutPreviewSupersedes(BaseModel):
    number: int


PreviewRollout.model_rebuild()
PreviewRolloutPreviewRolloutRolloutPreview.model_rebuild()
PreviewRolloutPreviewRolloutRolloutPreviewLeftOut.model_rebuild()
