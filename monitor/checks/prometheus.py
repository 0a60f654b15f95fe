"""What do the metrics say about the batch?"""

from datetime import datetime
from typing import Annotated, Literal
from urllib.parse import urlencode

from pydantic import BaseModel, Field, ValidationError

from domain.checks import Measurement, PrometheusCheck, Result, weigh
from monitor.checks.outside import Answer, NoAnswer, Outside

_FORM = "application/x-www-form-urlencoded"
# [ <unix_time>, "<sample_value>" ]: numbers come as strings, since JSON has no NaN (Prometheus, “Expression query result formats”).
_Sample = tuple[float, str]


class _Series(BaseModel):
    value: _Sample


class _Vector(BaseModel):
    result_type: Literal["vector"] = Field(alias="resultType")
    result: list[_Series]


class _Scalar(BaseModel):
    result_type: Literal["scalar"] = Field(alias="resultType")
    result: _Sample


class _Found(BaseModel):
    status: Literal["success"]
    data: Annotated[_Vector | _Scalar, Field(discriminator="result_type")]


class _Refusal(BaseModel):
    status: Literal["error"]
    error_type: str = Field(alias="errorType")
    error: str


async def measure(outside: Outside, check: PrometheusCheck, at: datetime) -> Measurement:
    """Ask for the query's value now. No usable answer is an error; no series, several, and no finite number are inconclusive."""
    try:
        answer = await outside.ask(
            "POST", f"{check.base_url}/api/v1/query", check.timeout_seconds, urlencode({"query": check.query}).encode(), _FORM
        )
        numbers = _numbers(answer)
    except NoAnswer as why:
        return Measurement.of(at, Result.ERROR, str(why))
    if len(numbers) != 1:
        return Measurement.of(at, Result.INCONCLUSIVE, f"the query gives {len(numbers) or 'no'} series; it must give one")
    return Measurement.of(at, *weigh(check, numbers[0]))


def _numbers(answer: Answer) -> list[float]:
    """The numbers in an answer, one a series; raises NoAnswer."""
    if not answer.is_whole:
        raise NoAnswer("the answer is longer than 64 kB; aggregate the query to one series")
    if not answer.is_good:
        raise NoAnswer(_refusal(answer))
    try:
        data = _Found.model_validate_json(answer.body).data
        return [float(series.value[1]) for series in data.result] if isinstance(data, _Vector) else [float(data.result[1])]
    except ValueError as bad:  # pydantic's are
        raise NoAnswer(_refusal(answer)) from bad


def _refusal(answer: Answer) -> str:
    try:
        refusal = _Refusal.model_validate_json(answer.body)
    except ValidationError:
        return f"{answer}, which is no vector and no scalar of Prometheus"
    return f"{refusal.error_type}: {refusal.error}"
