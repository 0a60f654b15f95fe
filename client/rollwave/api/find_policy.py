from typing import Optional

from pydantic import Field

from .base_model import BaseModel


class FindPolicy(BaseModel):
    policy: Optional["FindPolicyPolicy"]


class FindPolicyPolicy(BaseModel):
    id: str
    number: int
    image_pattern: str = Field(alias="imagePattern")


FindPolicy.model_rebuild()
