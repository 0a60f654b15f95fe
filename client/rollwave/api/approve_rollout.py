from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import RolloutLine


class ApproveRollout(BaseModel):
    approve_rollout: Union[
        "ApproveRolloutApproveRolloutApproveRolloutPayload",
        "ApproveRolloutApproveRolloutConflictError",
        "ApproveRolloutApproveRolloutInvalidInputError",
        "ApproveRolloutApproveRolloutNotFoundError",
    ] = Field(alias="approveRollout", discriminator="typename__")


class ApproveRolloutApproveRolloutApproveRolloutPayload(BaseModel):
    typename__: Literal["ApproveRolloutPayload"] = Field(alias="__typename")
    rollout: "ApproveRolloutApproveRolloutApproveRolloutPayloadRollout"


ApproveRolloutApproveRolloutApproveRolloutPayloadRollout = RolloutLine


class ApproveRolloutApproveRolloutConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class ApproveRolloutApproveRolloutInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class ApproveRolloutApproveRolloutNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


ApproveRollout.model_rebuild()
ApproveRolloutApproveRolloutApproveRolloutPayload.model_rebuild()
