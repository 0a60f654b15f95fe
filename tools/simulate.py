"""python -m tools.simulate: ten thousand devices, many of them in trouble, one good image and one bad one; then everything is compared."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

import orjson
import uvloop
from rich import box
from rich.console import Console
from rich.table import Table

from tools.agreement import Row
from tools.ending import Ending
from tools.modes import Mode
from tools.simulation import Act, Asked, Told, a_server, simulate
from tools.stage import Stage

SHOWN = 20
DEVICES_PER_SECOND, FASTEST_POLL = 200, 1.0


def main() -> int:
    """Simulate and return the exit code: 1 if a rollout does not end as it should, if anybody disagrees, or if it was interrupted."""
    given = _parser().parse_args()
    poll = given.poll_seconds or max(FASTEST_POLL, given.devices / DEVICES_PER_SECOND)
    shares = {**dict.fromkeys(Mode, given.share), **dict(given.mode)}
    asked = Asked(given.devices, shares, given.seed, poll, given.batches, given.obedient, given.connections)
    ending = Ending()
    ending.listen()
    told = uvloop.run(ending.or_until(_play(asked, Stage(given.url, given.token, given.secret) if given.url else None)))
    if told is None:
        return 1
    _show(told)
    if given.json is not None:
        given.json.write_bytes(_as_json(asked, told))
    return 0 if told.went_well else 1


async def _play(asked: Asked, place: Stage | None) -> Told:
    if place is not None:
        return await simulate(asked, place, _say)
    async with a_server() as own:
        return await simulate(asked, own, _say)


def _as_json(asked: Asked, told: Told) -> bytes:
    options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS
    return orjson.dumps({"asked": asdict(asked), **asdict(told)}, option=options)


def _say(line: str) -> None:
    print(line, flush=True)


def _show(told: Told) -> None:
    console = Console(width=None if sys.stdout.isatty() else 200)
    for act in told.acts:
        console.print(_table(act))
        for what in act.disagreements[:SHOWN]:
            console.print(f"- {what}", markup=False, highlight=False, soft_wrap=True)
    if told.traffic is not None:
        _say(
            f"{told.traffic.requests} requests; {told.traffic.waited} waited for a connection, "
            f"99 % of them for less than {told.traffic.p99_seconds:.2f} s, none for more than {told.traffic.longest_seconds:.2f} s"
        )
    _say("Everybody agrees." if told.went_well else "That is not as it should be.")


def _table(act: Act) -> Table:
    titles = ("mode", "devices", "must run", "run", "may be", "are", "disagree")
    found = Table(*titles, box=box.MARKDOWN, title=f"{act.image}: {act.ended}", title_justify="left")
    for row in act.rows:
        found.add_row(*_cells(row))
    return found


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.mode,
        str(row.devices),
        " or ".join(row.must_run),
        _counted(row.run),
        " or ".join(row.may_be),
        _counted(row.are),
        str(row.disagree),
    )


def _counted(found: dict[str, int]) -> str:
    return ", ".join(f"{count} {what}" for what, count in sorted(found.items(), key=lambda item: -item[1]))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.simulate", description=__doc__)
    parser.add_argument("--devices", type=int, default=10_000)
    parser.add_argument("--share", type=_share, default=0.05, help="of the devices, for each mode (default: 0.05)")
    parser.add_argument("--mode", type=_mode, action="append", default=[], metavar="NAME=SHARE", help=f"for one of {', '.join(Mode)}")
    parser.add_argument("--obedient", type=_share, default=0.3, help="share of agents that poll as often as the server says (default: 0.3)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed makes the same fleet")
    parser.add_argument("--poll-seconds", type=float, help="how often devices poll; all else is in proportion (default: devices / 200)")
    parser.add_argument("--batches", type=int, default=3)
    parser.add_argument("--connections", type=int, default=200, help="that the devices share (default: 200)")
    parser.add_argument("--url", help="a server that has never played this; without it one of its own")
    parser.add_argument("--token", default="", help="an operator's token of that server")
    parser.add_argument("--secret", default="", help="its webhook secret")
    parser.add_argument("--json", type=Path, help="write everything there")
    return parser


def _share(text: str) -> float:
    if not 0 <= (share := float(text)) <= 1:
        raise argparse.ArgumentTypeError("a share is a number from 0 to 1")
    return share


def _mode(text: str) -> tuple[Mode, float]:
    name, _, share = text.partition("=")
    return Mode(name), _share(share)


if __name__ == "__main__":
    sys.exit(main())
