from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import RolloutLine


class ResumeRollout(BaseModel):
    resume_rollout: Union[
        "ResumeRolloutResumeRolloutConflictError",
        "ResumeRolloutResumeRolloutInvalidInputError",
        "ResumeRolloutResumeRolloutNotFoundError",
        "ResumeRolloutResumeRolloutResumeRolloutPayload",
    ] = Field(alias="resumeRollout", discriminator="typename__")


class ResumeRolloutResumeRolloutConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class ResumeRolloutResumeRolloutInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class ResumeRolloutResumeRolloutNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class ResumeRolloutResumeRolloutResumeRolloutPayload(BaseModel):
    typename__: Literal["ResumeRolloutPayload"] = Field(alias="__typename")
    rollout: "ResumeRolloutResumeRolloutResumeRolloutPayloadRollout"


ResumeRolloutResumeRolloutResumeRolloutPayloadRollout = RolloutLine
ResumeRollout.model_rebuild()
ResumeRolloutResumeRolloutResumeRolloutPayload.model_rebuild()
