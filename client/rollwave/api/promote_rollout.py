from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import RolloutLine


class PromoteRollout(BaseModel):
    promote_rollout: Union[
        "PromoteRolloutPromoteRolloutConflictError",
        "PromoteRolloutPromoteRolloutInvalidInputError",
        "PromoteRolloutPromoteRolloutNotFoundError",
        "PromoteRolloutPromoteRolloutPromoteRolloutPayload",
    ] = Field(alias="promoteRollout", discriminator="typename__")


class PromoteRolloutPromoteRolloutConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class PromoteRolloutPromoteRolloutInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class PromoteRolloutPromoteRolloutNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class PromoteRolloutPromoteRolloutPromoteRolloutPayload(BaseModel):
    typename__: Literal["PromoteRolloutPayload"] = Field(alias="__typename")
    rollout: "PromoteRolloutPromoteRolloutPromoteRolloutPayloadRollout"


PromoteRolloutPromoteRolloutPromoteRolloutPayloadRollout = RolloutLine
PromoteRollout.model_rebuild()
PromoteRolloutPromoteRolloutPromoteRolloutPayload.model_rebuild()
