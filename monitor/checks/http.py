"""Is the device's own page well?"""

from datetime import datetime

from domain.checks import HttpCheck, Measurement, Result, statuses
from domain.errors import BadInput
from domain.urls import Subject, Url
from monitor.checks.outside import NoAnswer, NotAsked, Outside


async def measure(outside: Outside, check: HttpCheck, subject: Subject, at: datetime) -> Measurement:
    """GET the device's URL. A device that cannot be named or may not be reached is an error, one that does not answer well a failure."""
    try:
        url = Url.parse(check.url).filled(subject)
        answer = await outside.ask("GET", url, check.timeout_seconds)
    except (BadInput, NotAsked) as why:
        return Measurement.of(at, Result.ERROR, str(why))
    except NoAnswer as why:
        return Measurement.of(at, Result.FAILURE, str(why))
    if any(answer.status in expected for expected in statuses(check.expected_statuses)):
        return Measurement.of(at, Result.SUCCESS, f"answered {answer.status}")
    return Measurement.of(at, Result.FAILURE, str(answer))
