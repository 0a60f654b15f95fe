from datetime import datetime
from typing import Optional
from uuid import UUID

from pydantic import Field

from .base_model import BaseModel
from .enums import RollbackMode, TagLevel, TagOrder
from .fragments import (
    PolicyLine,
    PolicyLineFleet,  # noqa: F401
)


class Policy(BaseModel):
    policy: Optional["PolicyPolicy"]


class PolicyPolicy(PolicyLine):
    staged_batches: int = Field(alias="stagedBatches")
    batch_delay_minutes: float = Field(alias="batchDelayMinutes")
    stages: list["PolicyPolicyStages"]
    health_check_enabled: bool = Field(alias="healthCheckEnabled")
    soak_minutes: float = Field(alias="soakMinutes")
    deadline_minutes: float = Field(alias="deadlineMinutes")
    pickup_minutes: float = Field(alias="pickupMinutes")
    step_minutes: Optional[float] = Field(alias="stepMinutes")
    watch_minutes: float = Field(alias="watchMinutes")
    auto_rollback_enabled: bool = Field(alias="autoRollbackEnabled")
    rollback_mode: RollbackMode = Field(alias="rollbackMode")
    max_failure_rate: float = Field(alias="maxFailureRate")
    min_outcomes: int = Field(alias="minOutcomes")
    approvals: int
    approved_images_only: bool = Field(alias="approvedImagesOnly")
    schedule: "PolicyPolicySchedule"
    tags: "PolicyPolicyTags"


class PolicyPolicyStages(BaseModel):
    share_percent: Optional[float] = Field(alias="sharePercent")
    devices: Optional[int]
    delay_minutes: Optional[float] = Field(alias="delayMinutes")
    soak_minutes: Optional[float] = Field(alias="soakMinutes")
    max_failure_rate: Optional[float] = Field(alias="maxFailureRate")
    min_outcomes: Optional[int] = Field(alias="minOutcomes")
    manual_promotion: bool = Field(alias="manualPromotion")
    canaries: list[UUID]
    checks: Optional[list[str]]


class PolicyPolicySchedule(BaseModel):
    not_before: Optional[datetime] = Field(alias="notBefore")
    not_after: Optional[datetime] = Field(alias="notAfter")
    timezone: str
    timezone_label: str = Field(alias="timezoneLabel")
    windows: list["PolicyPolicyScheduleWindows"]


class PolicyPolicyScheduleWindows(BaseModel):
    cron: str
    minutes: float
    timezone: Optional[str]


class PolicyPolicyTags(BaseModel):
    include: list[str]
    exclude: list[str]
    moving: list[str]
    order: TagOrder
    level: Optional[TagLevel]
    range_: Optional[str] = Field(alias="range")
    regex: Optional[str]
    prereleases: bool
    same_variant: bool = Field(alias="sameVariant")


Policy.model_rebuild()
PolicyPolicy.model_rebuild()
PolicyPolicySchedule.model_rebuild()
