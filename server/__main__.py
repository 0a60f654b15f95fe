"""python -m server: run it, or make a token."""

import argparse
import asyncio
import gc
import logging
import signal
import sys

import uvloop

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
    commands.add_parser("token", help="make an operator's token and print it").add_argument("name", help="who holds it")
    given = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("pogo_core").setLevel(logging.ERROR)
    try:
        settings = Settings.read()
        with database_url(settings) as url:
            uvloop.run(_token(url, given.name) if given.command == "token" else _serve(with_own_key(settings), url))
    except (BadSetting, EmbeddedPostgresError, NoDatabase) as error:
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


async def _token(url: str, name: str) -> None:
    await migrate(url)
    async with Database.connect(url) as db:
        print(await tokens.create(db, name))


if __name__ == "__main__":
    sys.exit(main())
