from typing import Optional

from pydantic import Field

from .base_model import BaseModel
from .fragments import RolloutLine


class Rollouts(BaseModel):
    rollouts: "RolloutsRollouts"


class RolloutsRollouts(BaseModel):
    nodes: list["RolloutsRolloutsNodes"]
    page_info: "RolloutsRolloutsPageInfo" = Field(alias="pageInfo")


RolloutsRolloutsNodes = RolloutLine


class RolloutsRolloutsPageInfo(BaseModel):
    has_next_page: bool = Field(alias="hasNextPage")
    end_cursor: Optional[str] = Field(alias="endCursor")


Rollouts.model_rebuild()
RolloutsRollouts.model_rebuild()
