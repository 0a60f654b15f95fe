"""What is printed: tables and sentences for people, one JSON document for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from rollwave.words import printable, said

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
    shown = plain(answer) if isinstance(answer, BaseModel) else [plain(one) for one in answer]
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


def details(facts: Mapping[str, object]) -> None:
    """Facts, a line each; what is not known goes without saying."""
    known = {name: said(value) for name, value in facts.items() if value not in (None, [], {}, "")}
    width = max(map(len, known), default=0)
    for name, value in known.items():
        click.echo(f"{name:<{width}}  {value}")


def plain(answer: BaseModel, mode: str = "json") -> dict[str, Any]:
    """What the API answered, and nothing of how it was asked."""
    return answer.model_dump(mode=mode, by_alias=True, exclude={"typename__"})


def console(*, stderr: bool = False) -> Console:
    """A terminal, or something as wide as need be. What comes from the server is text, and no markup."""
    plain = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if not plain.is_terminal:
        plain.width = WIDE
    return plain


def _speaks_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().startswith("utf")
