"""What happens to a rollout, in plain words: a line for each thing, and one line together for devices that say the same."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from domain.events import EventType
from domain.statuses import DeviceStatus
from tools.api import Event, Progress

LAST = frozenset({EventType.ROLLOUT_COMPLETED, EventType.ROLLOUT_CANCELLED, EventType.ROLLOUT_SUPERSEDED, EventType.ROLLOUT_ROLLED_BACK})
"""After one of these nothing more happens to a rollout."""

COUNTED = {
    DeviceStatus.HEALTHY: "healthy",
    DeviceStatus.UPDATED: "on trial",
    DeviceStatus.UPDATING: "pulling",
    DeviceStatus.SCHEDULED: "offered",
    DeviceStatus.FAILED: "failed",
    DeviceStatus.TIMED_OUT: "silent too long",
    DeviceStatus.ROLLING_BACK: "going back",
    DeviceStatus.ROLLED_BACK: "back",
    DeviceStatus.SKIPPED: "left out",
    DeviceStatus.PENDING: "waiting",
}

# What one device says, and what several do.
_OF_DEVICES = {
    EventType.DEVICE_UPDATED: ("device runs {image}", "devices run {image}"),
    EventType.DEVICE_FAILED: ("device failed ({reason})", "devices failed ({reason})"),
    EventType.HEALTH_CHECK_FAILED: ("device ran it, and then failed ({reason})", "devices ran it, and then failed ({reason})"),
    EventType.DEVICE_ROLLED_BACK: ("device is back on {previous}", "devices are back on {previous}"),
}

_OF_ROLLOUT = {
    EventType.WEBHOOK_RECEIVED: "the webhook came from {sender}: {decision}",
    EventType.ROLLOUT_ENROLLED: "{total_devices} devices are ranked, in {total_batches} batches",
    EventType.ROLLOUT_STARTED: "the rollout starts",
    EventType.BATCH_COMPLETED: "batch {batch_number} of {total_batches} has proved itself",
    EventType.ROLLOUT_PAUSED: "paused: {reason}",
    EventType.ROLLOUT_RESUMED: "{actor} lets it go on",
    EventType.ROLLOUT_COMPLETED: "completed",
    EventType.ROLLOUT_CANCELLED: "{actor} cancelled it",
    EventType.ROLLOUT_SUPERSEDED: "{reason}",
    EventType.ROLLBACK_STARTED: "{reason} → rolling everybody back",
    EventType.ROLLOUT_ROLLED_BACK: "{who} back; this release is blocked",
}


@dataclass(slots=True)
class Line:
    """Something that happened, so long after the first thing did."""

    after: timedelta
    text: str

    def __str__(self) -> str:
        return f"{self.after.total_seconds():4.0f} s  {self.text}"


@dataclass(slots=True)
class Tale:
    """The lines so far. The last few may still grow, until something happens that concerns the whole rollout."""

    lines: list[Line] = field(default_factory=list)
    settled: int = 0
    """Lines before this one do not change any more."""
    _began: datetime | None = None
    _devices: dict[tuple[str, str], tuple[int, Line]] = field(default_factory=dict)
    _batch: int = 0

    def add(self, event: Event) -> None:
        """Tell of something that happened."""
        self._began = self._began or event.at
        if event.name in _OF_DEVICES:
            self._count(event, *_of_devices(event))
        elif sentence := self._sentence(event):
            self._line(event, sentence)
            self.settle()

    def settle(self) -> None:
        """End the lines that could still grow."""
        self._devices.clear()
        self.settled = len(self.lines)

    def _count(self, event: Event, one: str, several: str) -> None:
        count, line = self._devices.get((one, several)) or (0, self._line(event, ""))
        self._devices[one, several] = (count + 1, line)
        line.after, line.text = event.at - (self._began or event.at), f"{count + 1} {several if count else one}"

    def _line(self, event: Event, text: str) -> Line:
        assert self._began is not None, "the first event began it"
        line = Line(event.at - self._began, text)
        self.lines.append(line)
        return line

    def _sentence(self, event: Event) -> str | None:
        if event.name == EventType.BATCH_STARTED:
            return self._opening(event.data)
        template = _OF_ROLLOUT.get(EventType(event.name))
        return None if template is None else template.format_map(_Particulars(event.data | {"who": _who_is(event.data)}))

    def _opening(self, data: dict[str, Any]) -> str:
        """A batch opens, or opens further for members who take the places of silent ones."""
        count, number = data["end_rank"] - data["first_rank"], data["batch_number"]
        further, self._batch = number == self._batch, number
        if further:
            return f"{count} more, in the place of silent ones"
        return f"batch {number} of {data['total_batches']} opens: {devices(count)}"


class _Particulars(dict[str, Any]):
    def __missing__(self, name: str) -> str:
        return f"no {name}"


def devices(count: int) -> str:
    """So many devices."""
    return f"{count} device{'' if count == 1 else 's'}"


def counts(progress: Progress) -> list[tuple[DeviceStatus, int]]:
    """Where the devices are, those nowhere left out, in the order in which they move."""
    return [(status, progress.devices[status]) for status in COUNTED if progress.devices.get(status)]


def where(progress: Progress) -> str:
    """The rollout's state in a line."""
    batch = f", batch {progress.current_batch} of {progress.total_batches}" if progress.current_batch else ""
    return f"{progress.status.replace('_', ' ')}{batch}"


def _who_is(data: dict[str, Any]) -> str:
    """Who has returned: a device that was silent since may not have."""
    missing = data.get("devices", {}).get(DeviceStatus.ROLLING_BACK, 0)
    return f"all but {devices(missing)} are" if missing else "everybody is"


def _of_devices(event: Event) -> tuple[str, str]:
    said = _Particulars(event.data | {"previous": ", ".join(event.data.get("rolled_back_to", []))})
    one, several = _OF_DEVICES[EventType(event.name)]
    return one.format_map(said), several.format_map(said)
