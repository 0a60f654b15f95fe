from typing import Optional

from pydantic import Field

from .base_model import BaseModel


class FindRollout(BaseModel):
    rollout: Optional["FindRolloutRollout"]


class FindRolloutRollout(BaseModel):
    id: str
    number: int
    current_batch: int = Field(alias="currentBatch")
    checksum: str
    plan: "FindRolloutRolloutPlan"


class FindRolloutRolloutPlan(BaseModel):
    health_check_enabled: bool = Field(alias="healthCheckEnabled")


FindRollout.model_rebuild()
FindRolloutRollout.model_rebuild()
