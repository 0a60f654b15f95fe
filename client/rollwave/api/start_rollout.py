from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import RolloutLine


class StartRollout(BaseModel):
    start_rollout: Union[
        "StartRolloutStartRolloutConflictError",
        "StartRolloutStartRolloutInvalidInputError",
        "StartRolloutStartRolloutNotFoundError",
        "StartRolloutStartRolloutStartRolloutPayload",
    ] = Field(alias="startRollout", discriminator="typename__")


class StartRolloutStartRolloutConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class StartRolloutStartRolloutInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class StartRolloutStartRolloutNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class StartRolloutStartRolloutStartRolloutPayload(BaseModel):
    typename__: Literal["StartRolloutPayload"] = Field(alias="__typename")
    rollout: "StartRolloutStartRolloutStartRolloutPayloadRollout"


StartRolloutStartRolloutStartRolloutPayloadRollout = RolloutLine
StartRollout.model_rebuild()
StartRolloutStartRolloutStartRolloutPayload.model_rebuild()
