"""Where the story is shown: a terminal, in which a picture moves, or a pipe, into which lines go."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress

from rich.console import Console
from rich.live import Live

from tools.picture import Picture

REDRAW_EVERY = 0.25
COUNT_EVERY = 3.0


class Screen:
    """Says things, and shows a rollout while it moves."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, text: str = "", style: str | None = None) -> None:
        """A line, never broken: what is to be copied stays whole."""
        self._console.print(text, style=style, soft_wrap=True, markup=False, highlight=False)

    @asynccontextmanager
    async def showing(self, picture: Picture) -> AsyncIterator[None]:
        """Show the picture as it changes while the block runs, and once more at its end."""
        if self._console.is_terminal:
            # Drawn by a task of ours: rich's own thread would read the picture while it changes.
            with Live(picture.drawn(self._console.width), console=self._console, auto_refresh=False) as live:
                async with _meanwhile(self._keep_drawing(live, picture)):
                    yield
                self._draw(live, picture)
        else:
            printed = _Printed(self, picture)
            async with _meanwhile(printed.keep_printing()):
                yield
            printed.finish()

    async def _keep_drawing(self, live: Live, picture: Picture) -> None:
        while True:
            self._draw(live, picture)
            await asyncio.sleep(REDRAW_EVERY)

    def _draw(self, live: Live, picture: Picture) -> None:
        live.update(picture.drawn(self._console.width), refresh=True)


class _Printed:
    """A picture for a pipe: what happened once it will not change any more, and the counts now and then."""

    def __init__(self, screen: Screen, picture: Picture) -> None:
        self._screen = screen
        self._picture = picture
        self._lines = 0
        self._last = ""

    async def keep_printing(self) -> None:
        while True:
            for _ in range(round(COUNT_EVERY / REDRAW_EVERY)):
                await asyncio.sleep(REDRAW_EVERY)
                self._print_lines()
            self._print_counts()

    def finish(self) -> None:
        self._picture.tale.settle()
        self._print_lines()
        self._print_counts()

    def _print_lines(self) -> None:
        tale = self._picture.tale
        for line in tale.lines[self._lines : tale.settled]:
            self._screen.say(f"  {line}")
        self._lines = tale.settled

    def _print_counts(self) -> None:
        if (told := self._picture.told()) != self._last:
            self._screen.say(f"          {told}")
            self._last = told


@asynccontextmanager
async def _meanwhile(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Do something else for as long as the block runs."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
