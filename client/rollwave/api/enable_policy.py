from typing import Literal, Union

from pydantic import Field

from .base_model import BaseModel
from .enums import ErrorCode
from .fragments import PolicyLine


class EnablePolicy(BaseModel):
    enable_policy: Union[
        "EnablePolicyEnablePolicyConflictError",
        "EnablePolicyEnablePolicyEnablePolicyPayload",
        "EnablePolicyEnablePolicyInvalidInputError",
        "EnablePolicyEnablePolicyNotFoundError",
    ] = Field(alias="enablePolicy", discriminator="typename__")


class EnablePolicyEnablePolicyConflictError(BaseModel):
    typename__: Literal["ConflictError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class EnablePolicyEnablePolicyEnablePolicyPayload(BaseModel):
    typename__: Literal["EnablePolicyPayload"] = Field(alias="__typename")
    policy: "EnablePolicyEnablePolicyEnablePolicyPayloadPolicy"


EnablePolicyEnablePolicyEnablePolicyPayloadPolicy = PolicyLine


class EnablePolicyEnablePolicyInvalidInputError(BaseModel):
    typename__: Literal["InvalidInputError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


class EnablePolicyEnablePolicyNotFoundError(BaseModel):
    typename__: Literal["NotFoundError"] = Field(alias="__typename")
    code: ErrorCode
    message: str


EnablePolicy.model_rebuild()
EnablePolicyEnablePolicyEnablePolicyPayload.model_rebuild()
