from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import PolicyLine


class DeletePolicy(BaseModel):
    delete_policy: Union[
        "DeletePolicyDeletePolicyConflictError",
        "DeletePolicyDeletePolicyDeletePolicyPayload",
        "DeletePolicyDeletePolicyInvalidInputError",
        "DeletePolicyDeletePolicyNotFoundError",
    ] = Field(alias="deletePolicy", discriminator="typename__")


class DeletePolicyDeletePolicyConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class DeletePolicyDeletePolicyDeletePolicyPayload(BaseModel):
    typename__: Literal["DeletePolicyPayload"] = Field(alias="__typename")
    policy: "DeletePolicyDeletePolicyDeletePolicyPayloadPolicy"


DeletePolicyDeletePolicyDeletePolicyPayloadPolicy = PolicyLine


class DeletePolicyDeletePolicyInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class DeletePolicyDeletePolicyNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


DeletePolicy.model_rebuild()
DeletePolicyDeletePolicyDeletePolicyPayload.model_rebuild()
