"""Moments and spans as they stand in sentences."""

from datetime import UTC, datetime


def shown(moment: datetime) -> str:
    """To the second, in UTC: 2030-01-31 06:00:00 UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
