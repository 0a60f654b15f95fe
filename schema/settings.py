"""The parts of a policy that are more than one value, as they are read and, with the same fields, as they are written."""

from dataclasses import fields
from datetime import datetime
from typing import Any, Self

import strawberry

from domain.checks import CheckSettings
from domain.tags import DEFAULT_EXCLUDE
from schema.described import described_like
from schema.enums import CheckKind, Counts, Level, Order, Proof, Unresolved
from schema.scalars import UUID


@strawberry.type(description="A limit of its own for a kind of failure; null: only the limit for all kinds holds.")
class KindRates:
    failed: float | None = strawberry.field(
        description="Could not pull or start it, or the container stopped; failed / (running + failed), 0 to 1."
    )
    unhealthy: float | None = strawberry.field(description="Runs it, and it does not work.")
    refused: float | None = strawberry.field(description="Will not take it.")
    timed_out: float | None = strawberry.field(description="Took it and stayed silent past the deadline.")


@described_like(KindRates)
@strawberry.input(description="A limit of its own for a kind of failure; null: only the limit for all kinds holds.")
class KindRatesInput:
    failed: float | None = None
    unhealthy: float | None = None
    refused: float | None = None
    timed_out: float | None = None


@strawberry.type(description="One batch: sharePercent, devices or canaries. What is null is as the policy says.")
class Stage:
    share_percent: float | None = strawberry.field(
        description="How many have been offered the image once this stage is open, those before included."
    )
    devices: int | None = strawberry.field(description="The same as a number of devices.")
    canaries: list[UUID] = strawberry.field(description="These devices, by uuid; stages with canaries come first.")
    delay_minutes: float | None = strawberry.field(description="From the batch having proved itself until the next one opens.")
    soak_minutes: float | None = strawberry.field(description="How long a device must run the image, healthy.")
    max_failure_rate: float | None = strawberry.field(description="Failed / (running + failed) of this batch above this stops the rollout.")
    min_outcomes: int | None = strawberry.field(description="How many outcomes that takes while others are still expected.")
    manual_promotion: bool = strawberry.field(description="After it an operator is awaited.")
    checks: list[str] | None = strawberry.field(description="The names of the checks that are made of it; null is all.")


@described_like(Stage)
@strawberry.input(description="One batch: sharePercent, devices or canaries. What is null is as the policy says.")
class StageInput:
    share_percent: float | None = None
    devices: int | None = None
    canaries: list[UUID] = strawberry.field(default_factory=list)
    delay_minutes: float | None = None
    soak_minutes: float | None = None
    max_failure_rate: float | None = None
    min_outcomes: int | None = None
    manual_promotion: bool = False
    checks: list[str] | None = None


@strawberry.type(description="Faster with every so many devices: min(devicesPerMinute, basePerMinute × factor ^ (devices ÷ everyDevices)).")
class Ramp:
    base_per_minute: float = strawberry.field(description="Devices a minute at first.")
    factor: float = strawberry.field(description="How much faster with each step; 1.1 to 5.")
    every_devices: int = strawberry.field(description="How many devices make a step.")
    counts: Counts = strawberry.field(description="Which devices count.")


@described_like(Ramp)
@strawberry.input(
    description="Faster with every so many devices: min(devicesPerMinute, basePerMinute × factor ^ (devices ÷ everyDevices))."
)
class RampInput:
    base_per_minute: float
    factor: float = 2
    every_devices: int
    counts: Counts = Counts.OFFERED


@strawberry.type(description="At most so many devices on their way that share a value of a label.")
class LabelCap:
    label: str = strawberry.field(description="Such as a site's uplink, or a pair that must never both be down.")
    devices: int = strawberry.field(description="How many at once.")


@described_like(LabelCap)
@strawberry.input(description="At most so many devices on their way that share a value of a label.")
class LabelCapInput:
    label: str
    devices: int = 1


@strawberry.type(description="How fast devices are let in; every limit is optional, and they hold together.")
class Pace:
    devices_per_minute: float | None = strawberry.field(description="The most devices a minute, also for a ramp.")
    ramp: Ramp | None = strawberry.field(description="Slowly at first.")
    max_in_flight: int | None = strawberry.field(
        description="On their way at once: offered the image, and neither proven good, nor failed, nor silent."
    )
    max_in_flight_per_label: LabelCap | None = strawberry.field(description="The same for devices that share a value of a label.")


@described_like(Pace)
@strawberry.input(description="How fast devices are let in; every limit is optional, and they hold together.")
class PaceInput:
    devices_per_minute: float | None = None
    ramp: RampInput | None = None
    max_in_flight: int | None = None
    max_in_flight_per_label: LabelCapInput | None = None


@strawberry.type(description="A maintenance window that comes again and again.")
class Window:
    cron: str = strawberry.field(description="When it opens: minute, hour, day of month, month, day of week.")
    minutes: float = strawberry.field(description="For how long it stays open, by elapsed time.")
    timezone: str | None = strawberry.field(description="Whose clock is meant, as an IANA name; null is that of each device.")


@described_like(Window)
@strawberry.input(description="A maintenance window that comes again and again.")
class WindowInput:
    cron: str
    minutes: float
    timezone: str | None = None


@strawberry.type(description="When devices may be offered the image.")
class Schedule:
    not_before: datetime | None = strawberry.field(description="Nothing starts before.")
    not_after: datetime | None = strawberry.field(description="No more devices are offered the image after; the rollout ends there.")
    windows: list[Window] = strawberry.field(description="Devices are offered the image, and take it, only while one is open.")
    timezone: str = strawberry.field(description="For windows without one and devices without one.")
    timezone_label: str = strawberry.field(description="The label that names a device's time zone.")


@described_like(Schedule)
@strawberry.input(description="When devices may be offered the image.")
class ScheduleInput:
    not_before: datetime | None = None
    not_after: datetime | None = None
    windows: list[WindowInput] = strawberry.field(default_factory=list)
    timezone: str = "UTC"
    timezone_label: str = "timezone"


@strawberry.type(
    description="How often a device that failed is taken back and offered the image again, before its failure counts; by kind."
)
class Retries:
    failed: int = strawberry.field(description="Could not pull or start it, or the container stopped; 0 to 10.")
    unhealthy: int = strawberry.field(description="Runs it, and it does not work.")
    refused: int = strawberry.field(description="Will not take it.")
    timed_out: int = strawberry.field(description="Took it and stayed silent past the deadline.")
    backoff_minutes: float = strawberry.field(description="Before the first; doubled before each that follows.")


@described_like(Retries)
@strawberry.input(
    description="How often a device that failed is taken back and offered the image again, before its failure counts; by kind."
)
class RetriesInput:
    failed: int = 0
    unhealthy: int = 0
    refused: int = 0
    timed_out: int = 0
    backoff_minutes: float = 5


@strawberry.type(
    description="A health check that the server makes itself, from outside: http and tcp of each device that runs the image, "
    "prometheus and webhook of a batch whose devices have answered."
)
class Check:
    name: str = strawberry.field(description="What people call it; stages name the checks they need.")
    kind: CheckKind = strawberry.field(description="What is asked; each kind has fields of its own.")
    url: str | None = strawberry.field(
        description="http and webhook: where. In http {uuid}, {name}, {fleet} and {address} stand for the device's."
    )
    expected_statuses: str | None = strawberry.field(description="http: such as 200-299, 401.")
    host: str | None = strawberry.field(description="tcp: where; {address} stands for the device's.")
    port: int | None = strawberry.field(description="tcp: 1 to 65535.")
    base_url: str | None = strawberry.field(description="prometheus: where it is.")
    query: str | None = strawberry.field(description="prometheus: one that gives one number.")
    success_condition: str | None = strawberry.field(
        description="prometheus: such as result < 0.05; a number between both conditions is left to an operator."
    )
    failure_condition: str | None = strawberry.field(description="prometheus: such as result >= 0.2.")
    interval_seconds: float | None = strawberry.field(description="From one measurement to the next; 60.")
    timeout_seconds: float | None = strawberry.field(description="For one measurement; 10.")
    count: int | None = strawberry.field(description="So many successes pass the check; 1. A webhook passes with its first 2xx.")
    failure_limit: int | None = strawberry.field(description="So many failures are tolerated; 0.")
    inconclusive_limit: int | None = strawberry.field(
        description="So many measurements that tell nothing are tolerated before an operator is asked; 0."
    )
    consecutive_error_limit: int | None = strawberry.field(
        description="So many errors in a row are tolerated before an operator is asked; 4."
    )

    @classmethod
    def of(cls, check: CheckSettings) -> Self:
        nothing: dict[str, Any] = {field.name: None for field in fields(cls)}
        return cls(**nothing | check.model_dump())


@described_like(Check)
@strawberry.input(
    description="A health check that the server makes itself, from outside: http and tcp of each device that runs the image, "
    "prometheus and webhook of a batch whose devices have answered."
)
class CheckInput:
    name: str
    kind: CheckKind
    url: str | None = None
    expected_statuses: str | None = None
    host: str | None = None
    port: int | None = None
    base_url: str | None = None
    query: str | None = None
    success_condition: str | None = None
    failure_condition: str | None = None
    interval_seconds: float | None = None
    timeout_seconds: float | None = None
    count: int | None = None
    failure_limit: int | None = None
    inconclusive_limit: int | None = None
    consecutive_error_limit: int | None = None


@strawberry.type(
    description="Which tags are taken, and which is newer. By default any; of versions none that is older, a prerelease or another variant."
)
class TagRules:
    range: str | None = strawberry.field(description="Only versions in this range, as npm writes it: >=1.2 <2, ~1.27, 1.x || 3.x.")
    level: Level | None = strawberry.field(
        description="Only versions, and no further from what a device runs: any newer one, of the same major, of the same minor."
    )
    prereleases: bool = strawberry.field(
        description="Whether 1.28.0-rc.1 is taken by devices that run no prerelease; those that do take the next one anyway."
    )
    same_variant: bool = strawberry.field(description="Whether a device on 1.26-alpine is kept from 1.27 and from 1.27-perl.")
    regex: str | None = strawberry.field(
        description="Only tags that this RE2 expression matches as a whole, ordered by its group: that named version, or the first."
    )
    include: list[str] = strawberry.field(description="Only tags that one of these globs matches; none is all.")
    exclude: list[str] = strawberry.field(description="No tag that one of these globs matches.")
    order: Order = strawberry.field(description="What makes one tag newer than another.")
    moving: list[str] = strawberry.field(
        description="Tags such as stable: taken whenever they are pushed, whatever devices run; devices on them wait for that."
    )


@described_like(TagRules)
@strawberry.input(
    description="Which tags are taken, and which is newer. By default any; of versions none that is older, a prerelease or another variant."
)
class TagRulesInput:
    range: str | None = None
    level: Level | None = None
    prereleases: bool = False
    same_variant: bool = True
    regex: str | None = None
    include: list[str] = strawberry.field(default_factory=list)
    exclude: list[str] = strawberry.field(default_factory=lambda: list(DEFAULT_EXCLUDE))
    order: Order = Order.VERSION
    moving: list[str] = strawberry.field(default_factory=list)


@strawberry.type(description="What the registry is asked, and what its answers decide.")
class RegistryRules:
    unresolved: Unresolved = strawberry.field(description="What to do about a pushed tag whose digest nobody can tell.")
    poll_minutes: float | None = strawberry.field(description="How often the registry is asked for new tags; null is never.")
    min_age_minutes: float = strawberry.field(description="How long ago Rollwave must first have heard of an image before it is taken.")
    check_platforms: bool = strawberry.field(description="Whether the image must be there for the platforms of the devices.")


@described_like(RegistryRules)
@strawberry.input(description="What the registry is asked, and what its answers decide.")
class RegistryRulesInput:
    unresolved: Unresolved = Unresolved.AUTO
    poll_minutes: float | None = None
    min_age_minutes: float = 0
    check_platforms: bool = False


@strawberry.type(
    description="What an image must come with: a signature or an attestation. Without a key it is enough that it is there, by whomever."
)
class Provenance:
    require: Proof = strawberry.field(description="What must be there.")
    public_key: str | None = strawberry.field(description="The key it must be made with, in PEM; null verifies nothing.")
    predicate_type: str | None = strawberry.field(
        description="What an attestation must be about, such as https://slsa.dev/provenance/v1; null is anything."
    )


@described_like(Provenance)
@strawberry.input(
    description="What an image must come with: a signature or an attestation. Without a key it is enough that it is there, by whomever."
)
class ProvenanceInput:
    require: Proof
    public_key: str | None = None
    predicate_type: str | None = None
