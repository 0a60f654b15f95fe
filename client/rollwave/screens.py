"""Shows a rollout while it moves: a bar in a terminal, lines anywhere else. Beside the result, on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich import progress as bars
from rich.console import Console
from rich.markup import escape

from rollwave.api.enums import RolloutStatus
from rollwave.api.fragments import Progress
from rollwave.output import complain, console
from rollwave.words import counted, printable, standing

COLOURS = {
    RolloutStatus.COMPLETED: "green",
    RolloutStatus.PAUSED: "yellow",
    RolloutStatus.PENDING: "yellow",
    RolloutStatus.ROLLING_BACK: "magenta",
    RolloutStatus.ROLLED_BACK: "magenta",
}


class Screen(Protocol):
    """Where progress is shown."""

    def show(self, progress: Progress) -> None:
        """Where it is now."""

    def note(self, sentence: str) -> None:
        """Something that happened beside it."""


class Lines:
    """A line whenever something is new."""

    def __init__(self) -> None:
        self._last = ""

    def show(self, progress: Progress) -> None:
        line = f"{standing(progress)}: {counted(progress)}"
        if line != self._last:
            complain(line)
        self._last = line

    def note(self, sentence: str) -> None:
        complain(sentence)


class Bar:
    """How many devices run the image, drawn over itself."""

    def __init__(self, drawn: bars.Progress, name: str) -> None:
        self._drawn = drawn
        self._task = drawn.add_task(escape(printable(name)), total=None, where="…", devices="")

    def show(self, progress: Progress) -> None:
        colour = COLOURS.get(progress.status, "cyan")
        running = progress.devices.updated + progress.devices.healthy
        self._drawn.update(
            self._task, completed=running, total=progress.total_devices or None,
            where=f"[{colour}]{escape(standing(progress))}[/]", devices=escape(counted(progress)),
        )  # fmt: skip

    def note(self, sentence: str) -> None:
        self._drawn.console.print(printable(sentence))


@contextmanager
def screen(name: str, *, lines: bool = False) -> Iterator[Screen]:
    """A bar, or lines where there is no terminal or nobody wants one."""
    terminal = console(stderr=True)
    if lines or not terminal.is_terminal:
        yield Lines()
        return
    with _bar(terminal) as drawn:
        yield Bar(drawn, name)


def _bar(terminal: Console) -> bars.Progress:
    where = bars.TextColumn("{task.fields[where]}\n{task.fields[devices]}")
    columns = (bars.TextColumn("{task.description}"), bars.BarColumn(), bars.TaskProgressColumn(), where, bars.TimeElapsedColumn())
    return bars.Progress(*columns, console=terminal)
