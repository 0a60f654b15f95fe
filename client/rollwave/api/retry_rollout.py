from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import RolloutLine


class RetryRollout(BaseModel):
    retry_rollout: Union[
        "RetryRolloutRetryRolloutConflictError",
        "RetryRolloutRetryRolloutInvalidInputError",
        "RetryRolloutRetryRolloutNotFoundError",
        "RetryRolloutRetryRolloutRetryRolloutPayload",
    ] = Field(alias="retryRollout", discriminator="typename__")


class RetryRolloutRetryRolloutConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class RetryRolloutRetryRolloutInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class RetryRolloutRetryRolloutNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class RetryRolloutRetryRolloutRetryRolloutPayload(BaseModel):
    typename__: Literal["RetryRolloutPayload"] = Field(alias="__typename")
    rollout: "RetryRolloutRetryRolloutRetryRolloutPayloadRollout"


RetryRolloutRetryRolloutRetryRolloutPayloadRollout = RolloutLine
RetryRollout.model_rebuild()
RetryRolloutRetryRolloutRetryRolloutPayload.model_rebuild()
