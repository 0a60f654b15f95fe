"""python -m server: run it, or make a token."""

import argparse
import asyncio
import gc
import logging
import signal
import sys
from datetime import timedelta

import uvloop

from domain.actors import Role
from domain.errors import BadInput
from domain.tokens import LONGEST_LIFE
from resolvers import tokens
from server.embedded import EmbeddedPostgresError
from server.encryption import with_own_key
from server.process import database_url, running
from server.settings import BadSetting, Settings
from storage.database import Database
from storage.migrate import NoDatabase, migrate

log = logging.getLogger("rollwave")


def main() -> int:
    """Run the command that was given."""
    parser = argparse.ArgumentParser(prog="python -m server", description="Rollwave")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("serve", help="answer devices, registries, frontends (the default)")
    token = commands.add_parser("token", help="make a token and print it")
    token.add_argument("name", help="who holds it")
    token.add_argument("--role", choices=list(Role), default=Role.ADMINISTRATOR, help="what it is for (administrator)")
    token.add_argument("--expires-in-days", type=_days, metavar="N", help="from when on it counts no more (never)")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("pogo_core").setLevel(logging.ERROR)
    try:
        settings = Settings.read()
        with database_url(settings) as url:
            uvloop.run(
                _token(url, given.name, Role(given.role), given.expires_in_days)
                if given.command == "token"
                else _serve(with_own_key(settings), url)
            )
    except (BadSetting, EmbeddedPostgresError, NoDatabase, BadInput) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


async def _serve(settings: Settings, url: str) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with running(settings, url) as server:
        _spare_what_stays()
        log.info("listening on %s", server.url)
        await stop.wait()
        log.info("stopping")


def _spare_what_stays() -> None:
    """Have the collector leave alone what lives as long as the process: to look through it takes 60 ms in which nobody is answered."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)  # connections stay too, and come after this: they are looked through more seldom


async def _token(url: str, name: str, role: Role, life: timedelta | None) -> None:
    await migrate(url)
    async with Database.connect(url) as db:
        print(await tokens.issue(db, name, role, life))


def _days(text: str) -> timedelta:
    if not (text.isascii() and text.isdecimal() and 0 < (days := int(text)) <= LONGEST_LIFE.days):
        raise argparse.ArgumentTypeError(f"a number of days from 1 to {LONGEST_LIFE.days}, not “{text}”")
    return timedelta(days=days)


if __name__ == "__main__":
    sys.exit(main())
