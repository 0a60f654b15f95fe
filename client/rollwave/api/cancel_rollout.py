from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import RolloutLine


class CancelRollout(BaseModel):
    cancel_rollout: Union[
        "CancelRolloutCancelRolloutCancelRolloutPayload",
        "CancelRolloutCancelRolloutConflictError",
        "CancelRolloutCancelRolloutInvalidInputError",
        "CancelRolloutCancelRolloutNotFoundError",
    ] = Field(alias="cancelRollout", discriminator="typename__")


class CancelRolloutCancelRolloutCancelRolloutPayload(BaseModel):
    typename__: Literal["CancelRolloutPayload"] = Field(alias="__typename")
    rollout: "CancelRolloutCancelRolloutCancelRolloutPayloadRollout"


CancelRolloutCancelRolloutCancelRolloutPayloadRollout = RolloutLine


class CancelRolloutCancelRolloutConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class CancelRolloutCancelRolloutInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class CancelRolloutCancelRolloutNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


CancelRollout.model_rebuild()
CancelRolloutCancelRolloutCancelRolloutPayload.model_rebuild()
