from .base_model import BaseModel


class Check(BaseModel):
    rollouts: "CheckRollouts"


class CheckRollouts(BaseModel):
    nodes: list["CheckRolloutsNodes"]


class CheckRolloutsNodes(BaseModel):
    id: str


Check.model_rebuild()
CheckRollouts.model_rebuild()
