"""Asking whoever sits at the terminal."""

import sys

import click


def expect_somebody(otherwise: str) -> None:
    """Refuse to ask where nobody can answer; `otherwise` says what is needed there."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"nobody can be asked here: {otherwise}")


def confirm(question: str) -> None:
    """Go on only if somebody says yes."""
    click.confirm(question, abort=True, err=True)
