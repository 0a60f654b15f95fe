"""How things are said to people."""

from datetime import datetime
from enum import Enum

from pydantic.alias_generators import to_snake

from rollwave.api.fragments import Progress


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
            return f"{value.astimezone():%Y-%m-%d %H:%M:%S}"
        case list():
            return ", ".join(map(said, value)) or "–"
        case dict():
            return ", ".join(f"{name}={said(inner)}" for name, inner in value.items()) or "–"
    return printable(str(value))


def words(name: str) -> str:
    """IN_PROGRESS and timedOut as words."""
    return (name if name.isupper() else to_snake(name)).lower().replace("_", " ")


def standing(progress: Progress) -> str:
    """Where a rollout is."""
    batch = f", batch {progress.current_batch} of {progress.total_batches}" if progress.current_batch else ""
    return f"{said(progress.status)}{batch}" + (f" ({printable(progress.reason)})" if progress.reason else "")


def counted(progress: Progress) -> str:
    """Where its devices are; those who have not been offered the image go without saying."""
    counts = [f"{count} {words(name)}" for name, count in progress.devices if count and name != "pending"]
    return ", ".join([f"{progress.offered_devices} of {progress.total_devices} devices are offered the image", *counts])
