"""Rows that were read for many at once, by what they belong to."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from storage.connection import Row

Read = TypeVar("Read")


def grouped(rows: Iterable[Row], key: str, read: Callable[[Row], Read]) -> dict[Any, list[Read]]:
    """What each row says, in the order of the rows; whoever has none is absent."""
    found: dict[Any, list[Read]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(read(row))
    return found


def counted(rows: Iterable[Row], key: str) -> dict[Any, int]:
    """How many each has, as the rows' column `found` says."""
    return {row[key]: row["found"] for row in rows}
