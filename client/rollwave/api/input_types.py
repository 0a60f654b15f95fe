from datetime import datetime
from typing import Optional
from uuid import UUID

from pydantic import Field

from .base_model import BaseModel
from .enums import (
    AsideKind,
    CheckKind,
    DeviceStanding,
    RampCounts,
    RequiredProof,
    RollbackMode,
    RolloutStatus,
    TagLevel,
    TagOrder,
    UnresolvedTag,
    UpdateStrategy,
)


class ApproveRolloutInput(BaseModel):
    """Which rollout may start."""

    checksum: str
    "The rollout's `checksum` as you read it: another release or plan is not decided on."
    expected_version: Optional[int] = Field(alias="expectedVersion", default=None)
    "Change nothing, and answer STALE_VERSION, if its version is another by now; null: whatever it is."
    id: str
    "Which one."
    remark: Optional[str] = None
    "Why."


class CancelRolloutInput(BaseModel):
    """Which rollout to end."""

    expected_version: Optional[int] = Field(alias="expectedVersion", default=None)
    "Change nothing, and answer STALE_VERSION, if its version is another by now; null: whatever it is."
    id: str
    "Which one."
    reason: Optional[str] = None
    "Why, for the history."


class CheckInput(BaseModel):
    """A health check that the server makes itself, from outside: http and tcp of each device that runs the image, prometheus and webhook of a batch whose devices have answered."""

    base_url: Optional[str] = Field(alias="baseUrl", default=None)
    "prometheus: where it is."
    consecutive_error_limit: Optional[int] = Field(alias="consecutiveErrorLimit", default=None)
    "So many errors in a row are tolerated before an operator is asked; 4."
    count: Optional[int] = None
    "So many successes pass the check; 1. A webhook passes with its first 2xx."
    expected_statuses: Optional[str] = Field(alias="expectedStatuses", default=None)
    "http: such as 200-299, 401."
    failure_condition: Optional[str] = Field(alias="failureCondition", default=None)
    "prometheus: such as result >= 0.2."
    failure_limit: Optional[int] = Field(alias="failureLimit", default=None)
    "So many failures are tolerated; 0."
    host: Optional[str] = None
    "tcp: where; {address} stands for the device's."
    inconclusive_limit: Optional[int] = Field(alias="inconclusiveLimit", default=None)
    "So many measurements that tell nothing are tolerated before an operator is asked; 0."
    interval_seconds: Optional[float] = Field(alias="intervalSeconds", default=None)
    "From one measurement to the next; 60."
    kind: CheckKind
    "What is asked; each kind has fields of its own."
    name: str
    "What people call it; stages name the checks they need."
    port: Optional[int] = None
    "tcp: 1 to 65535."
    query: Optional[str] = None
    "prometheus: one that gives one number."
    success_condition: Optional[str] = Field(alias="successCondition", default=None)
    "prometheus: such as result < 0.05; a number between both conditions is left to an operator."
    timeout_seconds: Optional[float] = Field(alias="timeoutSeconds", default=None)
    "For one measurement; 10."
    url: Optional[str] = None
    "http and webhook: where. In http {uuid}, {name}, {fleet} and {address} stand for the device's."


class CreatePolicyInput(BaseModel):
    """A new policy; what is left out has the default shown."""

    approval_deadline_minutes: Optional[float] = Field(alias="approvalDeadlineMinutes", default=None)
    "A rollout that nobody decided on by then is cancelled."
    approvals: int = 0
    "How many operators must approve a rollout before it starts."
    approved_images_only: bool = Field(alias="approvedImagesOnly", default=False)
    "Whether only images that an operator approved are rolled out."
    auto_rollback_enabled: bool = Field(alias="autoRollbackEnabled", default=True)
    "Whether too many failures roll everybody back; otherwise they pause."
    batch_delay_minutes: float = Field(alias="batchDelayMinutes", default=30)
    "From a batch having proved itself until the next one opens."
    checks: list["CheckInput"] = Field(default_factory=lambda: [])
    "What the server looks at from outside."
    deadline_minutes: float = Field(alias="deadlineMinutes", default=30)
    "How long a device that took the image may stay silent before it counts as failed."
    devices: Optional[str] = None
    "A selector, such as `site=berlin, tier in (edge, lab), !frozen`: of the devices it governs only those with such labels, and the others get nothing; null is all of them."
    enabled: bool = True
    "Whether pushes are acted on."
    fleet: Optional[str] = None
    "Only devices of this fleet; null is all that no more specific policy governs."
    health_check_enabled: bool = Field(alias="healthCheckEnabled", default=True)
    "Whether a device must run the image, healthy, for the soak time."
    idempotency_key: Optional[str] = Field(alias="idempotencyKey", default=None)
    "Any text of 1 to 255 characters that is yours and new: the same request with the same key makes nothing again, and is answered with what it made the first time. Kept for a day at least."
    image_pattern: str = Field(alias="imagePattern")
    "An anchored glob over repository and, after a colon, tag: `*` stays within one path component, `**` crosses them."
    max_failure_rate: float = Field(alias="maxFailureRate", default=0.2)
    "Failed / (running + failed) above this stops the rollout; 0 to 1."
    max_rates: Optional["KindRatesInput"] = Field(alias="maxRates", default=None)
    "Limits for kinds of failure."
    min_outcomes: int = Field(alias="minOutcomes", default=5)
    "How many outcomes it takes to stop while others are still expected."
    pace: Optional["PaceInput"] = None
    "How fast devices are let in."
    pickup_minutes: float = Field(alias="pickupMinutes", default=15)
    "How long a batch waits for a device to poll before another takes its place."
    priority: int = 0
    "Of two policies for a device the one with the higher governs it."
    provenance: Optional["ProvenanceInput"] = None
    "What an image must come with; null is nothing."
    quarantine_after: Optional[int] = Field(alias="quarantineAfter", default=None)
    "A device that failed in so many rollouts in a row is set aside."
    registry: Optional["RegistryRulesInput"] = None
    "What the registry is asked, and what its answers decide."
    retries: Optional["RetriesInput"] = None
    "Who is offered the image again after a failure."
    rollback_mode: RollbackMode = Field(alias="rollbackMode", default=RollbackMode.ALL)
    "Everybody; everybody, the failed batch first; or failed devices alone."
    schedule: Optional["ScheduleInput"] = None
    "When devices may be offered the image."
    soak_minutes: float = Field(alias="soakMinutes", default=1)
    "How long that is."
    staged_batches: int = Field(alias="stagedBatches", default=3)
    "How many batches; 3 is 10 %, 50 % and 100 % of the devices."
    stages: list["StageInput"] = Field(default_factory=lambda: [])
    "The batches one by one, in the place of stagedBatches."
    step_minutes: Optional[float] = Field(alias="stepMinutes", default=None)
    "The same from its last sign of progress, whichever is over first."
    stop_confidence: Optional[float] = Field(alias="stopConfidence", default=None)
    "While others are expected, stop on proof instead: when it is this sure (0.5 to 0.9999) that the true rate is too high."
    tags: Optional["TagRulesInput"] = None
    "Which tags are taken, and which of two is the newer."
    update_strategy: UpdateStrategy = Field(alias="updateStrategy")
    "Everybody at once, in batches, or in batches once an operator starts it."
    watch_minutes: float = Field(alias="watchMinutes", default=0)
    "After the last batch: a device that falls back meanwhile still counts."


class CreateRolloutInput(BaseModel):
    """An image to roll out by hand."""

    also: list[str] = Field(default_factory=lambda: [])
    "Images of other repositories that move together with it: a device has all of them or none."
    idempotency_key: Optional[str] = Field(alias="idempotencyKey", default=None)
    "Any text of 1 to 255 characters that is yours and new: the same request with the same key makes nothing again, and is answered with what it made the first time. Kept for a day at least."
    image: str
    "The image."
    policy: str
    "The policy whose devices get it, and by whose plan."


class DeletePolicyInput(BaseModel):
    """Which policy to take away."""

    expected_version: Optional[int] = Field(alias="expectedVersion", default=None)
    "Change nothing, and answer STALE_VERSION, if its version is another by now; null: whatever it is."
    id: str
    "Which one."


class DeviceFilterInput(BaseModel):
    """What devices must have in common; what is left out asks nothing."""

    fleet: Optional[str] = None
    "Of this fleet."
    online: Optional[bool] = None
    "Heard of within the last eight minutes, or not."
    runs: Optional[str] = None
    "Told to run this image now, rollouts included, by one of their services at least: `nginx` for any tag, `nginx:1.27`, `nginx@sha256:…`."
    search: Optional[str] = None
    "Words in the name, whatever the case, or the beginning of the uuid; 1 to 255 characters."
    selector: Optional[str] = None
    "With such labels, as Kubernetes reads it: `site=berlin, tier in (edge, lab), owner!=ann, !frozen`."
    set_aside: Optional[AsideKind] = Field(alias="setAside", default=None)
    "Pinned, held or quarantined now."
    standing: Optional[DeviceStanding] = None
    "Whether they may take part."


class DisablePolicyInput(BaseModel):
    """Which policy is to leave pushes alone."""

    expected_version: Optional[int] = Field(alias="expectedVersion", default=None)
    "Change nothing, and answer STALE_VERSION, if its version is another by now; null: whatever it is."
    id: str
    "Which one."


class EnablePolicyInput(BaseModel):
    """Which policy is to act on pushes."""

    expected_version: Optional[int] = Field(alias="expectedVersion", default=None)
    "Change nothing, and answer STALE_VERSION, if its version is another by now; null: whatever it is."
    id: str
    "Which one."


class KindRatesInput(BaseModel):
    """A limit of its own for a kind of failure; null: only the limit for all kinds holds."""

    failed: Optional[float] = None
    "Could not pull or start it, or the container stopped; failed / (running + failed), 0 to 1."
    refused: Optional[float] = None
    "Will not take it."
    timed_out: Optional[float] = Field(alias="timedOut", default=None)
    "Took it and stayed silent past the deadline."
    unhealthy: Optional[float] = None
    "Runs it, and it does not work."


class LabelCapInput(BaseModel):
    """At most so many devices on their way that share a value of a label."""

    devices: int = 1
    "How many at once."
    label: str
    "Such as a site's uplink, or a pair that must never both be down."


class PaceInput(BaseModel):
    """How fast devices are let in; every limit is optional, and they hold together."""

    devices_per_minute: Optional[float] = Field(alias="devicesPerMinute", default=None)
    "The most devices a minute, also for a ramp."
    max_in_flight: Optional[int] = Field(alias="maxInFlight", default=None)
    "On their way at once: offered the image, and neither proven good, nor failed, nor silent."
    max_in_flight_per_label: Optional["LabelCapInput"] = Field(alias="maxInFlightPerLabel", default=None)
    "The same for devices that share a value of a label."
    ramp: Optional["RampInput"] = None
    "Slowly at first."


class PauseRolloutInput(BaseModel):
    """Which rollout to pause."""

    expected_version: Optional[int] = Field(alias="expectedVersion", default=None)
    "Change nothing, and answer STALE_VERSION, if its version is another by now; null: whatever it is."
    id: str
    "Which one."
    reason: Optional[str] = None
    "Why, for the history."


class PolicyFilterInput(BaseModel):
    """Which policies are meant; what is left out asks nothing."""

    deleted: Optional[bool] = False
    "Those that were taken away, or those that were not; null is both."
    enabled: Optional[bool] = None
    "Whether they act on pushes."
    fleet: Optional[str] = None
    "For this fleet alone."
    search: Optional[str] = None
    "With this in their pattern, whatever the case."


class PromoteRolloutInput(BaseModel):
    """From which batch to go on."""

    batch: int
    "The open batch, from 1."
    expected_version: Optional[int] = Field(alias="expectedVersion", default=None)
    "Change nothing, and answer STALE_VERSION, if its version is another by now; null: whatever it is."
    id: str
    "Which one."
    reason: Optional[str] = None
    "Why, for the history."


class ProvenanceInput(BaseModel):
    """What an image must come with: a signature or an attestation. Without a key it is enough that it is there, by whomever."""

    predicate_type: Optional[str] = Field(alias="predicateType", default=None)
    "What an attestation must be about, such as https://slsa.dev/provenance/v1; null is anything."
    public_key: Optional[str] = Field(alias="publicKey", default=None)
    "The key it must be made with, in PEM; null verifies nothing."
    require: RequiredProof
    "What must be there."


class RampInput(BaseModel):
    """Faster with every so many devices: min(devicesPerMinute, basePerMinute × factor ^ (devices ÷ everyDevices))."""

    base_per_minute: float = Field(alias="basePerMinute")
    "Devices a minute at first."
    counts: RampCounts = RampCounts.OFFERED
    "Which devices count."
    every_devices: int = Field(alias="everyDevices")
    "How many devices make a step."
    factor: float = 2
    "How much faster with each step; 1.1 to 5."


class RegistryRulesInput(BaseModel):
    """What the registry is asked, and what its answers decide."""

    check_platforms: bool = Field(alias="checkPlatforms", default=False)
    "Whether the image must be there for the platforms of the devices."
    min_age_minutes: float = Field(alias="minAgeMinutes", default=0)
    "How long ago Rollwave must first have heard of an image before it is taken."
    poll_minutes: Optional[float] = Field(alias="pollMinutes", default=None)
    "How often the registry is asked for new tags; null is never."
    unresolved: UnresolvedTag = UnresolvedTag.AUTO
    "What to do about a pushed tag whose digest nobody can tell."


class RejectRolloutInput(BaseModel):
    """Which rollout may not start."""

    checksum: str
    "The rollout's `checksum` as you read it: another release or plan is not decided on."
    expected_version: Optional[int] = Field(alias="expectedVersion", default=None)
    "Change nothing, and answer STALE_VERSION, if its version is another by now; null: whatever it is."
    id: str
    "Which one."
    remark: Optional[str] = None
    "Why."


class ResumeRolloutInput(BaseModel):
    """Which rollout is to go on."""

    expected_version: Optional[int] = Field(alias="expectedVersion", default=None)
    "Change nothing, and answer STALE_VERSION, if its version is another by now; null: whatever it is."
    id: str
    "Which one."
    reason: Optional[str] = None
    "Why, for the history."


class RetriesInput(BaseModel):
    """How often a device that failed is taken back and offered the image again, before its failure counts; by kind."""

    backoff_minutes: float = Field(alias="backoffMinutes", default=5)
    "Before the first; doubled before each that follows."
    failed: int = 0
    "Could not pull or start it, or the container stopped; 0 to 10."
    refused: int = 0
    "Will not take it."
    timed_out: int = Field(alias="timedOut", default=0)
    "Took it and stayed silent past the deadline."
    unhealthy: int = 0
    "Runs it, and it does not work."


class RetryRolloutInput(BaseModel):
    """Which rollout is to try again."""

    expected_version: Optional[int] = Field(alias="expectedVersion", default=None)
    "Change nothing, and answer STALE_VERSION, if its version is another by now; null: whatever it is."
    id: str
    "Which one."
    reason: Optional[str] = None
    "Why, for the history."


class RollBackRolloutInput(BaseModel):
    """Which rollout to take back."""

    expected_version: Optional[int] = Field(alias="expectedVersion", default=None)
    "Change nothing, and answer STALE_VERSION, if its version is another by now; null: whatever it is."
    id: str
    "Which one."
    reason: Optional[str] = None
    "Why, for the history."


class RolloutFilterInput(BaseModel):
    """Which rollouts are meant; what is left out asks nothing."""

    created_since: Optional[datetime] = Field(alias="createdSince", default=None)
    "Not created before."
    created_until: Optional[datetime] = Field(alias="createdUntil", default=None)
    "Created before."
    fleet: Optional[str] = None
    "For this fleet alone."
    policy: Optional[str] = None
    "Of this policy."
    search: Optional[str] = None
    "With this in the name of their image."
    status: Optional[list[RolloutStatus]] = None
    "In one of these states."


class ScheduleInput(BaseModel):
    """When devices may be offered the image."""

    not_after: Optional[datetime] = Field(alias="notAfter", default=None)
    "No more devices are offered the image after; the rollout ends there."
    not_before: Optional[datetime] = Field(alias="notBefore", default=None)
    "Nothing starts before."
    timezone: str = "UTC"
    "For windows without one and devices without one."
    timezone_label: str = Field(alias="timezoneLabel", default="timezone")
    "The label that names a device's time zone."
    windows: list["WindowInput"] = Field(default_factory=lambda: [])
    "Devices are offered the image, and take it, only while one is open."


class StageInput(BaseModel):
    """One batch: sharePercent, devices or canaries. What is null is as the policy says."""

    canaries: list[UUID] = Field(default_factory=lambda: [])
    "These devices, by uuid; stages with canaries come first."
    checks: Optional[list[str]] = None
    "The names of the checks that are made of it; null is all."
    delay_minutes: Optional[float] = Field(alias="delayMinutes", default=None)
    "From the batch having proved itself until the next one opens."
    devices: Optional[int] = None
    "The same as a number of devices."
    manual_promotion: bool = Field(alias="manualPromotion", default=False)
    "After it an operator is awaited."
    max_failure_rate: Optional[float] = Field(alias="maxFailureRate", default=None)
    "Failed / (running + failed) of this batch above this stops the rollout."
    min_outcomes: Optional[int] = Field(alias="minOutcomes", default=None)
    "How many outcomes that takes while others are still expected."
    share_percent: Optional[float] = Field(alias="sharePercent", default=None)
    "How many have been offered the image once this stage is open, those before included."
    soak_minutes: Optional[float] = Field(alias="soakMinutes", default=None)
    "How long a device must run the image, healthy."


class StartRolloutInput(BaseModel):
    """Which rollout to start."""

    expected_version: Optional[int] = Field(alias="expectedVersion", default=None)
    "Change nothing, and answer STALE_VERSION, if its version is another by now; null: whatever it is."
    id: str
    "Which one."
    reason: Optional[str] = None
    "Why, for the history."


class TagRulesInput(BaseModel):
    """Which tags are taken, and which is newer. By default any; of versions none that is older, a prerelease or another variant."""

    exclude: list[str] = Field(default_factory=lambda: ["*.sig", "*.att", "*.sbom"])
    "No tag that one of these globs matches."
    include: list[str] = Field(default_factory=lambda: [])
    "Only tags that one of these globs matches; none is all."
    level: Optional[TagLevel] = None
    "Only versions, and no further from what a device runs: any newer one, of the same major, of the same minor."
    moving: list[str] = Field(default_factory=lambda: [])
    "Tags such as stable: taken whenever they are pushed, whatever devices run; devices on them wait for that."
    order: TagOrder = TagOrder.VERSION
    "What makes one tag newer than another."
    prereleases: bool = False
    "Whether 1.28.0-rc.1 is taken by devices that run no prerelease; those that do take the next one anyway."
    range_: Optional[str] = Field(alias="range", default=None)
    "Only versions in this range, as npm writes it: >=1.2 <2, ~1.27, 1.x || 3.x."
    regex: Optional[str] = None
    "Only tags that this RE2 expression matches as a whole, ordered by its group: that named version, or the first."
    same_variant: bool = Field(alias="sameVariant", default=True)
    "Whether a device on 1.26-alpine is kept from 1.27 and from 1.27-perl."


class UnblockReleaseInput(BaseModel):
    """Which release may be rolled out again."""

    expected_version: Optional[int] = Field(alias="expectedVersion", default=None)
    "Change nothing, and answer STALE_VERSION, if its version is another by now; null: whatever it is."
    id: str
    "The policy under which it was rolled back."
    image: str
    "The release, by its digest or its tag."


class WindowInput(BaseModel):
    """A maintenance window that comes again and again."""

    cron: str
    "When it opens: minute, hour, day of month, month, day of week."
    minutes: float
    "For how long it stays open, by elapsed time."
    timezone: Optional[str] = None
    "Whose clock is meant, as an IANA name; null is that of each device."


CreatePolicyInput.model_rebuild()
PaceInput.model_rebuild()
ScheduleInput.model_rebuild()
