"""Whoever changes something says what he had read of it, and is stopped if that is no more."""

from domain.errors import StaleVersion


def check(what: str, current: int, expected: int | None) -> None:
    """Raise StaleVersion unless this is the version that was expected; None expects nothing."""
    if expected is not None and expected != current:
        raise StaleVersion(f"{what} is at version {current}, not {expected}: read it again", current)
