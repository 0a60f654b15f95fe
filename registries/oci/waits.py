"""When a registry wants to be asked again."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

LONGEST_WAIT = timedelta(hours=6)
"""Docker Hub's window; whoever asks for more is asked again after this."""
_SPENT = re.compile(r"[ \t]*0[ \t]*;[ \t]*w=([0-9]{1,9})[ \t]*")


def wait_of(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """How long an answer wants us to wait, from a second to six hours; Docker Hub may say “ratelimit-remaining: 0;w=21600” only."""
    said = headers.get("retry-after")
    wait = _retry_after(said, now) if said is not None else None
    if wait is None and (spent := _SPENT.fullmatch(headers.get("ratelimit-remaining", ""))):
        wait = timedelta(seconds=int(spent[1]))
    return None if wait is None else min(max(wait, timedelta(seconds=1)), LONGEST_WAIT)


def _retry_after(said: str, now: datetime) -> timedelta | None:
    if re.fullmatch(r"[0-9]+", said.strip()):
        return timedelta(seconds=int(said.strip()[:9]))
    try:
        moment = parsedate_to_datetime(said)
        return moment.replace(tzinfo=moment.tzinfo or UTC) - now
    except (ValueError, OverflowError):
        return None
