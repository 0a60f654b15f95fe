from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import PolicyLine


class CreatePolicy(BaseModel):
    create_policy: Union[
        "CreatePolicyCreatePolicyConflictError",
        "CreatePolicyCreatePolicyCreatePolicyPayload",
        "CreatePolicyCreatePolicyInvalidInputError",
        "CreatePolicyCreatePolicyNotFoundError",
    ] = Field(alias="createPolicy", discriminator="typename__")


class CreatePolicyCreatePolicyConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class CreatePolicyCreatePolicyCreatePolicyPayload(BaseModel):
    typename__: Literal["CreatePolicyPayload"] = Field(alias="__typename")
    policy: "CreatePolicyCreatePolicyCreatePolicyPayloadPolicy"


CreatePolicyCreatePolicyCreatePolicyPayloadPolicy = PolicyLine


class CreatePolicyCreatePolicyInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class CreatePolicyCreatePolicyNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


CreatePolicy.model_rebuild()
CreatePolicyCreatePolicyCreatePolicyPayload.model_rebuild()
