"""Options that several commands have."""

import re
from typing import Any

import click

from rollwave.following import PATIENCE


class Duration(click.ParamType[float]):
    """90, 90s, 30m, 1h30m: in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        if value.isascii() and value.isdecimal():
            return float(value)
        parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", value, flags=re.ASCII)
        if parts is None or not value:
            self.fail(f"“{value}” is no time such as 90s, 30m or 1h30m", param, ctx)
        hours, minutes, seconds = (float(part or 0) for part in parts.groups())
        return hours * 3600 + minutes * 60 + seconds


as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document, with the API's names, instead of a table.")
limit = click.option("--limit", type=click.IntRange(min=1), default=50, show_default=True, help="How many at the most.")
idempotency_key = click.option(
    "--idempotency-key",
    metavar="TEXT",
    help="Of your own choice: the same request with the same key makes nothing again. In CI, the number of the run.",
)
timeout = click.option(
    "--timeout", "at_most", type=Duration(), help="Wait so long at the most, such as 90s, 30m, 1h30m; without it, for ever."
)
patience = click.option(
    "--patience",
    type=Duration(),
    default=PATIENCE,
    show_default=True,
    help="So long the server may be away before it counts as unreachable.",
)
policy = click.option("--policy", metavar="NUMBER|ID", required=True, help="The policy whose devices get it, and by whose plan.")
image = click.option("--image", metavar="REFERENCE", required=True, help="Such as ghcr.io/acme/app:1.4.2.")
also = click.option(
    "--also", metavar="REFERENCE", multiple=True, help="An image of another repository that moves together with it; may be repeated."
)
