from typing import Optional

from pydantic import Field

from .base_model import BaseModel
from .fragments import PolicyLine


class Policies(BaseModel):
    policies: "PoliciesPolicies"


class PoliciesPolicies(BaseModel):
    nodes: list["PoliciesPoliciesNodes"]
    page_info: "PoliciesPoliciesPageInfo" = Field(alias="pageInfo")


PoliciesPoliciesNodes = PolicyLine


class PoliciesPoliciesPageInfo(BaseModel):
    has_next_page: bool = Field(alias="hasNextPage")
    end_cursor: Optional[str] = Field(alias="endCursor")


Policies.model_rebuild()
PoliciesPolicies.model_rebuild()
