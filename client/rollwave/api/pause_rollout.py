from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import RolloutLine


class PauseRollout(BaseModel):
    pause_rollout: Union[
        "PauseRolloutPauseRolloutConflictError",
        "PauseRolloutPauseRolloutInvalidInputError",
        "PauseRolloutPauseRolloutNotFoundError",
        "PauseRolloutPauseRolloutPauseRolloutPayload",
    ] = Field(alias="pauseRollout", discriminator="typename__")


class PauseRolloutPauseRolloutConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class PauseRolloutPauseRolloutInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class PauseRolloutPauseRolloutNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class PauseRolloutPauseRolloutPauseRolloutPayload(BaseModel):
    typename__: Literal["PauseRolloutPayload"] = Field(alias="__typename")
    rollout: "PauseRolloutPauseRolloutPauseRolloutPayloadRollout"


PauseRolloutPauseRolloutPauseRolloutPayloadRollout = RolloutLine
PauseRollout.model_rebuild()
PauseRolloutPauseRolloutPauseRolloutPayload.model_rebuild()
