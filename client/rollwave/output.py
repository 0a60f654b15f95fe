"""What is printed: tables and sentences for people, one JSON document for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from rollwave.words import printable, said, words

# In a pipe nothing is cut off or wrapped.
WIDE = 10_000


def say(sentence: str) -> None:
    """A sentence, for people."""
    click.echo(printable(sentence))


def complain(sentence: str) -> None:
    """A sentence beside the result."""
    click.echo(printable(sentence), err=True)


def document(answer: BaseModel | Sequence[BaseModel]) -> None:
    """What the API answered, under the API's names."""
    shown = _plain(answer) if isinstance(answer, BaseModel) else [_plain(one) for one in answer]
    click.echo(json.dumps(shown, indent=2, ensure_ascii=not _speaks_unicode()))


def table(rows: Sequence[Mapping[str, object]]) -> None:
    """Rows under the names of their columns."""
    if not rows:
        return complain("none")
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        drawn.add_column(name, overflow="fold")
    for row in rows:
        drawn.add_row(*map(said, row.values()))
    return console().print(drawn)


def details(answer: BaseModel) -> None:
    """Everything that is set, a line each."""
    drawn = Table.grid(padding=(0, 2))
    for name, value in _plain(answer, "python").items():
        if value not in (None, [], {}):
            drawn.add_row(words(name), _one_line(value))
    console().print(drawn)


def console(*, stderr: bool = False) -> Console:
    """A terminal, or something as wide as need be. What comes from the server is text, and no markup."""
    plain = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not plain.is_terminal:
        plain.width = WIDE
    return plain


def _one_line(value: Any) -> str:
    """Objects with one field stand as that; lists of objects a line each."""
    if isinstance(value, dict):
        return said(next(iter(value.values()))) if len(value) == 1 else said({name: one for name, one in value.items() if one is not None})
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "\n".join(map(_one_line, value))
    return said(value)


def _plain(answer: BaseModel, mode: str = "json") -> dict[str, Any]:
    return answer.model_dump(mode=mode, by_alias=True, exclude={"typename__"})


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")
