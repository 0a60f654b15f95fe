from typing import Optional

from .base_model import BaseModel


class FindPolicy(BaseModel):
    policy: Optional["FindPolicyPolicy"]


class FindPolicyPolicy(BaseModel):
    id: str
    number: int


FindPolicy.model_rebuild()
