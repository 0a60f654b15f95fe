"""Does somebody listen on the device?"""

from datetime import datetime

from domain.checks import Measurement, Result, TcpCheck
from domain.errors import BadInput
from domain.urls import Subject, host_for
from monitor.checks.outside import NoAnswer, NotAsked, Outside


async def measure(outside: Outside, check: TcpCheck, subject: Subject, at: datetime) -> Measurement:
    """Connect to the device's port. A device that cannot be named or may not be reached is an error, one that refuses a failure."""
    try:
        await outside.connect(host_for(check.host, subject), check.port, check.timeout_seconds)
    except (BadInput, NotAsked) as why:
        return Measurement.of(at, Result.ERROR, str(why))
    except NoAnswer as why:
        return Measurement.of(at, Result.FAILURE, str(why))
    return Measurement.of(at, Result.SUCCESS, "connected")
