"""How things are said to people."""

from datetime import UTC, datetime
from enum import Enum

from pydantic.alias_generators import to_snake

from rollwave.api.fragments import Progress

FAILURES = (" failed", " unhealthy", " refused", " timed out")


def printable(text: str) -> str:
    """Without what would move a terminal's cursor: names come from devices, and from whoever pushes images."""
    return "".join(sign if sign.isprintable() or sign == "\n" else "�" for sign in text)


def said(value: object) -> str:
    """A value as people write it."""
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case Enum():
            return words(str(value.value))
        case float():
            return f"{value:g}"
        case datetime():
            # As the server's own sentences have it: whoever reads both need not reckon.
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
        case list():
            return ", ".join(map(said, value)) or "–"
        case dict():
            return ", ".join(f"{name}={said(inner)}" for name, inner in value.items()) or "–"
    return printable(str(value))


def words(name: str) -> str:
    """IN_PROGRESS and timedOut as words."""
    return (name if name.isupper() else to_snake(name)).lower().replace("_", " ")


def place(progress: Progress) -> str:
    """Where a rollout is."""
    batch = f", batch {progress.current_batch} of {progress.total_batches}" if progress.current_batch else ""
    return f"{said(progress.status)}{batch}"


def standing(progress: Progress) -> str:
    """Where a rollout is, and why."""
    return place(progress) + (f" ({printable(progress.reason)})" if progress.reason else "")


def counted(progress: Progress) -> str:
    """Where its devices are; those who have not been offered the image go without saying."""
    return ", ".join([f"{progress.offered_devices} of {progress.total_devices} devices are offered the image", *_counts(progress)])


def glimpse(progress: Progress) -> str:
    """The same for one line that is cut where the terminal ends: failures come first."""
    counts = sorted(_counts(progress), key=lambda count: not count.endswith(FAILURES))
    return ": ".join(filter(None, [place(progress), ", ".join(counts)]))


def _counts(progress: Progress) -> list[str]:
    return [f"{count} {words(name)}" for name, count in progress.devices if count and name != "pending"]
