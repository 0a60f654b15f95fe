from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import RolloutLine


class CreateRollout(BaseModel):
    create_rollout: Union[
        "CreateRolloutCreateRolloutConflictError",
        "CreateRolloutCreateRolloutCreateRolloutPayload",
        "CreateRolloutCreateRolloutInvalidInputError",
        "CreateRolloutCreateRolloutNotFoundError",
    ] = Field(alias="createRollout", discriminator="typename__")


class CreateRolloutCreateRolloutConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class CreateRolloutCreateRolloutCreateRolloutPayload(BaseModel):
    typename__: Literal["CreateRolloutPayload"] = Field(alias="__typename")
    rollout: "CreateRolloutCreateRolloutCreateRolloutPayloadRollout"


CreateRolloutCreateRolloutCreateRolloutPayloadRollout = RolloutLine


class CreateRolloutCreateRolloutInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class CreateRolloutCreateRolloutNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


CreateRollout.model_rebuild()
CreateRolloutCreateRolloutCreateRolloutPayload.model_rebuild()
