from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import PolicyLine


class UnblockRelease(BaseModel):
    unblock_release: Union[
        "UnblockReleaseUnblockReleaseConflictError",
        "UnblockReleaseUnblockReleaseInvalidInputError",
        "UnblockReleaseUnblockReleaseNotFoundError",
        "UnblockReleaseUnblockReleaseUnblockReleasePayload",
    ] = Field(alias="unblockRelease", discriminator="typename__")


class UnblockReleaseUnblockReleaseConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class UnblockReleaseUnblockReleaseInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class UnblockReleaseUnblockReleaseNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class UnblockReleaseUnblockReleaseUnblockReleasePayload(BaseModel):
    typename__: Literal["UnblockReleasePayload"] = Field(alias="__typename")
    was_blocked: bool = Field(alias="wasBlocked")
    policy: "UnblockReleaseUnblockReleaseUnblockReleasePayloadPolicy"


UnblockReleaseUnblockReleaseUnblockReleasePayloadPolicy = PolicyLine
UnblockRelease.model_rebuild()
UnblockReleaseUnblockReleaseUnblockReleasePayload.model_rebuild()
