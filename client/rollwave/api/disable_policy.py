from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import PolicyLine


class DisablePolicy(BaseModel):
    disable_policy: Union[
        "DisablePolicyDisablePolicyConflictError",
        "DisablePolicyDisablePolicyDisablePolicyPayload",
        "DisablePolicyDisablePolicyInvalidInputError",
        "DisablePolicyDisablePolicyNotFoundError",
    ] = Field(alias="disablePolicy", discriminator="typename__")


class DisablePolicyDisablePolicyConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class DisablePolicyDisablePolicyDisablePolicyPayload(BaseModel):
    typename__: Literal["DisablePolicyPayload"] = Field(alias="__typename")
    policy: "DisablePolicyDisablePolicyDisablePolicyPayloadPolicy"


DisablePolicyDisablePolicyDisablePolicyPayloadPolicy = PolicyLine


class DisablePolicyDisablePolicyInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class DisablePolicyDisablePolicyNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


DisablePolicy.model_rebuild()
DisablePolicyDisablePolicyDisablePolicyPayload.model_rebuild()
