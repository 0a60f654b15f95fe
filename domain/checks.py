"""Checks that the server makes itself, from outside: what to measure, how often, and what the measurements mean together."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import isfinite
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from domain.conditions import Condition
from domain.urls import Url, checked_host_template

MOST_SAID = 500
"""Characters of a detail that are kept."""


class Result(StrEnum):
    """What one measurement showed; error means that it could not be made, which says nothing about what was to be measured."""

    SUCCESS = "success"
    FAILURE = "failure"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One look at one device, or at the batch as a whole."""

    at: datetime
    result: Result
    detail: str
    """Why, in one line for the operator; may quote what the other side said."""

    @classmethod
    def of(cls, at: datetime, result: Result, detail: str) -> Self:
        """A measurement whose detail is one printable line of at most 500 characters, whatever the other side put into it."""
        printable = "".join(character if character.isprintable() else " " for character in detail)
        return cls(at, result, " ".join(printable.split())[:MOST_SAID])


class State(StrEnum):
    """Where a check stands. Inconclusive asks for a human: the rollout pauses, it does not roll back."""

    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Where a check stands, and why, as a sentence."""

    state: State
    reason: str


def _url(text: str) -> str:
    Url.parse(text)
    return text


def _url_of_the_batch(text: str) -> str:
    if Url.parse(text).has_placeholders:
        raise ValueError("placeholders stand for one device, and this check is of the whole batch")
    return text


def _base_url(text: str) -> str:
    if "?" in _url_of_the_batch(text):
        raise ValueError("the base URL of a Prometheus has no query")
    return text.rstrip("/")


def _condition(text: str) -> str:
    Condition.parse(text)
    return text


def statuses(text: str) -> list[range]:
    """Read status codes such as “200-299, 404”; raises ValueError."""
    return [_statuses(part) for part in text.split(",")]


def _statuses(text: str) -> range:
    found = re.fullmatch(r"\s*([2-5]\d\d)(?:-([2-5]\d\d))?\s*", text, re.ASCII)
    if found is None or int(found[2] or found[1]) < int(found[1]):
        raise ValueError(f"“{text}” is no status code from 200 to 599, and no range of them such as 200-299")
    return range(int(found[1]), int(found[2] or found[1]) + 1)


def _known_statuses(text: str) -> str:
    statuses(text)
    return text


_AnyUrl = Annotated[str, Field(max_length=2000)]
ConditionText = Annotated[str, Field(max_length=200), AfterValidator(_condition)]


class _Asked(BaseModel):
    """What every check has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    interval_seconds: Annotated[float, Field(ge=1, le=86_400, allow_inf_nan=False)] = 60
    """From one measurement to the next, also after an error."""
    timeout_seconds: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 10
    """For the whole of a measurement: name, connection, TLS and answer."""


class _Metric(_Asked):
    """The limits of Argo Rollouts' metrics: what is tolerated, so that 0 tolerates none. Defaults are Argo's."""

    count: Annotated[int, Field(ge=1, le=1000)] = 1
    """So many successes pass the check."""
    failure_limit: Annotated[int, Field(ge=0, le=1000)] = 0
    inconclusive_limit: Annotated[int, Field(ge=0, le=1000)] = 0
    consecutive_error_limit: Annotated[int, Field(ge=0, le=1000)] = 4


class CheckKind(StrEnum):
    """What a check asks."""

    HTTP = "http"
    TCP = "tcp"
    PROMETHEUS = "prometheus"
    WEBHOOK = "webhook"


class HttpCheck(_Metric):
    """GET a URL of each device. A redirect is an answer like any other, and never followed."""

    kind: Literal[CheckKind.HTTP]
    url: Annotated[_AnyUrl, AfterValidator(_url)]
    expected_statuses: Annotated[str, Field(max_length=200), AfterValidator(_known_statuses)] = "200-299"


class TcpCheck(_Metric):
    """Connect to a port of each device."""

    kind: Literal[CheckKind.TCP]
    host: Annotated[str, Field(max_length=255), AfterValidator(checked_host_template)]
    port: Annotated[int, Field(ge=1, le=65535)]


class PrometheusCheck(_Metric):
    """Ask a Prometheus about the batch as a whole. With neither condition every number is left to a human."""

    kind: Literal[CheckKind.PROMETHEUS]
    base_url: Annotated[_AnyUrl, AfterValidator(_base_url)]
    query: Annotated[str, Field(min_length=1, max_length=10_000)]
    success_condition: ConditionText | None = None
    failure_condition: ConditionText | None = None


class WebhookGate(_Asked):
    """Ask somebody whether the batch may go on, every interval until they say so. It never fails a rollout, so it has no limits."""

    kind: Literal[CheckKind.WEBHOOK]
    url: Annotated[_AnyUrl, AfterValidator(_url_of_the_batch)]


CheckSettings = Annotated[HttpCheck | TcpCheck | PrometheusCheck | WebhookGate, Field(discriminator="kind")]


def weigh(check: PrometheusCheck, value: float) -> tuple[Result, str]:
    """What a number means by a check's conditions, and why. Failure is looked at first; one condition alone decides both ways (Argo)."""
    if not isfinite(value):
        return Result.INCONCLUSIVE, f"the result is {value}, which no condition can judge"
    success, failure = check.success_condition, check.failure_condition
    if failure is not None and Condition.parse(failure).holds(value):
        return Result.FAILURE, f"the result is {value}, and fails when {failure}"
    if success is not None and Condition.parse(success).holds(value):
        return Result.SUCCESS, f"the result is {value}, as wanted: {success}"
    if (success is None) == (failure is None):
        return Result.INCONCLUSIVE, f"the result is {value}, which is neither success nor failure"
    if success is None:
        return Result.SUCCESS, f"the result is {value}, and fails only when {failure}"
    return Result.FAILURE, f"the result is {value}, wanted: {success}"


def verdict(check: CheckSettings, measurements: Sequence[Measurement]) -> Verdict:
    """Where a check stands after its measurements, oldest first. Once decided it stays so, whatever was measured afterwards."""
    return _of_gate(check, measurements) if isinstance(check, WebhookGate) else _of_metric(check, measurements)


def next_measurement_at(check: CheckSettings, measurements: Sequence[Measurement], since: datetime) -> datetime | None:
    """When to measure next: at once, then every interval; None when the check is decided."""
    if verdict(check, measurements).state is not State.RUNNING:
        return None
    return measurements[-1].at + timedelta(seconds=check.interval_seconds) if measurements else since


def _of_gate(gate: WebhookGate, measurements: Sequence[Measurement]) -> Verdict:
    if any(measurement.result is Result.SUCCESS for measurement in measurements):
        return Verdict(State.PASSED, f"{gate.name}: may go on")
    if measurements:
        return Verdict(State.RUNNING, f"{gate.name}: held: {measurements[-1].detail}")
    return Verdict(State.RUNNING, f"{gate.name}: not asked yet")


def _of_metric(check: HttpCheck | TcpCheck | PrometheusCheck, measurements: Sequence[Measurement]) -> Verdict:
    """Argo's order (analysis.go, assessMetricStatus) but for two things.

    Only successes count towards `count`: Argo counts tolerated failures too, so one failure of one allowed would pass.
    Too many errors in a row pause for a human instead of rolling back: that the metrics are away says nothing about the image.
    """
    seen, errors = Counter[Result](), 0
    for measurement in measurements:
        seen[measurement.result] += 1
        errors = errors + 1 if measurement.result is Result.ERROR else 0
        if seen[Result.FAILURE] > check.failure_limit:
            return _decided(check, State.FAILED, "failed", seen[Result.FAILURE], measurement)
        if seen[Result.INCONCLUSIVE] > check.inconclusive_limit:
            return _decided(check, State.INCONCLUSIVE, "was inconclusive", seen[Result.INCONCLUSIVE], measurement)
        if errors > check.consecutive_error_limit:
            return _decided(check, State.INCONCLUSIVE, "could not be measured", errors, measurement)
        if seen[Result.SUCCESS] == check.count:
            return _decided(check, State.PASSED, "succeeded", check.count, measurement)
    return Verdict(State.RUNNING, f"{check.name}: {seen[Result.SUCCESS]} of {check.count} successes so far")


def _decided(check: _Metric, state: State, what: str, times: int, last: Measurement) -> Verdict:
    return Verdict(state, f"{check.name}: {what} {times} time{'s' if times > 1 else ''}: {last.detail}")
