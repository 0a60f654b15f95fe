from pydantic import Field

from .base_model import BaseModel
from .fragments import Progress


class RolloutProgress(BaseModel):
    rollout_progress: "RolloutProgressRolloutProgress" = Field(alias="rolloutProgress")


RolloutProgressRolloutProgress = Progress
RolloutProgress.model_rebuild()
