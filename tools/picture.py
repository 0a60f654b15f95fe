"""A rollout as it stands: drawn in a terminal, or told in lines where there is none."""

from collections import Counter
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.text import Text

from domain.statuses import DeviceStatus, Status
from tools.api import Batch, Progress
from tools.fleet import Fleet
from tools.words import COUNTED, Tale, counts, where

EVENTS = 8
WIDEST = 100

COLOURS = {
    DeviceStatus.HEALTHY: "green",
    DeviceStatus.UPDATED: "cyan",
    DeviceStatus.UPDATING: "yellow",
    DeviceStatus.SCHEDULED: "blue",
    DeviceStatus.FAILED: "red",
    DeviceStatus.TIMED_OUT: "bright_red",
    DeviceStatus.ROLLING_BACK: "magenta",
    DeviceStatus.ROLLED_BACK: "white",
    DeviceStatus.SKIPPED: "bright_black",
    DeviceStatus.PENDING: "bright_black",
}
_STATUS_COLOURS = {Status.COMPLETED: "green", Status.ROLLING_BACK: "magenta", Status.ROLLED_BACK: "magenta", Status.PAUSED: "yellow"}


@dataclass(slots=True)
class Picture:
    """What is known of a rollout now; whoever follows it keeps it true."""

    image: str
    service: str
    fleet: Fleet
    progress: Progress | None = None
    batches: list[Batch] = field(default_factory=list)
    tale: Tale = field(default_factory=Tale)

    def really(self) -> str:
        """What the fleet runs by its own account, not by the server's."""
        running, exited = self.fleet.running_images(self.service), self.fleet.exited_images(self.service)
        silent = len(self.fleet.devices) - len(self.fleet.awake)
        changing = len(self.fleet.awake) - running.total() - exited.total()
        rest = [f"{count} {what}" for count, what in ((changing, "between two images"), (silent, "switched off")) if count]
        return ", ".join([*_each(running, ""), *_each(exited, " (exited)"), *rest])

    def drawn(self, width: int) -> RenderableType:
        """The picture, no wider than the terminal."""
        inside = min(width, WIDEST) - 4
        parts = [self._head(), *self._bars(inside), Text(f"really running: {self.really()}"), Text()]
        # Always as many lines, or the picture would jump.
        lines = [str(line) for line in self.tale.lines[-EVENTS:]] + [""] * EVENTS
        parts += [Text(line, no_wrap=True, overflow="ellipsis") for line in lines[:EVENTS]]
        return Panel(Group(*parts), title=f"rollout of {self.image}", title_align="left", width=inside + 4)

    def told(self) -> str:
        """The picture in a line."""
        if self.progress is None:
            return "waiting for the first word of it"
        numbers = ", ".join(f"{count} {COUNTED[status]}" for status, count in counts(self.progress))
        return f"{where(self.progress)}: {numbers} | really running: {self.really()}"

    def _head(self) -> Text:
        if self.progress is None:
            return Text("waiting for the first word of it")
        offered = f" · {self.progress.offered_devices} of {self.progress.total_devices} devices are offered it"
        return Text.assemble((where(self.progress), f"bold {_STATUS_COLOURS.get(self.progress.status, 'cyan')}"), offered)

    def _bars(self, width: int) -> list[Text]:
        if self.progress is None or not self.progress.total_devices:
            return [Text(), Text(), Text()]
        return [_bar(self.progress, width), self._ruler(self.progress, width), _legend(self.progress)]

    def _ruler(self, progress: Progress, width: int) -> Text:
        """Where the batches end, below the bar."""
        ruler, ends = Text(no_wrap=True), _scaled([batch.planned_devices for batch in self.batches], width)
        for batch, cells in zip(self.batches, ends, strict=True):
            style = "bold" if batch.number == progress.current_batch else "bright_black"
            label = f" batch {batch.number} " if cells > len(" batch 1 ") else f"{batch.number}"
            ruler.append(f"{label.center(cells - 1, '─')}┘"[-cells:] if cells else "", style)
        return ruler


def _bar(progress: Progress, width: int) -> Text:
    shown = counts(progress)
    cells = _scaled([count for _, count in shown], width)
    return Text.assemble(
        *((("░" if status is DeviceStatus.PENDING else "█") * n, COLOURS[status]) for (status, _), n in zip(shown, cells, strict=True))
    )


def _legend(progress: Progress) -> Text:
    parts = [part for status, count in counts(progress) for part in (("■ ", COLOURS[status]), f"{count} {COUNTED[status]}   ")]
    return Text.assemble(*parts)


def _scaled(numbers: list[int], width: int) -> list[int]:
    """Cells for each number that add up to the width, however they round."""
    total, done, cells = sum(numbers), 0, list[int]()
    for number in numbers:
        done += number
        cells.append(round(width * done / total) - sum(cells))
    return cells


def _each(images: Counter[str], note: str) -> list[str]:
    return [f"{count} × {image}{note}" for image, count in sorted(images.items())]
