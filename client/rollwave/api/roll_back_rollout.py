from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import RolloutLine


class RollBackRollout(BaseModel):
    roll_back_rollout: Union[
        "RollBackRolloutRollBackRolloutConflictError",
        "RollBackRolloutRollBackRolloutInvalidInputError",
        "RollBackRolloutRollBackRolloutNotFoundError",
        "RollBackRolloutRollBackRolloutRollBackRolloutPayload",
    ] = Field(alias="rollBackRollout", discriminator="typename__")


class RollBackRolloutRollBackRolloutConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class RollBackRolloutRollBackRolloutInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class RollBackRolloutRollBackRolloutNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class RollBackRolloutRollBackRolloutRollBackRolloutPayload(BaseModel):
    typename__: Literal["RollBackRolloutPayload"] = Field(alias="__typename")
    rollout: "RollBackRolloutRollBackRolloutRollBackRolloutPayloadRollout"


RollBackRolloutRollBackRolloutRollBackRolloutPayloadRollout = RolloutLine
RollBackRollout.model_rebuild()
RollBackRolloutRollBackRolloutRollBackRolloutPayload.model_rebuild()
