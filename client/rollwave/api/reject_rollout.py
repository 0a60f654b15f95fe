from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import RolloutLine


class RejectRollout(BaseModel):
    reject_rollout: Union[
        "RejectRolloutRejectRolloutConflictError",
        "RejectRolloutRejectRolloutInvalidInputError",
        "RejectRolloutRejectRolloutNotFoundError",
        "RejectRolloutRejectRolloutRejectRolloutPayload",
    ] = Field(alias="rejectRollout", discriminator="typename__")


class RejectRolloutRejectRolloutConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class RejectRolloutRejectRolloutInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class RejectRolloutRejectRolloutNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class RejectRolloutRejectRolloutRejectRolloutPayload(BaseModel):
    typename__: Literal["RejectRolloutPayload"] = Field(alias="__typename")
    rollout: "RejectRolloutRejectRolloutRejectRolloutPayloadRollout"


RejectRolloutRejectRolloutRejectRolloutPayloadRollout = RolloutLine
RejectRollout.model_rebuild()
RejectRolloutRejectRolloutRejectRolloutPayload.model_rebuild()
