"""May the batch go on?"""

from datetime import datetime

import orjson

from domain.checks import Measurement, Result, WebhookGate
from monitor.checks.outside import NoAnswer, Outside


async def measure(outside: Outside, gate: WebhookGate, payload: dict[str, object], at: datetime) -> Measurement:
    """POST what is about to happen, as JSON: 2xx goes on; anything else is inconclusive and holds, with the body's beginning as reason.

    The payload should tell one question from every other (rollout, image, stage, a checksum of release and plan), so that nobody's answer
    to an earlier one is taken for it (Flagger).
    """
    try:
        answer = await outside.ask("POST", gate.url, gate.timeout_seconds, orjson.dumps(payload), "application/json")
    except NoAnswer as why:
        return Measurement.of(at, Result.ERROR, str(why))
    return Measurement.of(at, Result.SUCCESS if answer.is_good else Result.INCONCLUSIVE, str(answer))
