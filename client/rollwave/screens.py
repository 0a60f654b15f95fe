"""Shows a rollout while it moves: a bar in a terminal, lines anywhere else. Beside the result, on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich import progress as bars
from rich.console import Console
from rich.table import Column
from rich.text import Text

from rollwave.api.enums import RolloutStatus
from rollwave.api.fragments import Progress
from rollwave.output import complain, console
from rollwave.words import counted, glimpse, printable, standing

COLOURS = {
    RolloutStatus.COMPLETED: "green",
    RolloutStatus.PAUSED: "yellow",
    RolloutStatus.PENDING: "yellow",
    RolloutStatus.ROLLING_BACK: "magenta",
    RolloutStatus.ROLLED_BACK: "magenta",
}
# Of 80 columns: “rollout 1234”, the share, the time and what is between them take 27, so that 37 are left to say where it is.
WIDTH = 16


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
    """How many devices are through, drawn over itself."""

    def __init__(self, drawn: bars.Progress, name: str, *, has_trials: bool) -> None:
        self._drawn = drawn
        self._has_trials = has_trials
        self._task = drawn.add_task(printable(name), total=None, share="", where=Text("…"))

    def show(self, progress: Progress) -> None:
        done, total = proven(progress, has_trials=self._has_trials), progress.total_devices
        where = Text(glimpse(progress), COLOURS.get(progress.status, "cyan"), no_wrap=True, overflow="ellipsis")
        # Rounded down: 999 of 1,000 are not 100 %.
        self._drawn.update(self._task, completed=done, total=total or None, share=f"{100 * done // total}%" if total else "", where=where)

    def note(self, sentence: str) -> None:
        self._drawn.console.print(printable(sentence))


class Where(bars.ProgressColumn):
    """Takes what the others leave of the line, and is cut there."""

    def render(self, task: bars.Task) -> Text:
        where: Text = task.fields["where"]
        return where


def proven(progress: Progress, *, has_trials: bool) -> int:
    """How many devices run the image with no trial ahead of them."""
    on_trial = has_trials and progress.status is not RolloutStatus.COMPLETED
    return progress.devices.healthy + (0 if on_trial else progress.devices.updated)


@contextmanager
def screen(name: str, *, has_trials: bool, lines: bool = False) -> Iterator[Screen]:
    """A bar, or lines where there is no terminal or nobody wants one."""
    terminal = console(stderr=True)
    if lines or not terminal.is_terminal:
        yield Lines()
        return
    with _bar(terminal) as drawn:
        yield Bar(drawn, name, has_trials=has_trials)


def _bar(terminal: Console) -> bars.Progress:
    name, share = bars.TextColumn("{task.description}", markup=False), bars.TextColumn("{task.fields[share]:>4}", markup=False)
    time = bars.TimeElapsedColumn(table_column=Column(no_wrap=True))
    return bars.Progress(name, bars.BarColumn(WIDTH, table_column=Column(no_wrap=True)), share, Where(), time, console=terminal)
